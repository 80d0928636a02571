"""Where the arrays of cells go: memory, or a zarr store that several processes write into.

Every cell is one chunk of every variable, so that writers never meet; a chunk of zarr's format 2 is a file of
compressed numbers, written here without the library, which takes milliseconds for each. A cell counts as done when its
mark is there, a small file with the digest of its arrays that is renamed into place after them; a mark whose digest
does not fit, as after a power cut, counts as nothing.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr

from workbench.errors import WorkbenchError, human_bytes
from workbench.store import Store
from workbench.sweeps.cells import Cell
from workbench.sweeps.layout import MOST_BYTES, Arrays, Layout
from workbench.sweeps.plan import Plan

#: A date for the members of the final file: the same cells make the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)
_LEVEL = 4


class CellStore(Protocol):
    """Takes cells."""

    def put(self, cell: Cell) -> None:
        """Keep a cell."""

    def messages(self) -> dict[int, str]:
        """The cells that are kept, with what went wrong with them; empty where nothing did."""


def coordinates(plan: Plan, layout: Layout) -> dict[str, Any]:
    """Labels of the axes and of what a cell consists of."""
    axes = {axis.name: axis.labels for axis in plan.axes}
    return {**axes, **{dim: np.asarray(names, dtype=object) for dim, names in layout.coords.items()}}


def full_dims(plan: Plan, layout: Layout, name: str) -> tuple[str, ...]:
    """The axes, then the dims of a variable in a cell."""
    return (*(axis.name for axis in plan.axes), *layout.variables[name])


class Memory:
    """A `CellStore` in memory."""

    def __init__(self, plan: Plan, layout: Layout) -> None:
        needed = plan.n_cells * layout.bytes_per_cell
        if needed > MOST_BYTES:
            raise WorkbenchError(
                f"{plan.n_cells} cells take {human_bytes(needed)} (limit {human_bytes(MOST_BYTES)} in memory); "
                "give `out`, a directory that is written cell by cell"
            )
        self._plan, self._layout, self._messages = plan, layout, dict[int, str]()
        self._arrays = {name: np.full((*plan.shape, *layout.size(name)), np.nan) for name in layout.variables}

    def put(self, cell: Cell) -> None:
        """See `CellStore.put`."""
        self._messages[cell.number] = cell.message
        for name, values in (cell.arrays or {}).items():
            self._arrays[name][self._plan.position(cell.number)] = values

    def messages(self) -> dict[int, str]:
        """See `CellStore.messages`."""
        return dict(self._messages)

    def dataset(self, attrs: Mapping[str, Any]) -> xr.Dataset:
        """All cells, labelled."""
        variables = {
            name: (full_dims(self._plan, self._layout, name), values, self._layout.attrs(name))
            for name, values in self._arrays.items()
        }
        return xr.Dataset(variables, coordinates(self._plan, self._layout), dict(attrs))


@dataclass(frozen=True)
class Zarr:
    """A `CellStore` in a directory; opened anew by every process, which is all that it holds."""

    folder: Path
    plan: Plan
    layout: Layout

    @property
    def _marks(self) -> Path:
        return self.folder / "marks"

    @property
    def _data(self) -> Path:
        return self.folder / "sweep.zarr"

    def begin(self, store: Store) -> None:
        """Claim the directory of a run and its annex, and write what all cells share; what is there already stays."""
        if "cells" not in store.pieces:
            store.put("cells", xr.Dataset(attrs={"cells": self.plan.n_cells}))
        self.create()

    def create(self) -> None:
        """Write the labels, and describe the arrays; what is there already stays."""
        import numcodecs
        import zarr

        if (self.folder / "ready").exists():
            return
        self._marks.mkdir(parents=True, exist_ok=True)
        labels = xr.Dataset(coords=coordinates(self.plan, self.layout))
        labels.to_zarr(self._data, mode="w", zarr_format=2, consolidated=False)
        group = zarr.open_group(self._data, mode="r+", zarr_format=2)
        axes = len(self.plan.axes)
        for name in self.layout.variables:
            size = self.layout.size(name)
            array = group.create_array(
                name,
                shape=(*self.plan.shape, *size),
                chunks=(*[1] * axes, *size),
                dtype="<f8",
                fill_value=np.nan,
                compressors=numcodecs.Zlib(_LEVEL),
                order="C",
            )
            dims = list(full_dims(self.plan, self.layout, name))
            array.attrs.update({"_ARRAY_DIMENSIONS": dims, **self.layout.attrs(name)})
        (self.folder / "ready").touch()

    def put(self, cell: Cell) -> None:
        """See `CellStore.put`."""
        arrays = cell.arrays or {name: np.full(self.layout.size(name), np.nan) for name in self.layout.variables}
        for name, values in arrays.items():
            # A chunk of nothing but the fill value has no file.
            if np.isnan(values).all():
                self._chunk(name, cell.number).unlink(missing_ok=True)
            else:
                self._chunk(name, cell.number).write_bytes(zlib.compress(_bytes(values), _LEVEL))
        work = self._marks / f".{cell.number}.json"
        mark = {"sha256": _digest(arrays), "message": cell.message}
        work.write_text(json.dumps(mark), encoding="utf-8")
        work.replace(self._marks / f"{cell.number}.json")

    def messages(self) -> dict[int, str]:
        """See `CellStore.messages`."""
        marks = {int(path.stem): _mark(path) for path in self._marks.glob("[0-9]*.json")}
        return {number: str(mark["message"]) for number, mark in sorted(marks.items()) if mark}

    def sound(self) -> set[int]:
        """The cells that are kept, did not fail, and are as they were written."""
        sound = set()
        for path in self._marks.glob("[0-9]*.json"):
            mark, number = _mark(path), int(path.stem)
            if mark and not mark["message"] and mark["sha256"] == _digest(self._arrays(number)):
                sound.add(number)
        return sound

    def forget(self, cells: set[int]) -> None:
        """Take the marks of cells away: they are to be computed again."""
        for number in cells:
            (self._marks / f"{number}.json").unlink(missing_ok=True)

    def _chunk(self, name: str, number: int) -> Path:
        place = (*self.plan.position(number), *[0] * len(self.layout.variables[name]))
        return self._data / name / ".".join(map(str, place))

    def _arrays(self, number: int) -> Arrays:
        arrays = {}
        for name in self.layout.variables:
            size, path = self.layout.size(name), self._chunk(name, number)
            try:
                content = zlib.decompress(path.read_bytes()) if path.exists() else None
                whole = None if content is None else np.frombuffer(content, dtype="<f8").reshape(size)
            except (OSError, zlib.error, ValueError):
                return {}
            arrays[name] = np.full(size, np.nan) if whole is None else whole
        return arrays

    def pack(self, path: Path, attrs: Mapping[str, Any]) -> None:
        """One file of all cells, chunk by chunk."""
        import zarr

        zarr.open_group(self._data, mode="r+", zarr_format=2).attrs.update(dict(attrs))
        zarr.consolidate_metadata(self._data, zarr_format=2)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as file:
            for member in sorted(member for member in self._data.rglob("*") if member.is_file()):
                info = zipfile.ZipInfo(member.relative_to(self._data).as_posix(), _DATE)
                file.writestr(info, member.read_bytes())


def _bytes(values: np.ndarray[Any, Any]) -> bytes:
    return np.ascontiguousarray(values, dtype="<f8").tobytes()


def _mark(path: Path) -> dict[str, Any]:
    try:
        mark = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return mark if isinstance(mark, dict) and {"sha256", "message"} <= mark.keys() else {}


def _digest(arrays: Mapping[str, np.ndarray[Any, Any]]) -> str:
    h = hashlib.sha256()
    for name in sorted(arrays):
        h.update(name.encode() + b"\0" + _bytes(arrays[name]))
    return h.hexdigest()

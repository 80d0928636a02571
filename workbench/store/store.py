"""The store of one run: a directory beside its result.

Every piece of the run (a measure, the state of some chains) is one netCDF file, and ``run.json`` lists the pieces with
their SHA-256 and says which run they belong to. A piece has a file of its own that is on the disk before the list that
names it is renamed into place: whenever the process dies, the list names whole pieces only. One netCDF file that grows
cannot promise that, since HDF5 changes it in place and may leave it unreadable; zarr could for its chunks, but it has
no checksum of the whole and would be one more dependency.

A store is opened only by the run that it belongs to: everything that its numbers depend on must be the same.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import xarray as xr

from workbench.errors import WorkbenchError
from workbench.store.contents import LIST, as_text, check, is_store, leftover, piece_digest, read_list
from workbench.store.files import netcdf_bytes, to_disk, write_file

LOCK = "lock"
#: A directory in which other processes than the one that has the lock may keep what they compute for it.
ANNEX = "annex"
#: Files that a store may hold besides its list and its lock, and directories: a result that is being written.
_PIECE, _RESULT = re.compile(r"\d+\.nc(\.tmp)?|run\.json\.tmp"), re.compile(r"\..*\.tmp")


class Store:
    """The pieces of one run; `create` and `resume` make it.

    Its directory appears with the first piece, and is locked while the process lives.

    Attributes:
        folder: the directory.
        pieces: file and checksum of every piece, by its name.
        saved: when the run that is resumed kept its last piece, in seconds since 1970; None if it kept none.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.folder = Path(os.path.abspath(folder))
        # As it comes back from JSON: tuples are lists there.
        self._identity: dict[str, Any] = json.loads(json.dumps(dict(identity)))
        self.pieces: dict[str, dict[str, str]] = {}
        self.saved: float | None = None
        self._made: list[Path] = []
        self._lock: int | None = None
        self._next, self._alone = 0, Lock()

    @classmethod
    def create(cls, folder: Path, identity: Mapping[str, Any], *, replace: bool = False) -> Store:
        """A new store; one that another run left behind is refused, or removed with ``replace``."""
        store = cls(folder, identity)
        if store._is_blank():
            store._take()
            store._sweep()
        elif os.path.lexists(store.folder):
            in_the_way = leftover(folder, store._identity)
            if is_store(folder):
                store._take()  # refused while another run is at work in it
            if not replace or store._lock is None:
                store.close()
                raise WorkbenchError(in_the_way)
            store._refuse_strangers()
            store.remove()
        return store

    @classmethod
    def resume(cls, folder: Path, identity: Mapping[str, Any]) -> Store:
        """The store of a run that was cut off, every piece checked; an empty one if nothing had been kept.

        Raises:
            WorkbenchError: if it is damaged, belongs to another run, is no store, or is in use.
        """
        store = cls(folder, identity)
        if store._is_blank():
            store._take()
            store._sweep()
        elif os.path.lexists(store.folder):
            read_list(folder)  # before a lock is put into what is no store
            store._take()
            try:
                content = read_list(folder)
                check(folder, content, store._identity)
            except BaseException:
                store.close()
                raise
            store.pieces = content["pieces"]
            store.saved = content["saved"] if store.pieces else None
            store._next = 1 + max((int(Path(piece["file"]).stem) for piece in store.pieces.values()), default=0)
            store._sweep()
        return store

    def get(self, name: str) -> xr.Dataset | None:
        """A piece, or None if it was not kept."""
        piece = self.pieces.get(name)
        return None if piece is None else xr.load_dataset(self.folder / piece["file"], engine="h5netcdf")

    def put(self, name: str, piece: xr.Dataset) -> None:
        """Keep a piece in place of what is kept under its name, and under names that begin with ``name/``."""
        with self._alone:
            self._begin()
            file = f"{self._next}.nc"
            self._next += 1
            content = netcdf_bytes(piece)
            write_file(self.folder / file, content, work=self.folder / f"{file}.tmp")
            digest = piece_digest(name, content)
            stale = {key for key in self.pieces if key == name or key.startswith(f"{name}/")}
            kept = {key: value for key, value in self.pieces.items() if key not in stale}
            self._write_list(kept | {name: {"file": file, "sha256": digest}})
            self._sweep()

    def remove(self) -> None:
        """Delete the store, and the parents that were made for it if nothing else is in them."""
        if self._lock is None:
            return
        # Until the last moment it is a store, if one of nothing: a process killed here leaves nothing unreadable.
        try:
            self._write_list({})
        except OSError:  # no space even for that
            self.pieces = {}
        self._sweep()
        shutil.rmtree(self.annex, ignore_errors=True)
        (self.folder / LIST).unlink(missing_ok=True)
        (self.folder / LOCK).unlink(missing_ok=True)
        with suppress(OSError):
            for folder in (self.folder, *reversed(self._made)):
                folder.rmdir()
        self.close()

    @property
    def annex(self) -> Path:
        """Where other processes work for this run; goes with the store."""
        return self.folder / ANNEX

    def close(self) -> None:
        """Let other processes have it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _begin(self) -> None:
        if self._lock is not None:
            return
        for parent in reversed(self.folder.parents):
            if not parent.exists():
                parent.mkdir()
                self._made.append(parent)
        try:
            self.folder.mkdir()
        except FileExistsError:
            raise WorkbenchError(f"{self.folder} appeared meanwhile: another run uses it; wait for it to end") from None
        self._take()
        self._write_list({})

    def _take(self) -> None:
        """Lock the directory; the lock goes when the process does, however it dies."""
        self._lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        if not _locked(self._lock):
            self.close()
            raise WorkbenchError(f"{self.folder} is in use by another run; wait for it to end, or choose another `out`")

    def _is_blank(self) -> bool:
        """Whether a run was cut off before it kept anything."""
        if not self.folder.is_dir() or self.folder.is_symlink():
            return False
        return {path.name for path in self.folder.iterdir()} <= {LOCK, f"{LIST}.tmp"}

    def _refuse_strangers(self) -> None:
        for path in self.folder.iterdir():
            pattern = _RESULT if path.is_dir() else _PIECE
            if path.name not in (LIST, LOCK, ANNEX) and not pattern.fullmatch(path.name):
                self.close()
                raise WorkbenchError(
                    f"{self.folder} holds {path.name}, which is no part of a run and would be lost; move it"
                )

    def _sweep(self) -> None:
        """Delete pieces that were replaced, and what a dying process left half-written."""
        listed = {piece["file"] for piece in self.pieces.values()}
        for path in self.folder.iterdir():
            if path.is_dir():
                if _RESULT.fullmatch(path.name):
                    shutil.rmtree(path)
            elif path.name not in listed and _PIECE.fullmatch(path.name):
                path.unlink()

    def _write_list(self, pieces: dict[str, dict[str, str]]) -> None:
        to_disk(self.folder)  # the names of the pieces, before the list that has them
        text = as_text(self._identity, pieces)
        write_file(self.folder / LIST, text, work=self.folder / f"{LIST}.tmp")
        to_disk(self.folder)
        self.pieces = pieces


def _locked(handle: int) -> bool:
    """Whether the lock could be had; where there are no such locks, always."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True

"""Write a sweep to a directory: data, one table, figures and configuration."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from workbench.comparison.identity import run_identity
from workbench.errors import WorkbenchError
from workbench.figures import save
from workbench.influence import Bar, no_bar
from workbench.parallel import on_one_core
from workbench.report.directory import MARKER, staged
from workbench.semantics import SemanticTask
from workbench.store.files import write_file
from workbench.sweeps.plan import Plan
from workbench.sweeps.stores import Zarr
from workbench.sweeps.sweep import RESULT, attributes, load_sweep


def identity(plan: Plan) -> dict[str, Any]:
    """Everything that the numbers depend on: a sweep may go on only where all of it is the same.

    Every cell is computed on one core, so that neither the number of cores nor that of workers is part of it.
    """
    from workbench.simulation.running.threads import torch_threads

    for cell in range(plan.n_cells):
        try:
            task = plan.task_of(cell)
        except WorkbenchError:
            continue
        with on_one_core(), torch_threads(1):
            return {**run_identity(task, plan.settings), **plan.record, "task": _name(plan)}
    raise WorkbenchError("no cell of the sweep has a task; check the task and `over`")


def _name(plan: Plan) -> str:
    return plan.task.name if isinstance(plan.task, SemanticTask) else plan.task


def write_sweep(
    cells: Zarr, target: Path, *, force: bool = False, bar: Bar = no_bar, within: Path | None = None
) -> None:
    """Write ``sweep.zarr.zip``, ``cells.csv``, ``figures/`` and ``config.json`` into ``target``.

    Args:
        cells: all cells of the sweep.
        target: directory to create; an earlier result there is replaced only with ``force``.
        bar: opens progress bars.
        within: where it is put together, if not beside ``target``.
    """
    attrs = attributes(cells.plan, cells)
    config = {"settings": cells.plan.record, "resolved": {"task": attrs["task"], "failed": json.loads(attrs["failed"])}}
    with staged(target, force, within) as work:
        cells.pack(work / RESULT, attrs)
        ds = load_sweep(work / RESULT)
        write_file(work / "cells.csv", cells_table(ds).to_csv(index=False))
        (work / "figures").mkdir()
        _draw(ds, work / "figures", bar)
        write_file(work / MARKER, json.dumps(config, indent=2) + "\n")


def _draw(ds: xr.Dataset, folder: Path, bar: Bar) -> None:
    """Quantities against every field, and a map of the first two that are numbers; none where there is nothing."""
    from workbench.sweeps.figures import against, axes_of_sweep, phase_map

    fields = [name for name in axes_of_sweep(ds) if ds.sizes[name] > 1]
    maps = [name for name in fields if name != "seed"][:2]
    provenance = {name: str(ds.attrs[name]) for name in ("code_version", "config")}
    with bar("figures", len(fields) + 1) as advance:
        for field in fields:
            with suppress(WorkbenchError):
                save(against(ds, field), folder, f"against_{field}", provenance)
            advance(1)
        if len(maps) == 2:
            with suppress(WorkbenchError):
                save(phase_map(ds, maps[0], maps[1]), folder, f"map_{maps[0]}_{maps[1]}", provenance)
        advance(1)


def cells_table(ds: xr.Dataset) -> pd.DataFrame:
    """One row a cell, measure and group of pairs: the fields that were run over, flips, peaks and differences.

    Rows without any number (a group that a cell lacks, a cell that failed) are left out.
    """
    axes = json.loads(ds.attrs["over"])
    keys = [*axes, "measure", "pairs"]
    columns: dict[str, xr.DataArray] = {}
    for side in ds["side"].values:
        for event in ds["event"].values:
            columns[f"{event}, {side}"] = ds["event_time"].sel(side=side, event=event, drop=True)
    columns |= {name: ds[name] for name in ("relative_l2", "same_sign") if name in ds}
    shape = [ds.sizes[key] for key in keys]
    index = pd.MultiIndex.from_product([ds[key].values for key in keys], names=keys)
    data = {
        name: np.asarray(array.transpose(*keys).values).reshape(int(np.prod(shape))) for name, array in columns.items()
    }
    table = pd.DataFrame(data, index=index).dropna(how="all").dropna(axis=1, how="all")
    return table.reset_index()

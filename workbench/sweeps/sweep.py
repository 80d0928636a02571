"""`sweep`: many comparisons, one labelled result."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from workbench import __version__
from workbench.comparison.settings import Settings
from workbench.errors import WorkbenchError
from workbench.influence import SIGN_CONVENTION, Bar, Measure, no_bar
from workbench.influence.quantities import SIDES, Side
from workbench.semantics import SemanticTask
from workbench.sweeps.engines import cluster, on_cluster, one_by_one
from workbench.sweeps.layout import layout_of
from workbench.sweeps.plan import Plan, plan_of
from workbench.sweeps.stores import CellStore, Memory, Zarr

#: The file of a sweep in the directory of its result.
RESULT = "sweep.zarr.zip"


def sweep(
    task: SemanticTask | str,
    settings: Settings | None = None,
    over: Mapping[str, Iterable[Any]] | None = None,
    bar: Bar = no_bar,
    *,
    measures: Sequence[str | Measure] | None = None,
    sides: Sequence[Side] = SIDES,
) -> xr.Dataset:
    """Compare a task at every combination of some values, one cell after the other in this process.

    For thousands of cells, results beyond memory and clusters there is `workbench.sweeps.sweep_into`.

    Args:
        task: a task, or its text; only text can be swept over ``branching``, ``flip_probability`` and ``task``.
        settings: of every cell.
        over: values by field: any field of `Settings` but measures and device, and ``a0`` and ``sigma`` (of a balanced
            or Gaussian start).
        bar: opens progress bars.
        measures: names, and `Measure` objects of your own, in place of those in the settings.
        sides: of them only these; ``("analytic",)`` neither trains nor samples, and takes milliseconds a cell.

    Returns:
        The variables of a comparison, each with the fields in front of its own dims; ``checkpoint`` counts
        checkpoints, whose flow times are the variable ``time``. ``event_time`` and ``relative_l2`` are the tables of a
        comparison. A cell that failed is nan, and ``attrs["failed"]`` says why, as JSON.

    >>> from workbench import sweep
    >>> ds = sweep("tree:2,2", over={"a0": (1e-3, 1e-2)}, measures=["gradient_kernel"], sides=["analytic"])
    >>> ds.sizes["a0"], ds["time"].dims
    (2, ('a0', 'checkpoint'))
    """
    plan = plan_of(task, _with(settings, measures), over or {}, sides)
    layout = layout_of(plan)
    store = Memory(plan, layout)
    with bar("cells", plan.n_cells) as advance:
        one_by_one(plan, layout, store, plan.blocks(), advance)
    return store.dataset(attributes(plan, store))


def sweep_into(
    store: Zarr,
    bar: Bar = no_bar,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    client: Any = None,
) -> dict[int, str]:
    """Compute what a store lacks of its cells.

    Args:
        store: where cells go, and what they are.
        bar: opens progress bars.
        scheduler: ``"local"`` for a Dask cluster on this machine, the address of another one's scheduler, or None for
            this process. The workers must see the store's directory under the same name.
        workers: of a local cluster; None: one a core.
        client: of a cluster that runs already (`engines.starting`), in place of ``scheduler``.

    Returns:
        What went wrong, by number of the cell.
    """
    done = store.sound()
    store.forget(set(store.messages()) - done)
    blocks = [block for block in store.plan.blocks() if not set(block) <= done]
    cells = sum(map(len, blocks))
    with bar("cells", cells) as advance:
        if client is not None:
            on_cluster(client, store, blocks, advance)
        elif scheduler is None or not blocks:
            one_by_one(store.plan, store.layout, store, blocks, advance)
        else:
            with cluster(scheduler, workers) as begun:
                on_cluster(begun, store, blocks, advance)
    return {number: message for number, message in store.messages().items() if message}


def attributes(plan: Plan, store: CellStore) -> dict[str, Any]:
    """What a result says of itself."""
    failed = [
        {**_plain(plan.values(number)), "message": message} for number, message in store.messages().items() if message
    ]
    return {
        "config": json.dumps(plan.record),
        "task": plan.task if isinstance(plan.task, str) else plan.task.name,
        "over": json.dumps([axis.name for axis in plan.axes]),
        "failed": json.dumps(failed),
        "code_version": __version__,
        "sign_convention": SIGN_CONVENTION,
        "time_units": "flow time t = learning rate x step",
    }


def load_sweep(path: str | Path) -> xr.Dataset:
    """The result of ``workbench sweep``, from its directory or file; arrays are read when they are asked for.

    Raises:
        WorkbenchError: if it is none, or zarr is not installed.
    """
    try:
        import zarr
    except ImportError:
        raise WorkbenchError("reading a sweep needs zarr; pip install 'stagewise-workbench[sweep]'") from None
    file = Path(path) / RESULT if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise WorkbenchError(f"{file}: no such file; give the directory of a sweep")
    try:
        ds: xr.Dataset = xr.open_zarr(zarr.storage.ZipStore(file, mode="r"), chunks=None)
    except Exception as error:
        raise WorkbenchError(f"{file} is no sweep that can be read ({type(error).__name__})") from None
    labels = {name: ds[name].values.astype(object) for name in ds.coords if ds[name].dtype.kind not in "iufb"}
    return ds.assign_coords(labels)


def _with(settings: Settings | None, measures: Sequence[str | Measure] | None) -> Settings:
    from dataclasses import replace

    settings = settings or Settings()
    return settings if measures is None else replace(settings, measures=tuple(measures))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

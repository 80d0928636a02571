"""What can be taken away: the figure, the data, and the code that makes both again."""

from __future__ import annotations

import base64
import html
import io
import json

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from workbench import __version__
from workbench.errors import WorkbenchError
from workbench.explorer.model import Curves, width
from workbench.explorer.scene import Scene
from workbench.explorer.simulate import Simulated
from workbench.explorer.state import GIVEN, OPTIONS, ExplorerState
from workbench.influence import MEASURES, SIGN_CONVENTION
from workbench.store.files import netcdf_bytes
from workbench.store.sheets import sheet

FIGURES = {"PNG": "image/png", "SVG": "image/svg+xml", "PDF": "application/pdf"}
TABLES = {"CSV": "text/csv", "netCDF": "application/x-netcdf"}


def figure_bytes(figure: Figure, kind: str, state: ExplorerState) -> bytes:
    """The figure as PNG (200 dpi), SVG or PDF, with the state and the code version in its metadata."""
    if kind not in FIGURES:
        raise WorkbenchError(f"figure format {kind!r} is unknown; use {', '.join(FIGURES)}")
    facts = json.dumps({"code_version": __version__, **_without_table(state)})
    metadata = {
        "PNG": {"Software": f"workbench {__version__}", "Description": facts},
        "SVG": {"Creator": f"workbench {__version__}", "Description": facts, "Date": None},
        "PDF": {"Creator": f"workbench {__version__}", "Keywords": facts, "CreationDate": None},
    }[kind]
    stream = io.BytesIO()
    # Type 3 fonts, the default in PDF, are refused by many publishers.
    with mpl.rc_context({"pdf.fonttype": 42}):
        figure.savefig(stream, format=kind.lower(), dpi=200, metadata=metadata)
    return stream.getvalue()


def dataset(state: ExplorerState, scene: Scene, curves: Curves, simulated: Simulated | None) -> xr.Dataset:
    """Everything drawn, labelled; theory on its own times, simulation on its checkpoints."""
    groups, items, measure = scene.groups(width(state, scene)), list(scene.task.items), state.measure
    pair = {"source": items, "target": items}
    ds = xr.Dataset(
        {
            "mode_strength_analytic": (("time", "mode_group"), curves.strengths),
            "loss_analytic": (("time",), curves.loss),
            "half_rise_time": (("mode_group",), curves.half_rise),
            "singular_value": (("mode_group",), groups.s),
            f"{measure}_analytic": (("influence_time", "source", "target"), curves.influence),
        },
        coords={
            "time": curves.times,
            "mode_group": list(groups.names),
            "influence_time": curves.influence_times,
            **pair,
        },
    )
    if simulated is not None:
        checkpoints = ("checkpoint_time", "source", "target")
        ds["mode_strength_simulated"] = (("training_time", "mode_group"), simulated.strengths)
        ds["loss_simulated"] = (("training_time",), simulated.loss)
        ds[f"{measure}_simulated"] = (checkpoints, simulated.influence)
        if simulated.stderr is not None:
            ds[f"{measure}_simulated_stderr"] = (checkpoints, simulated.stderr)
        ds = ds.assign_coords(training_time=simulated.times, checkpoint_time=simulated.influence_times)
    ds.attrs = {
        "code_version": __version__,
        "state": json.dumps(state.config()),
        "units": MEASURES[measure].units,
        "table_unit": scene.unit,
        "sign_convention": SIGN_CONVENTION,
    }
    return ds


def table(state: ExplorerState, scene: Scene, curves: Curves, simulated: Simulated | None) -> pd.DataFrame:
    """The curves in sight as a long table: quantity, side, time, value, standard error."""
    source, names = scene.source_index(state), scene.task.items
    groups = scene.groups(width(state, scene))
    rows: list[pd.DataFrame] = []

    def add(quantity: str, side: str, times: np.ndarray, values: np.ndarray, error: np.ndarray | None = None) -> None:
        rows.append(
            pd.DataFrame(
                {
                    "quantity": quantity,
                    "side": side,
                    "time": times,
                    "value": values,
                    "standard_error": np.nan if error is None else error,
                }
            )
        )

    for g, name in enumerate(groups.names):
        add(f"mode strength, {name}", "theory", curves.times, curves.strengths[:, g])
        if simulated is not None:
            add(f"mode strength, {name}", "simulation", simulated.times, simulated.strengths[:, g])
    add("loss", "theory", curves.times, curves.loss)
    if simulated is not None:
        add("loss", "simulation", simulated.times, simulated.loss)
    for j, name in enumerate(names):
        quantity = f"{state.measure}, {names[source]} on {name}"
        add(quantity, "theory", curves.influence_times, curves.influence[:, source, j])
        if simulated is not None:
            error = None if simulated.stderr is None else simulated.stderr[:, source, j]
            add(quantity, "simulation", simulated.influence_times, simulated.influence[:, source, j], error)
    return pd.concat(rows, ignore_index=True)


def data_bytes(kind: str, state: ExplorerState, scene: Scene, curves: Curves, simulated: Simulated | None) -> bytes:
    """The data as CSV (the curves in sight) or netCDF (all pairs of items)."""
    if kind == "CSV":
        return sheet(table(state, scene, curves, simulated)).encode()
    if kind != "netCDF":
        raise WorkbenchError(f"data format {kind!r} is unknown; use {', '.join(TABLES)}")
    return netcdf_bytes(dataset(state, scene, curves, simulated))


def code(state: ExplorerState) -> str:
    """Python that shows the same picture."""
    plain = ExplorerState().config()
    changed = {name: value for name, value in state.config().items() if value != plain[name]}
    if options := tuple((name, changed.pop(name)) for name in OPTIONS if name in changed):
        changed["options"] = options
    lines = ["from workbench.explorer import ExplorerState, explore", ""]
    lines.append("state = ExplorerState(")
    lines += [f"    {name}={tuple(value) if name == 'targets' else value!r}," for name, value in changed.items()]
    task = "task, " if state.task == GIVEN else ""
    lines += [")", f"view = explore({task}state=state)", "view  # in a notebook; in a script view.save('figure.png')"]
    return "\n".join(lines)


def download(name: str, mime: str, content: bytes) -> str:
    """An HTML link that hands the bytes to the browser; nothing is written where the kernel runs."""
    data = base64.b64encode(content).decode()
    size = f"{max(1, len(content) // 1000)} kB"
    return f'<a download="{html.escape(name)}" href="data:{mime};base64,{data}">⬇ {html.escape(name)} ({size})</a>'


def _without_table(state: ExplorerState) -> dict[str, object]:
    return {name: value for name, value in state.config().items() if name != "table"}

"""The numbers of the figures that show a dataset, as tables to read back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from workbench.figures.reading import Measure, mode_groups, stage_columns

SIDES = ("analytic", "simulated")


def task_table(ds: xr.Dataset) -> pd.DataFrame:
    """Items x properties, as `workbench` reads them: the first column holds the names."""
    Y = ds["Y"].transpose("item", "property").values
    table = pd.DataFrame(Y, columns=list(map(str, ds["property"].values)))
    table.insert(0, "item", ds["item"].values, allow_duplicates=True)
    return table


def strength_table(ds: xr.Dataset) -> pd.DataFrame:
    """One row a time, one column a mode and side, named by the group the mode belongs to."""
    columns = {"time": ds["time"].values}
    for side in SIDES:
        if f"mode_strength_{side}" in ds:
            values = ds[f"mode_strength_{side}"].transpose("time", "mode").values
            for group in mode_groups(ds):
                for k in group.members:
                    columns[f"mode {ds['mode'].values[k] + 1} ({group.label}), {side}"] = values[:, k]
    return pd.DataFrame(columns)


def loss_table(ds: xr.Dataset) -> pd.DataFrame:
    """One row a time: mean loss and the loss of every item, on the sides there are."""
    columns = {"time": ds["time"].values}
    for side in SIDES:
        if f"loss_{side}" in ds:
            columns[f"mean loss, {side}"] = ds[f"loss_{side}"].values
        if f"item_loss_{side}" in ds:
            values = ds[f"item_loss_{side}"].transpose("time", "item").values
            columns |= {f"loss of {name}, {side}": values[:, i] for i, name in enumerate(ds["item"].values)}
    return pd.DataFrame(columns)


def influence_table(ds: xr.Dataset, source: int, shown: tuple[Measure, ...]) -> pd.DataFrame:
    """One row a measure, side, time and target: influence of one item on all others."""
    time, targets = ds["time"].values, ds["target"].values
    tables: list[pd.DataFrame] = []
    for measure in shown:
        for side, values in measure.sides:
            table = _grid({"time": time, "target": targets}, values[:, source])
            table.insert(0, "measure", measure.name)
            table.insert(1, "side", side)
            if side == "simulation" and measure.stderr is not None:
                table["stderr"] = measure.stderr[:, source].ravel()
            tables.append(table.loc[table["target"] != targets[source]])
    return pd.concat(tables, ignore_index=True)


def matrix_table(ds: xr.Dataset, at_most: int, shown: tuple[Measure, ...]) -> pd.DataFrame:
    """One row a measure, side, stage, source and target; the diagonal included."""
    stages = stage_columns(ds, at_most)
    picked = [k for k, _ in stages]
    tables: list[pd.DataFrame] = []
    for measure in shown:
        for side, values in measure.sides:
            axes = {"time": ds["time"].values[picked], "source": ds["source"].values, "target": ds["target"].values}
            table = _grid(axes, values[picked])
            table.insert(0, "measure", measure.name)
            table.insert(1, "side", side)
            table.insert(2, "stage", np.repeat([name for _, name in stages], values.shape[1] ** 2))
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _grid(axes: dict[str, np.ndarray], values: np.ndarray) -> pd.DataFrame:
    """Labelled values in long form; the last axis runs fastest."""
    labels = np.meshgrid(*axes.values(), indexing="ij")
    columns = {name: label.ravel() for name, label in zip(axes, labels, strict=True)}
    return pd.DataFrame(columns | {"influence": values.ravel()})

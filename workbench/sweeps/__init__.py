"""Many comparisons in one labelled result: any field of the settings and of the task is a dimension.

`sweep` works in this process and in memory. ``workbench sweep`` writes cell by cell into a zarr store, on as many
workers as there are cores or on a Dask cluster that somebody else started, and goes on where it was cut off.
"""

from workbench.sweeps.axes import Axis, axis_of_text
from workbench.sweeps.layout import layout_of
from workbench.sweeps.plan import Plan, plan_of
from workbench.sweeps.stores import Zarr
from workbench.sweeps.sweep import RESULT, attributes, load_sweep, sweep, sweep_into

__all__ = [
    "RESULT",
    "Axis",
    "Plan",
    "Zarr",
    "attributes",
    "axis_of_text",
    "layout_of",
    "load_sweep",
    "plan_of",
    "sweep",
    "sweep_into",
]

"""Stagewise influence workbench: exact theory and simulation of how influence changes while a network learns.

>>> import workbench
>>> workbench.Hierarchy((2, 2, 2)).n_items
8
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"

#: The few names most users need, and where they live; they load on first use, so that importing stays quick.
_NAMES = {
    "Hierarchy": "workbench.semantics",
    "SemanticTask": "workbench.semantics",
    "Tree": "workbench.semantics",
    "rumelhart_task": "workbench.semantics",
    "task_from_csv": "workbench.semantics",
    "task_from_dataframe": "workbench.semantics",
    "task_from_spec": "workbench.semantics",
    "Network": "workbench.networks",
    "network": "workbench.networks",
    "predict": "workbench.theory",
    "train": "workbench.simulation",
    "Settings": "workbench.comparison",
    "Comparison": "workbench.comparison",
    "compare": "workbench.comparison",
    "load": "workbench.comparison",
    "sweep": "workbench.sweeps",
    "load_sweep": "workbench.sweeps",
    "MEASURES": "workbench.influence",
    "Measure": "workbench.influence",
    "Option": "workbench.influence",
    "damped_newton": "workbench.influence",
    "gradient_kernel": "workbench.influence",
    "leave_one_out": "workbench.influence",
    "local_bif": "workbench.influence",
    "trajectory_derivative": "workbench.influence",
    "window_removal": "workbench.influence",
    "error_table": "workbench.agreement",
    "event_table": "workbench.agreement",
    "sign_agreement": "workbench.agreement",
    "verdicts": "workbench.agreement",
}

__all__ = ["__version__", *_NAMES]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    return getattr(import_module(_NAMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

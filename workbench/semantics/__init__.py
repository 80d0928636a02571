"""What is to be learned: items, properties and the hierarchy they hang on."""

from workbench.semantics.columns import prepared
from workbench.semantics.hierarchy import Hierarchy
from workbench.semantics.modes import Modes, haar_basis, input_stretch, nearest_modes, singular_modes
from workbench.semantics.specs import SPEC_HELP, task_from_spec
from workbench.semantics.tables import (
    rumelhart_task,
    task_from_csv,
    task_from_csv_bytes,
    task_from_csv_text,
    task_from_dataframe,
)
from workbench.semantics.task import SemanticTask
from workbench.semantics.tree import Tree

__all__ = [
    "SPEC_HELP",
    "Hierarchy",
    "Modes",
    "SemanticTask",
    "Tree",
    "haar_basis",
    "input_stretch",
    "nearest_modes",
    "prepared",
    "rumelhart_task",
    "singular_modes",
    "task_from_csv",
    "task_from_csv_bytes",
    "task_from_csv_text",
    "task_from_dataframe",
    "task_from_spec",
]

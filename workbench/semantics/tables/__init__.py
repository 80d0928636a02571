"""Item x property tables: the bundled 8-item table, CSV files and DataFrames in."""

from workbench.semantics.tables.reading import (
    task_from_csv,
    task_from_csv_bytes,
    task_from_csv_text,
    task_from_dataframe,
)
from workbench.semantics.tables.rumelhart import rumelhart_task

__all__ = ["rumelhart_task", "task_from_csv", "task_from_csv_bytes", "task_from_csv_text", "task_from_dataframe"]

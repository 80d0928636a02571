"""Columns of a table brought to one scale: without their mean, or of spread 1 as well."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from workbench.errors import WorkbenchError
from workbench.semantics.task import SemanticTask


def prepared(task: SemanticTask, *, centre: bool = False, standardise: bool = False) -> SemanticTask:
    """The task with the columns of its table, the properties, centred or standardised over the items.

    Centred: ``y - mean``. Standardised: ``(y - mean) / s``, s the standard deviation over the P items (divisor P); a
    property that is the same for all items becomes 0. What all items share, the mean mode, is then not learned.

    Args:
        task: what is to be learned.
        centre: take the mean from every property.
        standardise: centre, and divide by the standard deviation.
    """
    if not isinstance(task, SemanticTask):
        raise WorkbenchError(f"task {task!r} is no SemanticTask; make one of text by workbench.task_from_spec(text)")
    if not (centre or standardise):
        return task
    Y = task.Y - task.Y.mean(axis=1, keepdims=True)
    spread = Y.std(axis=1, keepdims=True)
    constant = spread <= 1e-12 * np.abs(task.Y).max(axis=1, keepdims=True)
    Y = np.where(constant, 0.0, Y)
    if constant.all():
        raise WorkbenchError("every property is the same for all items: nothing is left of them once they are centred")
    if standardise:
        Y = Y / np.where(constant, 1.0, spread)
    return replace(task, Y=Y, name=f"{task.name}, columns {'standardised' if standardise else 'centred'}")

"""What is refused: requests beyond memory before any work, and results that are not finite before any is written."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from workbench.comparison.settings import Settings
from workbench.comparison.training import why_unpredicted
from workbench.errors import WorkbenchError, human_bytes
from workbench.influence import Request
from workbench.networks import Init
from workbench.semantics import SemanticTask

#: Results (two sides, errors), and the chains of one checkpoint, beyond this many bytes are refused.
_RESULT_LIMIT = 2e9
#: Modes that are never learned have no half-rise time.
_OPTIONAL = {"half_rise_time"}


def refuse_oversized(task: SemanticTask, settings: Settings) -> None:
    """Refuse what would not fit in memory, before anything is built, naming the bytes and what to do instead."""
    if settings.train_batch is not None and settings.train_batch > task.n_items:
        raise WorkbenchError(
            f"`train_batch` {settings.train_batch} for {task.n_items} items; give 1 to {task.n_items}, "
            "or leave it out for all"
        )
    init = Init.parse(settings.init) if settings.init != "auto" else Init(_kind(settings), 0.01)
    T, hidden = settings.checkpoints, settings.hidden
    sizes = (task.n_inputs, *[hidden] * (settings.depth - 1), task.n_outputs)
    request = Request(
        task, init, sizes, T, _memory(settings.resolve_device()), predicted=why_unpredicted(settings) is None
    )
    numbers = request.n_weights
    sides = sum(len(measure.sides) for measure in settings.asked) * (settings.seeds if settings.seeds > 1 else 0)
    results = 8.0 * T * task.n_items**2 * (sides + sum(measure.arrays for measure in settings.asked))
    # An aligned start draws a rotation of the hidden units; its QR decomposition holds three copies.
    weights = 16.0 * T * numbers + 24.0 * hidden**2 * (init.kind != "gaussian")
    if results + weights > _RESULT_LIMIT:
        raise WorkbenchError(
            f"{T} checkpoints of {task.n_items} items and {hidden} hidden units take "
            f"{human_bytes(results + weights)} (limit {human_bytes(_RESULT_LIMIT)}); use fewer `checkpoints`, "
            "`measures` or a smaller `hidden`"
        )
    for measure in settings.asked:
        if measure.refuse_size is not None:
            measure.refuse_size(request, settings.of(measure))


def _kind(settings: Settings) -> Literal["balanced", "gaussian"]:
    """Of the start that is chosen, whose scale takes the modes of the task."""
    return "balanced" if settings.activation == "linear" else "gaussian"


def _memory(device: str) -> float:
    """Bytes for the chains of a checkpoint: on a GPU the sums stay in its memory, with room for as much again."""
    if device == "cpu":
        return _RESULT_LIMIT
    import torch

    return float(torch.cuda.mem_get_info()[1]) / 2


def refuse_nan(dataset: xr.Dataset, settings: Settings) -> None:
    """A result that holds a value that is not finite is not written."""
    optional = _OPTIONAL | {q.variable for measure in settings.asked for q in measure.beside if q.optional}
    for name, variable in dataset.data_vars.items():
        if variable.dtype.kind == "f" and name not in optional and not np.isfinite(variable.values).all():
            raise WorkbenchError(
                f"{name} holds values that are not finite; nothing was written. Please report this task"
            )

"""What is refused: requests beyond memory before any work, and results that are not finite before any is written."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from workbench.comparison.settings import Settings
from workbench.errors import WorkbenchError, human_bytes
from workbench.networks import Init
from workbench.semantics import SemanticTask
from workbench.simulation import Sampling
from workbench.simulation.sampling.moments import MOST_PARTS
from workbench.theory.influence.damped_newton import refuse_if_too_large as refuse_large_hessian
from workbench.theory.posterior.dense_posterior import refuse_if_too_large

#: Results (two sides, errors), and the chains of one checkpoint, beyond this many bytes are refused.
_RESULT_LIMIT = 2e9
#: Variables that may hold values that are not finite: one chain, losses that never change, modes never learned.
_OPTIONAL = ("half_rise_time", "local_bif_rhat", "local_bif_ess")


def refuse_oversized(task: SemanticTask, init: Init, how: Settings) -> None:
    """Refuse what would not fit in memory, naming the bytes and what to do instead."""
    T, numbers = how.checkpoints, how.hidden * (task.n_inputs + task.n_outputs)
    beside = 4 + MOST_PARTS if "local_bif" in how.measures else 0
    results = 8.0 * T * task.n_items**2 * (2 * len(how.measures) + beside)
    # An aligned start draws a rotation of the hidden units; its QR decomposition holds three copies.
    weights = 16.0 * T * numbers + 24.0 * how.hidden**2 * (init.kind == "balanced")
    if results + weights > _RESULT_LIMIT:
        raise WorkbenchError(
            f"{T} checkpoints of {task.n_items} items and {how.hidden} hidden units take "
            f"{human_bytes(results + weights)} (limit {human_bytes(_RESULT_LIMIT)}); use fewer --checkpoints, "
            "--measures or a smaller --hidden"
        )
    # A chain has its weights and its noise; those of one checkpoint keep their sums over pairs of items together.
    one = 64.0 * numbers + 4.0 * min(64 * numbers, 2**20)
    chains = one + how.chains * 16.0 * Sampling.batches * task.n_items**2
    # On a GPU the sums stay in its memory, with room for as much again.
    limit = _RESULT_LIMIT if how.resolve_device() == "cpu" else torch.cuda.mem_get_info()[1] / 2
    if "local_bif" in how.measures and chains > limit:
        raise WorkbenchError(
            f"{how.chains} chains of {numbers} weights take {human_bytes(chains)} "
            f"(limit {human_bytes(limit)}); use fewer --chains and more --draws"
        )
    if "local_bif" in how.measures and init.kind == "gaussian":
        refuse_if_too_large(task.n_inputs, how.hidden, task.n_outputs, task.n_items)
    if "damped_newton" in how.measures and init.kind == "gaussian":
        refuse_large_hessian(task.n_inputs, how.hidden, task.n_outputs, task.n_items)


def refuse_nan(dataset: xr.Dataset) -> None:
    """A result that holds a value that is not finite is not written."""
    for name, variable in dataset.data_vars.items():
        optional = "between_chains" in str(name) or "_correlation" in str(name) or name in _OPTIONAL
        if variable.dtype.kind == "f" and not optional and not np.isfinite(variable.values).all():
            raise WorkbenchError(
                f"{name} holds values that are not finite; nothing was written. Please report this task"
            )

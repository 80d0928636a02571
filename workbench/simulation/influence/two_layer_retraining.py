"""Leave-one-out by retraining: every item held out once, all runs in one batch."""

from __future__ import annotations

from threading import Event
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.networks import Network
from workbench.simulation.running.threads import in_threads
from workbench.simulation.training.two_layer_training import Progress, Schedule, descend, output_basis
from workbench.store import NOWHERE, Slot

Array = NDArray[np.float64]
Convention = Literal["unnormalised", "renormalised"]

#: Weights of all runs of one job together; more do not fit a processor's cache.
_JOB_WEIGHTS = 1e5
#: Floating-point operations a step from which a job of its own pays.
_WORTH_A_JOB = 1e6


def leave_one_out_weights(n_items: int, convention: Convention) -> Array:
    """``(P, P)`` item weights, row i for the run without item i.

    ``"unnormalised"``: the others keep weight 1, so the loss is ``(1/P) sum over j != i`` (eps_i = -1/P).
    ``"renormalised"``: they get P/(P-1), the mean over the items kept. The second speeds up every other item and
    so changes the sign of most early entries; never mix the two.
    """
    if convention not in ("unnormalised", "renormalised"):
        raise WorkbenchError(f"convention {convention!r} is unknown; use 'unnormalised' or 'renormalised'")
    keep = 1.0 - np.eye(n_items)
    return keep if convention == "unnormalised" else keep * n_items / (n_items - 1)


def retrain_weighted(
    start: Network,
    schedule: Schedule,
    item_weights: Array,
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float64,
    progress: Progress | None = None,
    slot: Slot = NOWHERE,
) -> Array:
    """``(T, R, P)`` item losses of R runs from the same start that weigh the items by ``(R, P)`` factors.

    With a ``slot`` the work done so far is kept there, and gone on with.
    """
    task = start.task
    basis = output_basis(task.Y, start.W2)
    Y, W2 = basis.T @ task.Y, basis.T @ start.W2
    R = len(item_weights)
    inputs = torch.tensor(task.X, dtype=dtype, device=device)
    targets = torch.tensor(Y, dtype=dtype, device=device)

    def run(rows: NDArray[np.int64], stopped: Event) -> Array:
        losses = np.zeros((len(schedule.times), len(rows), task.n_items))

        def keep(k: int, first: torch.Tensor, second: torch.Tensor) -> None:
            if stopped.is_set():
                raise WorkbenchError("retraining was stopped")
            residual = targets - second @ (first @ inputs)
            losses[k] = (0.5 * (residual**2).sum(dim=1)).cpu().numpy()

        descend(
            task.X,
            Y,
            np.broadcast_to(start.W1, (len(rows), *start.W1.shape)),
            np.broadcast_to(W2, (len(rows), *W2.shape)),
            item_weights[rows],
            schedule,
            keep,
            device=device,
            dtype=dtype,
            # All jobs do the same steps; the first speaks for them.
            progress=progress if rows[0] == 0 else None,
            slot=slot.part(rows[0]),
            recorded={"losses": losses},
        )
        return losses

    jobs = _jobs(R, start.W1.size + W2.size, 6.0 * W2.size * task.n_items) if device == "cpu" else 1
    return np.concatenate(in_threads(run, np.array_split(np.arange(R), jobs)), axis=1)


def _jobs(runs: int, weights: int, flops: float) -> int:
    """Into how many jobs to cut the runs: each small enough for a processor's cache, and work for every core."""
    cached = int(np.ceil(runs * weights / _JOB_WEIGHTS))
    shared = min(torch.get_num_threads(), int(runs * flops // _WORTH_A_JOB))
    return max(1, min(runs, max(cached, shared)))

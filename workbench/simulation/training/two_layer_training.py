"""Full-batch gradient descent of two-layer linear networks, many runs in one batch.

    W1 <- W1 + eta W2^T E,   W2 <- W2 + eta E W1^T,   E = sum_i omega_i (y_i - W2 W1 x_i) x_i^T / P

The runs of a batch may differ in their initial weights (seeds) and in the weights ``omega`` of the items (held-out
items); flow time is ``t = eta x step``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.networks import Network
from workbench.simulation.running.batches import MEMORY, Progress, run_batches, shared_progress
from workbench.simulation.running.cuda_graph import STEPS, Repeated
from workbench.simulation.running.threads import torch_threads
from workbench.simulation.training.schedule import Schedule
from workbench.store import NOWHERE, Slot
from workbench.trajectory import Trajectory

__all__ = ["Progress", "Schedule", "descend", "output_basis", "train", "train_seeds"]

Array = NDArray[np.float64]


@dataclass
class _Batch:
    """Weights of R runs and the buffers of a step; the input Gram matrix is kept as a diagonal where it is one."""

    W1: torch.Tensor
    W2: torch.Tensor
    Syx: torch.Tensor
    Sxx: torch.Tensor
    diagonal: bool
    eta: float

    def __post_init__(self) -> None:
        self._spare = torch.empty_like(self.W1)
        self._E = torch.empty(
            self.W2.shape[0], self.W2.shape[1], self.W1.shape[2], dtype=self.W1.dtype, device=self.W1.device
        )

    def step(self) -> None:
        torch.bmm(self.W2, self.W1, out=self._E)
        if self.diagonal:
            torch.addcmul(self.Syx, self._E, self.Sxx, value=-1.0, out=self._E)
            E = self._E
        else:
            E = torch.baddbmm(self.Syx, self._E, self.Sxx, alpha=-1.0)
        torch.baddbmm(self.W1, self.W2.mT, E, alpha=self.eta, out=self._spare)
        self.W2.baddbmm_(E, self.W1.mT, alpha=self.eta)
        if self.W1.is_cuda:  # `Repeated` wants the weights where they were
            self.W1.copy_(self._spare)
        else:
            self.W1, self._spare = self._spare, self.W1


def descend(
    X: Array,
    Y: Array,
    W1: Array,
    W2: Array,
    item_weights: Array,
    schedule: Schedule,
    record: Callable[[int, torch.Tensor, torch.Tensor], None],
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float64,
    progress: Progress | None = None,
    slot: Slot = NOWHERE,
    recorded: dict[str, Array] | None = None,
) -> None:
    """Train a batch of R runs and hand their weights to ``record`` at every checkpoint.

    Args:
        X: ``(N_i, P)``. Y: ``(N_o, P)``.
        W1: ``(R, N_h, N_i)``. W2: ``(R, N_o, N_h)``; initial weights.
        item_weights: ``(R, P)`` factors omega; 1 keeps an item, 0 leaves it out.
        schedule: learning rate and checkpoints.
        record: called as ``record(checkpoint index, W1, W2)`` with tensors that are overwritten later.
        progress: called with the number of steps done since the last call.
        slot: where to keep the work done so far, and to go on with what was kept there.
        recorded: the arrays that ``record`` writes to; they are kept along.

    The steps are too small for several torch threads: `torch_threads(1)` around the call, or one job a core
    (`in_threads`), is faster.
    """
    if not (W1.shape[0] == W2.shape[0] == item_weights.shape[0]):
        raise WorkbenchError(f"batch sizes differ: W1 {W1.shape[0]}, W2 {W2.shape[0]}, weights {item_weights.shape[0]}")
    P = X.shape[1]
    weighted = item_weights[:, None, :] / P * X  # (R, N_i, P)
    Sxx = weighted @ X.T
    diagonal = bool((Sxx == Sxx * np.eye(X.shape[0])).all())

    def tensor(values: Array) -> torch.Tensor:
        return torch.tensor(values, dtype=dtype, device=device)

    batch = _Batch(
        tensor(W1),
        tensor(W2),
        tensor(Y @ weighted.transpose(0, 2, 1)),
        tensor(np.diagonal(Sxx, axis1=1, axis2=2)[:, None, :] if diagonal else Sxx),
        diagonal,
        schedule.eta,
    )
    steps = Repeated(batch.step, batch.W1.device)
    recorded, times = recorded or {}, schedule.times
    done = before = _restored(slot, batch, recorded)
    if progress and done:
        progress(done)
    for k, wanted in enumerate(schedule.steps):
        if wanted < before:
            continue
        while done < wanted:
            stride = min(STEPS, wanted - done)
            steps(stride)
            done += stride
            if progress:
                progress(stride)
            if slot.due():
                slot.save({"done": done, "W1": batch.W1.cpu(), "W2": batch.W2.cpu(), **recorded})
        if not bool(torch.isfinite(batch.W2).all()):
            raise WorkbenchError(
                f"training diverged before t = {times[k]:.4g} with eta = {schedule.eta:.3g}; "
                "the largest stable learning rate is 2 / (largest curvature), about 1 / s_max: use a smaller --eta"
            )
        record(k, batch.W1, batch.W2)
    slot.save({"done": done, "W1": batch.W1.cpu(), "W2": batch.W2.cpu(), **recorded})


def _restored(slot: Slot, batch: _Batch, recorded: dict[str, Array]) -> int:
    """Put what was kept back into the batch and the records; the steps it had done."""
    kept = slot.load()
    if kept is None:
        return 0
    batch.W1.copy_(torch.from_numpy(kept["W1"]))
    batch.W2.copy_(torch.from_numpy(kept["W2"]))
    for name, values in recorded.items():
        values[:] = kept[name]
    return int(kept["done"])


def output_basis(Y: Array, W2: Array) -> Array:
    """``(N_o, q)`` orthonormal columns that span the targets and the initial outputs: the space training happens in.

    Gradient descent commutes with rotations of the outputs, and the residuals never leave ``span[Y, W2(0)]``:
    trained in this basis, ``B^T Y`` and ``B^T W2``, a network has the same losses and hidden weights, with
    q <= P + N_h outputs.
    """
    columns = np.concatenate([Y, W2], axis=1)
    left, size, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, size > 1e-13 * size[0]])


def train(
    start: Network,
    schedule: Schedule,
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float64,
    progress: Progress | None = None,
    slot: Slot = NOWHERE,
) -> Trajectory:
    """Train one network on all items and keep its weights at every checkpoint."""
    return train_seeds([start], schedule, device=device, dtype=dtype, progress=progress, slot=slot)[0]


def train_seeds(
    starts: list[Network],
    schedule: Schedule,
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float64,
    memory: float = MEMORY,
    progress: Progress | None = None,
    slot: Slot = NOWHERE,
) -> list[Trajectory]:
    """Train networks of one shape from several starts side by side; one trajectory a start.

    With a ``slot`` the work done so far is kept there, and gone on with. Runs that take more than ``memory`` bytes at
    one time, besides what is kept of them, are trained in several batches.
    """
    N, inputs = starts[0].W1.size + starts[0].W2.size, starts[0].W1.shape[1]
    batches = run_batches(len(starts), 8.0 * (3 * N + inputs * (inputs + starts[0].W2.shape[0])), memory)
    report = shared_progress(progress, len(batches))
    found: list[Trajectory] = []
    for runs in batches:
        found += _train_batch(starts[runs], schedule, device, dtype, report, slot.part(runs.start))
    return found


def _train_batch(
    starts: list[Network],
    schedule: Schedule,
    device: str,
    dtype: torch.dtype,
    progress: Progress | None,
    slot: Slot,
) -> list[Trajectory]:
    task, T = starts[0].task, len(schedule.times)
    W1 = np.zeros((T, len(starts), *starts[0].W1.shape))
    W2 = np.zeros((T, len(starts), *starts[0].W2.shape))
    basis = output_basis(task.Y, np.concatenate([start.W2 for start in starts], axis=1))

    def keep(k: int, first: torch.Tensor, second: torch.Tensor) -> None:
        W1[k], W2[k] = first.cpu().numpy(), basis @ second.cpu().numpy()

    with torch_threads(1):
        descend(
            task.X,
            basis.T @ task.Y,
            np.stack([start.W1 for start in starts]),
            np.stack([basis.T @ start.W2 for start in starts]),
            np.ones((len(starts), task.n_items)),
            schedule,
            keep,
            device=device,
            dtype=dtype,
            progress=progress,
            slot=slot,
            recorded={"at_W1": W1, "at_W2": W2},
        )
    return [
        Trajectory(start, "trained", schedule.times, (W1[:, r], W2[:, r]), schedule.eta)
        for r, start in enumerate(starts)
    ]

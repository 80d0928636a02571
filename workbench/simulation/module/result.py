"""What sampling around a checkpoint of a module returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from workbench import __version__
from workbench.errors import WorkbenchError, human_bytes
from workbench.simulation.module.plan import ModulePlan, ModuleSampling
from workbench.simulation.sampling.convergence import rhat_and_ess
from workbench.simulation.sampling.learning_coefficient import LearningCoefficientEstimate
from workbench.simulation.sampling.moments import BatchMoments, CovarianceEstimate, estimate

Array = NDArray[np.float64]

#: Sums of all pairs of losses may take this many bytes.
_MEMORY = 1e9
SIGN = "change of the target's loss per extra weight on the source: negative helps"


@dataclass(frozen=True, eq=False)
class ModuleSamples:
    """Losses along the chains, and what follows from them.

    Attributes:
        traces: ``(C, draws, P)`` losses of every observed example and token, row after row.
        reference: ``(P,)`` the same at the checkpoint.
        shape: of one draw before it was flattened: ``(examples,)`` or ``(examples, tokens)``.
        plan: step, burn-in and thinning. sampling: what was asked for.
        n_beta, gamma: of the posterior.
        batching: how the chains were moved, and why.
    """

    traces: NDArray[Any]
    reference: Array
    shape: tuple[int, ...]
    plan: ModulePlan
    sampling: ModuleSampling
    n_beta: float
    gamma: float
    batching: str

    @cached_property
    def _diagnostics(self) -> tuple[Array, Array]:
        rhat, ess = rhat_and_ess(self.traces[None].astype(np.float64))
        return rhat[0], ess[0]

    @property
    def rhat(self) -> Array:
        """``(P,)`` rank-normalised split R-hat."""
        return self._diagnostics[0]

    @property
    def ess(self) -> Array:
        """``(P,)`` effective sample size of the mean."""
        return self._diagnostics[1]

    @property
    def meaning(self) -> str:
        """The posterior in words."""
        unit = "examples" if len(self.shape) == 1 else "tokens"
        batch = "all data" if self.sampling.batch_size is None else f"a mini-batch of {self.sampling.batch_size}"
        return (
            f"exp(-n beta L(w) - gamma |w - w*|^2 / 2) with n beta = {self.n_beta:g} and gamma = {self.gamma:g}; "
            f"n beta multiplies L, the mean of the losses over all {unit} of {batch}, and not their sum"
        )

    def estimate(self) -> CovarianceEstimate:
        """Covariance and correlation of all pairs of losses with their errors, one checkpoint: shapes ``(1, P, P)``."""
        C, draws, P = self.traces.shape
        need = 8.0 * (self.sampling.batches * C + 6) * P**2
        if need > _MEMORY:
            raise WorkbenchError(
                f"covariances of {P} losses take {human_bytes(need)}; observe fewer examples, or take means over groups"
            )
        reference = torch.tensor(self.reference).expand(C, P)
        moments = BatchMoments(reference, draws, self.sampling.batches)
        for draw in range(draws):
            moments.add(torch.tensor(self.traces[:, draw], dtype=torch.float64))
        return estimate(moments, C)

    def influence(self, names: Sequence[str] | None = None) -> xr.Dataset:
        """``local_bif`` = -Cov(l_source, l_target) and its standard error, with names as coordinates."""
        covariance, P = self.estimate(), self.traces.shape[2]
        labels = [str(k) for k in range(P)] if names is None else list(names)
        if len(labels) != P:
            raise WorkbenchError(f"{len(labels)} names for {P} losses; give one each")
        dims = ("source", "target")
        values = {"local_bif": (dims, -covariance.covariance[0]), "local_bif_stderr": (dims, covariance.stderr[0])}
        diagnostics = {"rhat": ("target", self.rhat), "ess": ("target", self.ess)}
        attrs = {
            "measure": "local_bif",
            "units": "loss^2",
            "sign": SIGN,
            "posterior": self.meaning,
            "sampler": self.sampling.sampler,
            "step": self.plan.step,
            "burn_in": self.plan.burn_in,
            "thin": self.plan.thin,
            "seed": self.sampling.seed,
            "batching": self.batching,
            "code_version": __version__,
        }
        return xr.Dataset(values | diagnostics, coords={"source": labels, "target": labels}, attrs=attrs)

    def learning_coefficient(self) -> LearningCoefficientEstimate:
        """``n beta (E L - L(w*))`` over the observed losses, ``(1,)``, and its error from the spread of the chains."""
        excess = self.traces.astype(np.float64).mean(axis=(1, 2)) - self.reference.mean()
        spread = excess.std(ddof=1) / len(excess) ** 0.5 if len(excess) > 1 else np.nan
        return LearningCoefficientEstimate(
            np.array([self.n_beta * excess.mean()]), np.array([self.n_beta * float(spread)])
        )

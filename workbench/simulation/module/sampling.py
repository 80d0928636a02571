"""Sample the local posterior around a checkpoint of any torch module.

    p(w) ~ exp(-n beta L(w) - gamma |w - w*|^2 / 2),      L the mean of the losses

by SGLD, ``w <- w - (eps/2) grad U + sqrt(eps) xi``, or preconditioned by RMSProp, ``V <- a V + (1 - a) (grad U)^2``,
``G = 1 / (delta + sqrt V)``, ``w <- w - (eps/2) G grad U + sqrt(eps G) xi``, without its Gamma term; see `rmsprop` for
what that costs. V is the plain mean of all squares so far until there are enough for its running mean. At n beta = 0
no gradient of the loss is computed: the chains are those of the localization alone, the control.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Event

import numpy as np
import torch
from torch import nn

from workbench.errors import WorkbenchError
from workbench.simulation.module.chains import ModuleChains
from workbench.simulation.module.losses import Data, Losses, ModuleLosses, length
from workbench.simulation.module.plan import ModuleSampling, module_plan
from workbench.simulation.module.result import ModuleSamples
from workbench.store import NOWHERE, Slot

__all__ = ["ModuleSampling", "sample_module_checkpoints", "sample_module_posterior"]

Progress = Callable[[int], None]


def sample_module_posterior(
    model: nn.Module,
    losses: Losses,
    checkpoint: Mapping[str, torch.Tensor] | None,
    data: Data,
    *,
    n_beta: float,
    gamma: float,
    sampling: ModuleSampling | None = None,
    observed: Data = None,
    number: int = 0,
    label: str = "",
    progress: Progress | None = None,
    stopped: Event | None = None,
    slot: Slot = NOWHERE,
) -> ModuleSamples:
    """Losses along chains around one checkpoint of a module, which itself stays as it is.

    Args:
        model: the module; parameters that are not chosen keep the values of the checkpoint.
        losses: ``losses(model, batch)``: ``(batch,)`` or ``(batch, tokens)``.
        checkpoint: a state dict; None: the weights that the module has.
        data: what L is the mean over: tensors whose first dimension counts examples.
        n_beta: what L is multiplied by; 0 switches the loss off. gamma: localization.
        sampling: chains, draws, sampler, and which parameters.
        observed: examples whose losses are kept at every draw; None: ``data``.
        number: of the checkpoint, a part of the random streams. label: its name in error messages.
        progress: called with the number of chain-steps done since the last call.
        stopped: set by another thread, it ends the sampling.
        slot: where to keep the chains as they run, and to go on with what was kept there.

    Raises:
        WorkbenchError: for losses of the wrong shape, or a batch larger than the data.
        ConditionError: where there is no local posterior (when its curvature is looked at: step, burn_in or thin open).
        SamplingError: if a chain diverges, with the step that would do; if the chains are too short.
    """
    settings = _settings(sampling, n_beta, gamma, data)
    own, watched = (
        ModuleLosses.at(model, losses, checkpoint, settings.parameters),
        data if observed is None else observed,
    )
    _check_precision(own)
    own.checked(watched)  # before curvatures are looked at
    plan = module_plan(own, data, n_beta, gamma, settings)
    run = ModuleChains(own, own.star[None], data, n_beta, gamma, settings, plan, number, label)
    return run.to_end(watched, progress, stopped, slot)[0]


def sample_module_checkpoints(
    model: nn.Module,
    losses: Losses,
    checkpoints: Sequence[Mapping[str, torch.Tensor]],
    data: Data,
    *,
    n_beta: float,
    gamma: float,
    sampling: ModuleSampling,
    observed: Data = None,
) -> list[ModuleSamples]:
    """Around every checkpoint as `sample_module_posterior`, all chains of all of them side by side.

    That is quicker where one chain alone leaves the processor idle, in models of some thousand weights. All share one
    step, which ``sampling`` must give together with burn_in and thin. What is not sampled must be the same in all.
    """
    settings = _settings(sampling, n_beta, gamma, data)
    if None in (settings.step, settings.burn_in, settings.thin):
        raise WorkbenchError("`sampling` leaves step, burn_in or thin open; give all three, for all checkpoints alike")
    each = [ModuleLosses.at(model, losses, checkpoint, settings.parameters) for checkpoint in checkpoints]
    _check_precision(each[0])
    _check_rest(each)
    centres = torch.stack([own.star for own in each])
    plan = module_plan(each[0], data, n_beta, gamma, settings)
    run = ModuleChains(each[0], centres, data, n_beta, gamma, settings, plan, 0, "")
    return run.to_end(data if observed is None else observed)


def _check_precision(own: ModuleLosses) -> None:
    """Steps of a chain are a small part of a weight; two or three digits cannot hold them."""
    if torch.finfo(own.star.dtype).eps > 1e-6:
        raise WorkbenchError(f"weights of {own.star.dtype} round the steps of a chain away; sample model.float()")


def _check_rest(each: Sequence[ModuleLosses]) -> None:
    """All are moved in one module, so that they cannot differ in weights that stay as they are."""
    for own in each[1:]:
        first, other = each[0].rest(), own.rest()
        unlike = [name for name in first if not torch.equal(first[name], other[name])]
        if unlike:
            raise WorkbenchError(f"checkpoints differ in {', '.join(unlike)}, not sampled; sample each by itself")


def _settings(sampling: ModuleSampling | None, n_beta: float, gamma: float, data: Data) -> ModuleSampling:
    settings = sampling or ModuleSampling()
    if not (np.isfinite(n_beta) and n_beta >= 0 and np.isfinite(gamma) and gamma > 0):
        raise WorkbenchError(
            f"`n_beta` {n_beta:g}, `gamma` {gamma:g}; give an n beta of 0 or more, and a positive gamma"
        )
    if settings.batch_size is not None and settings.batch_size > length(data):
        raise WorkbenchError(f"`batch_size` {settings.batch_size} of {length(data)} examples; use that many or fewer")
    return settings

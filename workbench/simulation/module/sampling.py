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
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from workbench.errors import SamplingError, WorkbenchError
from workbench.simulation.module.batching import Chains, batched, chosen, looped
from workbench.simulation.module.losses import Data, Losses, ModuleLosses, length
from workbench.simulation.module.plan import ModulePlan, ModuleSampling, check_measured_length, diverged, module_plan
from workbench.simulation.module.result import ModuleSamples
from workbench.simulation.sampling.rmsprop import ALPHA, DELTA
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
    own.checked(watched)  # before curvatures are looked at
    plan = module_plan(own, data, n_beta, gamma, settings)
    run = _Run(own, own.star[None], data, n_beta, gamma, settings, plan, number, label)
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
    step, which ``sampling`` must give together with burn_in and thin.
    """
    settings = _settings(sampling, n_beta, gamma, data)
    if None in (settings.step, settings.burn_in, settings.thin):
        raise WorkbenchError("`sampling` leaves step, burn_in or thin open; give all three, for all checkpoints alike")
    each = [ModuleLosses.at(model, losses, checkpoint, settings.parameters) for checkpoint in checkpoints]
    centres = torch.stack([own.star for own in each])
    plan = module_plan(each[0], data, n_beta, gamma, settings)
    run = _Run(each[0], centres, data, n_beta, gamma, settings, plan, 0, "")
    return run.to_end(data if observed is None else observed)


def _settings(sampling: ModuleSampling | None, n_beta: float, gamma: float, data: Data) -> ModuleSampling:
    settings = sampling or ModuleSampling()
    if not (np.isfinite(n_beta) and n_beta >= 0 and np.isfinite(gamma) and gamma > 0):
        raise WorkbenchError(
            f"`n_beta` {n_beta:g}, `gamma` {gamma:g}; give an n beta of 0 or more, and a positive gamma"
        )
    if settings.batch_size is not None and settings.batch_size > length(data):
        raise WorkbenchError(f"`batch_size` {settings.batch_size} of {length(data)} examples; use that many or fewer")
    return settings


class _Run:
    """C chains around each of K centres: weights ``(K C, N)``, the streams of their random numbers, V for RMSProp."""

    def __init__(
        self,
        model: ModuleLosses,
        centres: torch.Tensor,
        data: Data,
        n_beta: float,
        gamma: float,
        settings: ModuleSampling,
        plan: ModulePlan,
        number: int,
        label: str,
    ) -> None:
        self._model, self._data, self._settings, self.plan = model, data, settings, plan
        self._n_beta, self._gamma, self._label = n_beta, gamma, label
        self._centres = centres
        self._star = centres.repeat_interleave(settings.chains, dim=0)
        self._w = self._star.clone()
        self._V = torch.zeros_like(self._w) if settings.sampler == "rmsprop" else None
        numbers = [(number + k, chain) for k in range(len(centres)) for chain in range(settings.chains)]
        self._streams = [_stream(settings.seed, k, chain, centres.device) for k, chain in numbers]
        self._chains: Chains | None = None
        self.why = "no gradient: n beta = 0"

    def to_end(
        self, watched: Data, progress: Progress | None = None, stopped: Event | None = None, slot: Slot = NOWHERE
    ) -> list[ModuleSamples]:
        """The samples around every centre; also those of a run that was kept."""
        references = [self._model.checked(watched, centre) for centre in self._centres]
        traces = self._traces(watched, references[0], progress, stopped, slot)
        by_centre = traces.reshape(len(references), -1, *traces.shape[1:])
        return [self._samples(one, reference) for one, reference in zip(by_centre, references, strict=True)]

    def _samples(self, traces: NDArray[Any], reference: torch.Tensor) -> ModuleSamples:
        flat, n_beta, gamma = reference.flatten().cpu().numpy().astype(np.float64), self._n_beta, self._gamma
        samples = ModuleSamples(
            traces, flat, tuple(reference.shape), self.plan, self._settings, n_beta, gamma, self.why
        )
        if not self._settings.any_length:
            check_measured_length(samples.ess, self._settings, self.plan.thin)
        return samples

    def _traces(
        self, watched: Data, reference: torch.Tensor, progress: Progress | None, stopped: Event | None, slot: Slot
    ) -> NDArray[Any]:
        """``(K C, draws, P)`` losses."""
        settings, total = self._settings, self.plan.steps(self._settings.draws)
        traces = np.zeros((len(self._w), settings.draws, reference.numel()), dtype=reference.cpu().numpy().dtype)
        step, drawn = self._resume(slot, traces)
        if progress and step:
            progress(len(self._w) * step)
        self._choose()
        while step < total:
            self._step(step)
            if self.plan.draws_at(step):
                assert self._chains is not None
                values = self._chains.losses(self._w, watched)
                self._check(values)
                traces[:, drawn] = values.cpu().numpy()
                drawn += 1
            step += 1
            if stopped is not None and stopped.is_set():
                raise SamplingError("sampling was stopped")
            if progress:
                progress(len(self._w))
            if slot.due():
                self._keep(slot, step, traces[:, :drawn])
        self._keep(slot, total, traces)
        return traces

    def _choose(self) -> None:
        if self._chains is not None:
            return
        if not self._n_beta:
            self._chains = looped(self._model)
            return
        index = self._mini_batches([_stream(0, 0, 0, self._w.device)] * len(self._w))
        self._chains, self.why = chosen(self._model, self._settings.batching, self._w, self._data, index)

    def _mini_batches(self, streams: list[torch.Generator]) -> torch.Tensor | None:
        """``(C, m)`` examples, drawn without replacement for every chain by itself."""
        m, count = self._settings.batch_size, length(self._data)
        if m is None:
            return None
        device = self._w.device
        return torch.stack([torch.randperm(count, generator=stream, device=device)[:m] for stream in streams])

    def _step(self, step: int) -> None:
        w, eps = self._w, self.plan.step
        force = self._gamma * (w - self._star)
        if self._n_beta:
            assert self._chains is not None
            gradients = self._chains.gradients(w, self._data, self._mini_batches(self._streams))
            force.add_(gradients.detach(), alpha=self._n_beta)
        noise = torch.stack(
            [torch.randn(w[0].shape, generator=s, device=w.device, dtype=w.dtype) for s in self._streams]
        )
        if self._V is None:
            w.add_(force, alpha=-eps / 2).add_(noise, alpha=eps**0.5)
            return
        keep = min(ALPHA, 1 - 1 / (step + 1))
        # Before there is a history, its least possible mean: the localization alone has precision gamma.
        square = force.square() if step else force.square() + self._gamma
        self._V.mul_(keep).add_(square, alpha=1 - keep)
        G = self._V.sqrt().add_(DELTA).reciprocal_()
        w.addcmul_(G, force, value=-eps / 2).addcmul_(G.sqrt_(), noise, value=eps**0.5)

    def _check(self, values: torch.Tensor) -> None:
        alive = torch.isfinite(values).all(dim=1) & torch.isfinite(self._w).all(dim=1)
        if not bool(alive.all()):
            raise diverged(
                self._model,
                self._data,
                self._n_beta,
                self._gamma,
                plan=self.plan,
                sampling=self._settings,
                alive=alive,
                at=f" at {self._label}" if self._label else "",
            )

    def _keep(self, slot: Slot, step: int, traces: NDArray[Any]) -> None:
        if slot.store is None:
            return
        streams = np.stack([stream.get_state().numpy() for stream in self._streams])
        arrays = {"step": step, "w": self._w.cpu().numpy(), "streams": streams, "traces": traces, "why": self.why}
        slot.save(arrays if self._V is None else arrays | {"V": self._V.cpu().numpy()})

    def _resume(self, slot: Slot, traces: NDArray[Any]) -> tuple[int, int]:
        """Go on where a run was kept: steps and draws done."""
        kept = slot.load()
        if kept is None:
            return 0, 0
        self._w.copy_(torch.from_numpy(kept["w"].copy()))
        if self._V is not None:
            self._V.copy_(torch.from_numpy(kept["V"].copy()))
        for stream, state in zip(self._streams, kept["streams"], strict=True):
            stream.set_state(torch.from_numpy(state.copy()))
        drawn = kept["traces"].shape[1]
        traces[:, :drawn] = kept["traces"]
        self.why = str(kept["why"])
        # The same way as before: the other one rounds differently.
        if self._n_beta:
            self._chains = (batched if "batched by vmap" in self.why.split(":")[0] else looped)(self._model)
        return int(kept["step"]), drawn


def _stream(seed: int, number: int, chain: int, device: torch.device) -> torch.Generator:
    state = np.random.SeedSequence((seed, number, chain)).generate_state(1, np.uint64)[0]
    return torch.Generator(device=device).manual_seed(int(state >> 1))

"""The chains of `sampling` on their way: steps, draws, and how they are kept and gone on with."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import SamplingError
from workbench.simulation.module.batching import Chains, batched, chosen, looped
from workbench.simulation.module.losses import Data, ModuleLosses, length
from workbench.simulation.module.plan import ModulePlan, ModuleSampling, check_measured_length, diverged
from workbench.simulation.module.result import ModuleSamples
from workbench.simulation.sampling.rmsprop import ALPHA, DELTA
from workbench.store import NOWHERE, Slot

Progress = Callable[[int], None]


class ModuleChains:
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
        self._w, self._noise = self._star.clone(), torch.empty_like(self._star)
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
        for own, stream in zip(self._noise, self._streams, strict=True):
            own.normal_(generator=stream)
        noise = self._noise
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
        # Sums are infinite or NaN where a term is, and cost a tenth of asking every weight.
        alive = torch.isfinite(values.sum(dim=1)) & torch.isfinite(self._w.sum(dim=1))
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

"""Everything that is measured at one checkpoint of one language model, as labelled arrays without a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from workbench.language.corpus import Corpus, Ints
from workbench.language.groups import group_influence
from workbench.language.heads import HeadScores, head_scores, induction_places
from workbench.language.settings import Posterior
from workbench.language.training import class_mean_errors, class_means
from workbench.simulation.module import (
    Losses,
    ModuleLosses,
    ModuleSamples,
    ModuleSampling,
    group_kernel,
    sample_module_posterior,
)
from workbench.store import NOWHERE, Slot

Array = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]

#: The kernel holds sums of gradients, 2 G N numbers and their copies; above this many bytes it is left out.
_KERNEL_MEMORY = 1e9


@dataclass(frozen=True, eq=False)
class Subject:
    """A language model and the text that it is asked about.

    Attributes:
        model: the module. losses: per-token losses of a batch of tokens.
        patterns: attention ``(documents, heads, n, n)`` of every layer; None where the model does not tell.
        data: ``(documents, n)`` tokens that mini-batches are drawn from.
        observed: documents whose losses the chains follow, with classes. shown: the first so many of them are kept
            token by token.
    """

    model: nn.Module
    losses: Losses
    patterns: Callable[[nn.Module, torch.Tensor], list[torch.Tensor]] | None
    data: torch.Tensor
    observed: Corpus
    shown: int

    @property
    def tokens(self) -> torch.Tensor:
        """``(documents, n)`` observed."""
        return torch.tensor(self.observed.tokens, device=self.data.device)

    def on(self, device: str) -> Subject:
        """The same with its model and tokens on a device of torch, which sampling and kernel then use."""
        return replace(self, model=self.model.to(device), data=self.data.to(device))


def measure(
    subject: Subject,
    state: Mapping[str, torch.Tensor],
    posterior: Posterior,
    *,
    number: int,
    label: str,
    seed: int,
    permutations: int,
    progress: Callable[[int], None] | None = None,
    stopped: Event | None = None,
    slot: Slot = NOWHERE,
) -> Arrays:
    """Losses by class, influence with the loss on and off, kernel, heads, learning coefficient at one checkpoint.

    Args:
        number: of the checkpoint, part of the random streams. label: its name in error messages.
        progress: told about chain-steps; see `chain_steps`.
    """
    if (kept := slot.load()) is not None:
        if progress:
            progress(chain_steps(posterior))
        return kept
    own = ModuleLosses.at(subject.model, subject.losses, state, posterior.parameters)
    sampling = posterior.sampling(seed)

    def sampled(n_beta: float, name: str) -> ModuleSamples:
        return sample_module_posterior(
            subject.model,
            subject.losses,
            state,
            subject.data,
            n_beta=n_beta,
            gamma=posterior.gamma,
            sampling=sampling if n_beta else _without_loss(sampling),
            observed=subject.tokens,
            number=number,
            label=label,
            progress=progress,
            stopped=stopped,
            slot=slot.part(name),
        )

    chains, control = sampled(posterior.n_beta, "chains"), sampled(0.0, "control")
    groups, G = subject.observed.targets.ravel(), len(subject.observed.class_names)
    arrays = _groups("group", chains, groups, G, permutations, seed)
    arrays |= _groups("control", control, groups, G, 1, seed)
    for name in ("control_correlation_null", "control_correlation_null_spread"):
        arrays.pop(name)
    arrays |= _of_chains(chains, subject, groups, G)
    arrays |= _kernel(own, subject, groups, G, posterior.gamma) | _heads(subject, own) | _tokens(chains, subject)
    slot.save(arrays)
    return arrays


def _of_chains(chains: ModuleSamples, subject: Subject, groups: NDArray[np.int64], G: int) -> Arrays:
    """Losses, learning coefficient, and how well the chains ran, by class."""
    coefficient = chains.learning_coefficient()
    return {
        "class_loss": class_means(chains.reference, subject.observed),
        "class_loss_stderr": class_mean_errors(chains.reference, subject.observed),
        "learning_coefficient": coefficient.value[0],
        "learning_coefficient_stderr": coefficient.stderr[0],
        "loss_rise": chains.traces.mean() - chains.reference.mean(),
        "rhat": _by_class(chains.rhat, groups, G, np.max),
        "ess": _by_class(chains.ess, groups, G, np.median),
        "batching": np.asarray(chains.batching),
        "meaning": np.asarray(chains.meaning),
    }


def chain_steps(posterior: Posterior) -> int:
    """Chain-steps of one checkpoint, with and without the loss."""
    return 2 * posterior.chains * (posterior.burn_in + 1 + posterior.thin * (posterior.draws - 1))


def _without_loss(sampling: ModuleSampling) -> ModuleSampling:
    # There is no gradient whose mean square could be the preconditioner: plain steps of the same size.
    return replace(sampling, sampler="sgld")


def _groups(name: str, samples: ModuleSamples, groups: Ints, G: int, permutations: int, seed: int) -> Arrays:
    influence = group_influence(samples.traces, groups, G, permutations=permutations, seed=seed)
    return {
        f"{name}_covariance": influence.covariance,
        f"{name}_covariance_stderr": influence.covariance_stderr,
        f"{name}_correlation": influence.correlation,
        f"{name}_correlation_stderr": influence.correlation_stderr,
        f"{name}_correlation_null": influence.null,
        f"{name}_correlation_null_spread": influence.null_spread,
    }


def _kernel(own: ModuleLosses, subject: Subject, groups: Ints, G: int, gamma: float) -> Arrays:
    if 32.0 * G * own.n_weights > _KERNEL_MEMORY:
        empty = np.full((G, G), np.nan)
        return {"kernel_covariance": empty, "kernel_correlation": empty}
    kernel = group_kernel(own, subject.tokens, groups, G)
    return {"kernel_covariance": kernel.product / gamma, "kernel_correlation": kernel.cosine}


def _heads(subject: Subject, own: ModuleLosses) -> Arrays:
    if subject.patterns is None:
        return {}
    places = induction_places(subject.observed.tokens)
    if "induction" in subject.observed.class_names:
        wanted = subject.observed.class_names.index("induction")
        places = places[subject.observed.classes[places[:, 0], places[:, 1] + 1] == wanted]
    model: Any = own.asked
    with torch.no_grad():
        scores: HeadScores = head_scores(subject.patterns(model.model, subject.tokens), places)
    return {
        "prefix_matching": scores.prefix_matching,
        "previous_token": scores.previous_token,
        "even": np.asarray(scores.even),
    }


def _tokens(samples: ModuleSamples, subject: Subject) -> Arrays:
    """Minus the correlation of every pair of losses within the documents that are shown, and its standard error."""
    n = samples.shape[1]
    traces = samples.traces.reshape(*samples.traces.shape[:2], -1, n)[:, :, : subject.shown].astype(np.float64)
    z = (traces - traces.mean(axis=1, keepdims=True)) / traces.std(axis=1, keepdims=True)
    by_chain = np.einsum("ctdi,ctdj->cdij", z, z) / z.shape[1]
    error = by_chain.std(axis=0, ddof=1) / len(by_chain) ** 0.5
    return {"token_correlation": -by_chain.mean(axis=0), "token_correlation_stderr": error}


def _by_class(values: Array, groups: Ints, G: int, reduce: Callable[[Array], Any]) -> Array:
    return np.array([reduce(values[groups == g]) if (groups == g).any() else np.nan for g in range(G)])

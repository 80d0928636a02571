"""Claims about language models, each tested by training and sampling the small transformer: minutes, not seconds."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.language.corpus import CONTEXT, VOCABULARY
from workbench.language.groups import GroupInfluence, group_influence
from workbench.language.model import Shape, Transformer, token_losses
from workbench.language.settings import LanguageSettings, Posterior
from workbench.language.study import corpora, observed_documents
from workbench.language.training import State, Training, train
from workbench.simulation.module import ModuleLosses, group_kernel, sample_module_posterior
from workbench.verification.claims import Claim, Outcome, at_least, measured

Array = NDArray[np.float64]

#: Named before any seed was looked at beyond the first: digits are learned from step 20 to step 35 or so.
_BEFORE, _DURING, _AFTER = 0, 26, 90
#: Where the heads that look a name up are about to form, and before anything but spaces is learned.
_EARLY, _LATE = 16, 90
_CHAINS = Posterior(chains=12, draws=60, batch=8)
#: Where 12 chains leave the second sign at 3.6 standard errors on the seed that was tried first.
_MANY = 24
_DOCUMENTS = 16
_SURE = 4.0


@cache
def _states(seed: int) -> dict[int, State]:
    """Weights of one training at the steps that claims look at."""
    settings = LanguageSettings(seed=seed)
    corpus, _ = corpora(settings)
    steps = np.unique([_BEFORE, _EARLY, _DURING, _AFTER, _LATE])
    model = Transformer(Shape(VOCABULARY, CONTEXT), seed)
    trained = train(model, corpus, steps, Training(int(steps.max()), seed=seed))
    return dict(zip(trained.steps.tolist(), trained.states, strict=True))


@cache
def _sampled(
    seed: int, step: int, n_beta: float, gamma: float, chains: int
) -> tuple[GroupInfluence, Array, tuple[str, ...]]:
    """Group influence around a checkpoint, and the kernel over gamma in the same form and sign."""
    settings = LanguageSettings(seed=seed)
    corpus, held_out = corpora(settings)
    observed = observed_documents(held_out, _DOCUMENTS)
    model, state = Transformer(Shape(VOCABULARY, CONTEXT), seed), _states(seed)[step]
    tokens, groups, G = torch.tensor(observed.tokens), observed.targets.ravel(), len(observed.class_names)
    eps = _CHAINS.step * _CHAINS.gamma / gamma
    posterior = Posterior(chains=chains, draws=_CHAINS.draws, batch=_CHAINS.batch, step=eps)
    samples = sample_module_posterior(
        model, token_losses, state, torch.tensor(corpus.tokens), n_beta=n_beta, gamma=gamma,
        sampling=posterior.sampling(seed), observed=tokens, number=step,
    )  # fmt: skip
    kernel = group_kernel(ModuleLosses.at(model, token_losses, state), tokens, groups, G)
    return group_influence(samples.traces, groups, G, permutations=1), kernel.product / gamma, observed.class_names


def _influence(seed: int, step: int, source: str, target: str, chains: int = _CHAINS.chains) -> tuple[float, float]:
    """Minus the correlation between two classes, and its standard error, at the usual settings."""
    samples, _, names = _sampled(seed, step, _CHAINS.n_beta, _CHAINS.gamma, chains)
    place = names.index(source), names.index(target)
    return float(samples.correlation[place]), float(samples.correlation_stderr[place])


def _strongest_in_its_stage() -> Outcome:
    """The least of six differences in standard errors: digits at their stage against before and after, three seeds."""
    least = np.inf
    for seed in (0, 1, 2):
        during, error = _influence(seed, _DURING, "digit", "digit")
        for step in (_BEFORE, _AFTER):
            other, its_error = _influence(seed, step, "digit", "digit")
            least = min(least, (other - during) / np.hypot(error, its_error))
    return at_least(_SURE, least)


def _changes_sign() -> Outcome:
    """Standard errors by which the less sure of the two signs is sure."""
    early, early_error = _influence(1, _EARLY, "name start", "induction", _MANY)
    late, late_error = _influence(1, _LATE, "name start", "induction", _MANY)
    sure = min(-early / early_error, late / late_error)
    return at_least(_SURE, sure)


def _is_the_kernel() -> Outcome:
    """The largest deviation from the kernel over gamma, in standard errors, of 66 pairs; the slope is shown."""
    gamma = 1e7
    sampled, kernel, _ = _sampled(0, _DURING, _CHAINS.n_beta, gamma, _CHAINS.chains)
    upper = np.triu_indices(len(kernel))
    bias = 1 / (1 - _CHAINS.step * _CHAINS.gamma / 4)  # of the step size on a variance 1/gamma
    covariance, predicted, error = sampled.covariance[upper], bias * kernel[upper], sampled.covariance_stderr[upper]
    slope = float((covariance * predicted / error**2).sum() / (predicted**2 / error**2).sum())
    outcome = measured(1.0, slope, lambda p: float(np.abs((covariance - p * predicted) / error).max()))
    return replace(outcome, size=float(np.abs(predicted / error).max()))


CLAIMS = (
    Claim("Language models", "digits help one another most while digits are being learned, on 3 of 3 seeds",
          (), "sampling at the start, in the stage and after it: 4 standard errors each", 0.0,
          "what is missing to 4 standard errors, in the least sure of six comparisons", _strongest_in_its_stage),
    Claim("Language models", "influence of name starts on their continuations changes sign while induction forms",
          (), "sampling before and in its forming: surely negative, then surely positive", 0.0,
          "what is missing to 4 standard errors at the less sure of the two times", _changes_sign),
    Claim("Language models", "sampled influence at large gamma is the gradient kernel over gamma", (),
          "SGLD against per-token gradients, in standard errors of 12 chains", 6.0,
          "66 values of Student's t with 11 degrees of freedom exceed it in 1 of 150 cases", _is_the_kernel),
)  # fmt: skip

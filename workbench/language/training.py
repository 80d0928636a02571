"""Train a transformer on a corpus, keep its weights at log-spaced steps, and the loss of every class on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.language.corpus import Corpus, Ints
from workbench.language.model import Transformer, token_losses
from workbench.store import NOWHERE, Slot

Array = NDArray[np.float64]
State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Training:
    """AdamW on mini-batches of documents.

    Attributes:
        steps: the last one. batch: documents a step. rate: of AdamW. decay: its weight decay.
        seed: of the weights and the batches.
        evaluated: documents whose losses are followed.
    """

    steps: int = 800
    batch: int = 64
    rate: float = 2e-3
    decay: float = 0.01
    seed: int = 0
    evaluated: int = 128


@dataclass(frozen=True, eq=False)
class Trained:
    """Checkpoints of a training run.

    Attributes:
        steps: ``(T,)`` of the checkpoints. states: their weights.
        loss_steps: ``(S,)`` where losses were followed. class_loss: ``(S, G)`` mean loss by class there, in nats.
    """

    steps: Ints
    states: tuple[State, ...]
    loss_steps: Ints
    class_loss: Array


@dataclass(frozen=True)
class Upweighted:
    """Documents that count more in the loss for a while.

    Attributes:
        documents: their numbers. extra: added to their weight of 1.
        start, stop: first step, and the one after the last.
    """

    documents: Ints
    extra: float
    start: int
    stop: int
    member: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "member", frozenset(int(k) for k in self.documents))

    def weights(self, chosen: Ints, step: int) -> torch.Tensor | None:
        """``(B, 1)`` weights of the documents of a batch; None where all are 1."""
        if not self.start <= step < self.stop:
            return None
        return torch.tensor([[1 + self.extra * (int(k) in self.member)] for k in chosen], dtype=torch.float32)


def log_spaced(last: int, count: int) -> Ints:
    """``count`` different whole steps from 0 to ``last``, evenly spaced in their logarithm from 1 on as far as can be.

    Small numbers are skipped where there are too few of them to be all different.
    """
    if count < 2 or last < count:
        raise WorkbenchError(f"`checkpoints` {count} in `steps` {last}; give at least 2, and no more than steps")
    for more in range(count, 20 * count):
        steps = np.unique(np.round(np.geomspace(1, last, more - 1)).astype(np.int64))
        if len(steps) >= count - 1:
            chosen = steps[np.unique(np.round(np.linspace(0, len(steps) - 1, count - 1)).astype(np.int64))]
            return np.concatenate([[0], chosen])
    return np.linspace(0, last, count).round().astype(np.int64)


def train(
    model: Transformer,
    corpus: Corpus,
    checkpoints: Ints,
    training: Training,
    *,
    evaluate: Corpus | None = None,
    loss_steps: Ints | None = None,
    upweighted: Upweighted | None = None,
    until: Callable[[Mapping[str, float]], bool] | None = None,
    progress: Callable[[int], None] | None = None,
    slot: Slot = NOWHERE,
) -> Trained:
    """Train in place; the order of documents depends on the seed alone, so that interventions change nothing else.

    Args:
        checkpoints: steps whose weights are kept.
        evaluate: documents whose losses are followed at ``loss_steps``; None: none.
        upweighted: documents that count more for a while. The total weight of a batch is not rescaled.
        until: told the class losses whenever they are followed; ends the run by True.
        slot: where to keep the run and find it again.
    """
    kept = slot.load()
    if kept is not None:
        return _from_arrays(kept, model)
    rng = np.random.default_rng((training.seed, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=training.rate, weight_decay=training.decay)
    follow = set(() if loss_steps is None or evaluate is None else (int(s) for s in loss_steps))
    tokens, states, losses = torch.tensor(corpus.tokens), {}, {}
    names = (evaluate or corpus).class_names  # of held-out documents of a text, those with enough tokens
    for step in range(int(max(training.steps, checkpoints.max(initial=0))) + 1):
        if step in checkpoints:
            states[step] = {name: value.detach().clone() for name, value in model.state_dict().items()}
        if step in follow:
            assert evaluate is not None
            losses[step] = class_means(losses_of(model, evaluate), evaluate)
            if until is not None and until(dict(zip(names, losses[step], strict=True))):
                break
        if step == training.steps:
            break
        chosen = rng.integers(corpus.documents, size=training.batch)
        per_token = token_losses(model, tokens[torch.tensor(chosen)])
        weights = upweighted.weights(chosen, step) if upweighted is not None else None
        loss = (per_token if weights is None else per_token * weights).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if progress:
            progress(1)
    result = Trained(
        np.array(sorted(states), dtype=np.int64),
        tuple(states[k] for k in sorted(states)),
        np.array(sorted(losses), dtype=np.int64),
        np.array([losses[k] for k in sorted(losses)]).reshape(-1, len(names)),
    )
    slot.save(_as_arrays(result, model))
    return result


def losses_of(model: torch.nn.Module, corpus: Corpus) -> Array:
    """``(documents, context - 1)`` losses."""
    tokens = torch.tensor(corpus.tokens)
    with torch.no_grad():
        parts = [token_losses(model, part) for part in torch.split(tokens, 64)]
    return torch.cat(parts).double().numpy()


def class_means(losses: Array, corpus: Corpus) -> Array:
    """``(G,)`` mean loss by class; nan for a class without tokens."""
    targets, G = corpus.targets.ravel(), len(corpus.class_names)
    inside = targets >= 0
    count = np.bincount(targets[inside], minlength=G)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.bincount(targets[inside], losses.ravel()[inside], minlength=G) / count)


def class_mean_errors(losses: Array, corpus: Corpus) -> Array:
    """``(G,)`` standard errors of `class_means` over documents, whose tokens are not independent; nan for none."""
    means, targets = class_means(losses, corpus), corpus.targets
    residual = np.where(targets >= 0, losses.reshape(targets.shape) - means[targets], 0.0)
    of_class = targets[None] == np.arange(len(means))[:, None, None]
    by_document, D = (of_class * residual).sum(axis=2), len(targets)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sqrt((by_document**2).sum(axis=1) * D / (D - 1)) / of_class.sum(axis=(1, 2)))


#: A class whose loss falls by less than this is not called learned.
_LEAST_GAIN = 0.3


def half_gain_steps(steps: Ints, losses: Array) -> Array:
    """``(G,)`` step at which half of the way from the highest to the lowest loss after it is gone; nan for no gain."""
    steps_at_half = np.full(losses.shape[1], np.nan)
    for g, curve in enumerate(losses.T):
        top = int(np.argmax(curve)) if np.isfinite(curve).all() else len(curve) - 1
        fall = curve[top:]
        if not fall[0] - fall.min() > _LEAST_GAIN:
            continue
        level = (fall[0] + fall.min()) / 2
        k = top + int(np.argmax(fall <= level))
        share = (curve[k - 1] - level) / (curve[k - 1] - curve[k])
        steps_at_half[g] = steps[k - 1] + share * (steps[k] - steps[k - 1])
    return steps_at_half


def _as_arrays(trained: Trained, model: Transformer) -> dict[str, NDArray[np.generic]]:
    names = [name for name, _ in model.named_parameters()]
    flat = [torch.cat([state[name].flatten() for name in names]).numpy() for state in trained.states]
    last = torch.cat([value.detach().flatten() for value in model.parameters()]).numpy()
    return {
        "steps": trained.steps,
        "weights": np.array(flat),
        "last": last,
        "loss_steps": trained.loss_steps,
        "class_loss": trained.class_loss,
    }


def _from_arrays(kept: dict[str, NDArray[np.generic]], model: Transformer) -> Trained:
    def state(flat: NDArray[np.generic]) -> State:
        vector, arrays_of, used = torch.tensor(flat), {}, 0
        for name, weights in model.named_parameters():
            arrays_of[name] = vector[used : used + weights.numel()].view(weights.shape)
            used += weights.numel()
        return arrays_of

    model.load_state_dict(state(kept["last"]))
    states = tuple(state(flat) for flat in kept["weights"])
    return Trained(
        kept["steps"].astype(np.int64),
        states,
        kept["loss_steps"].astype(np.int64),
        kept["class_loss"].astype(np.float64),
    )

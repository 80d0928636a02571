"""One language model over its training: train, measure every checkpoint, and put all of it into one dataset."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from threading import Event
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from workbench import __version__
from workbench.errors import WorkbenchError
from workbench.language.checkpoint import Arrays, Subject, chain_steps, measure
from workbench.language.corpus import CONTEXT, Corpus, Grammar, check_classes, class_counts
from workbench.language.model import Shape, Transformer, token_losses
from workbench.language.rules import byte_pairs, corpus_of_text, with_enough
from workbench.language.settings import LanguageSettings, Posterior
from workbench.language.training import Trained, Training, half_gain_steps, log_spaced, train
from workbench.simulation.module.result import SIGN
from workbench.simulation.running.threads import in_threads
from workbench.store import NOWHERE, Slot, Store

Array = NDArray[np.float64]
#: Opens a progress bar: ``bar(title, total)`` gives a function that advances it.
Bar = Callable[[str, int], AbstractContextManager[Callable[[int], Any]]]

#: Of a text: fewer do not teach a transformer anything.
_LEAST_DOCUMENTS = 100

_DIMS = {
    "class_loss": ("class",),
    "rhat": ("class",),
    "ess": ("class",),
    "prefix_matching": ("head",),
    "previous_token": ("head",),
    "token_correlation": ("document", "source_token", "target_token"),
    "token_correlation_stderr": ("document", "source_token", "target_token"),
    "learning_coefficient": (),
    "learning_coefficient_stderr": (),
    "loss_rise": (),
    "even": (),
}
_LONG = {
    "class_loss": ("nat", "mean loss of the tokens of a class at the checkpoint"),
    "group_covariance": ("nat^2", "minus the mean covariance of the losses of distinct tokens of two classes"),
    "group_correlation": ("1", "minus the mean correlation of the losses of distinct tokens of two classes"),
    "group_correlation_null": ("1", "the same with class labels permuted, mean over permutations"),
    "control_covariance": ("nat^2", "group_covariance at n beta = 0: the loss switched off"),
    "control_correlation": ("1", "group_correlation at n beta = 0: the loss switched off"),
    "kernel_covariance": ("nat^2", "minus the mean of g_i . g_j over gamma: the first-order prediction"),
    "kernel_correlation": ("1", "minus the mean cosine of g_i and g_j: the first-order prediction"),
    "prefix_matching": ("1", "attention to the token after the earlier occurrence of the present one"),
    "previous_token": ("1", "attention to the previous token"),
    "learning_coefficient": ("1", "n beta (E L - L(w*)) over the observed documents"),
    "loss_rise": ("nat", "mean loss along the chains minus that at the checkpoint"),
    "rhat": ("1", "largest split R-hat of the losses of a class"),
    "ess": ("1", "median effective sample size of the losses of a class"),
    "token_correlation": ("1", "minus the correlation of the losses of two tokens of a shown document"),
}


def no_bar(title: str, total: int) -> AbstractContextManager[Callable[[int], Any]]:
    """No progress is shown."""
    return nullcontext(lambda done: None)


def language_study(
    settings: LanguageSettings | None = None, text: str | None = None, *, bar: Bar = no_bar, store: Store | None = None
) -> xr.Dataset:
    """Train the small transformer on the generated corpus and measure influence class to class at its checkpoints.

    Args:
        settings: sizes, chains and seed. text: learned in place of the generated corpus, its classes found by rule.
        bar: opens progress bars.
        store: where unfinished work is kept, and found again.

    Returns:
        The dataset that ``language.nc`` holds.
    """
    asked = settings or LanguageSettings()
    corpus, held_out = corpora(asked) if text is None else corpora_of(text)
    model = Transformer(
        Shape(len(corpus.words), corpus.tokens.shape[1], asked.width, asked.heads, asked.layers), asked.seed
    )
    posterior = asked.posterior
    posterior.sampling(asked.seed)  # refuses what cannot be before any work
    steps, training = log_spaced(asked.steps, asked.checkpoints), Training(asked.steps, seed=asked.seed)
    follow = np.unique(np.concatenate([steps, log_spaced(asked.steps, min(60, asked.steps))]))
    subject = Subject(
        model,
        token_losses,
        _patterns,
        torch.tensor(corpus.tokens),
        observed_documents(held_out, asked.observed),
        asked.shown,
    )
    check_classes(subject.observed)
    with bar("training", asked.steps) as advance:
        trained = train(
            model,
            corpus,
            steps,
            training,
            evaluate=held_out.chosen(np.arange(min(training.evaluated, held_out.documents))),
            loss_steps=follow,
            progress=advance,
            slot=Slot(store, "training") if store else NOWHERE,
        )
    states = [lambda state=state: state for state in trained.states]
    labels = [f"step {step}" for step in trained.steps]
    measured = measure_all(
        subject, states, labels, posterior, seed=asked.seed, permutations=asked.permutations, bar=bar, store=store
    )
    ds = dataset(subject, trained.steps, measured, posterior, config=asdict(asked), seed=asked.seed)
    return with_losses(ds, trained)


def corpora(settings: LanguageSettings) -> tuple[Corpus, Corpus]:
    """Documents to train on, and held-out ones of the same grammar."""
    grammar = Grammar()
    return grammar.corpus(settings.documents, seed=2 * settings.seed), grammar.corpus(400, seed=2 * settings.seed + 1)


def corpora_of(text: str) -> tuple[Corpus, Corpus]:
    """Documents of a text, of which every tenth is held out, without classes that are too rare."""
    encode, words = byte_pairs(text)
    whole = corpus_of_text(text, encode, CONTEXT, words)
    if whole.documents < _LEAST_DOCUMENTS:
        raise WorkbenchError(
            f"the text has {whole.documents} documents of {CONTEXT} tokens; give one of {_LEAST_DOCUMENTS} or more"
        )
    out = np.arange(whole.documents) % 10 == 0
    held_out = with_enough(whole.chosen(np.flatnonzero(out)))
    return whole.chosen(np.flatnonzero(~out)), held_out


def observed_documents(held_out: Corpus, count: int) -> Corpus:
    """Those richest in rare classes, so that means over pairs of brackets or digits are means over many."""
    weight = 1 / np.maximum(class_counts(held_out), 1)
    targets = held_out.targets
    score = np.where(targets >= 0, weight[targets], 0).sum(axis=1)
    return held_out.chosen(np.sort(np.argsort(-score, kind="stable")[:count]))


def measure_all(
    subject: Subject,
    states: Sequence[Callable[[], Mapping[str, torch.Tensor]]],
    labels: Sequence[str],
    posterior: Posterior,
    *,
    seed: int,
    permutations: int,
    bar: Bar = no_bar,
    store: Store | None = None,
) -> list[Arrays]:
    """`measure` at every checkpoint, as many at once as there are cores."""
    with bar("sampling", len(states) * chain_steps(posterior)) as advance:

        def run(number: int, stopped: Event) -> Arrays:
            return measure(
                subject,
                states[number](),
                posterior,
                number=number,
                label=labels[number],
                seed=seed,
                permutations=permutations,
                progress=advance,
                stopped=stopped,
                slot=Slot(store, f"checkpoint {number}") if store else NOWHERE,
            )

        return in_threads(run, range(len(states)))


def dataset(
    subject: Subject,
    steps: Sequence[float] | NDArray[np.int64],
    measured: Sequence[Arrays],
    posterior: Posterior,
    *,
    config: Mapping[str, Any],
    seed: int,
) -> xr.Dataset:
    """Arrays of all checkpoints under one set of names."""
    observed, names = subject.observed, list(subject.observed.class_names)
    variables: dict[str, Any] = {}
    for name in measured[0]:
        if name in ("batching", "meaning"):
            continue
        dims = _DIMS.get(name, ("source_class", "target_class"))
        unit, said = _LONG.get(name.removesuffix("_stderr").removesuffix("_spread"), ("1", name))
        said = f"standard error of {name.removesuffix('_stderr')}" if name.endswith("_stderr") else said
        said = "standard deviation over permutations" if name.endswith("_spread") else said
        values = np.array([arrays[name] for arrays in measured], dtype=np.float64)
        variables[name] = (("time", *dims), values, {"units": unit, "long_name": said})
    shown = observed.chosen(np.arange(min(subject.shown, observed.documents)))
    variables["class_size"] = ("class", class_counts(observed), {"long_name": "observed tokens of a class"})
    variables["text"] = (("document", "position"), [shown.text(d) for d in range(shown.documents)])
    variables["text_class"] = (("document", "position"), shown.classes, {"long_name": "number of the class; -1: none"})
    n = observed.tokens.shape[1]
    heads = [f"{layer}.{head}" for layer in range(_layers(config)) for head in range(int(config.get("heads", 1)))]
    coords: dict[str, Any] = {
        "step": ("time", np.asarray(steps), {"units": "training steps"}),
        "class": names,
        "source_class": names,
        "target_class": names,
        "position": np.arange(n),
        "source_token": np.arange(1, n),
        "target_token": np.arange(1, n),
    }
    if "prefix_matching" in variables:
        count = variables["prefix_matching"][1].shape[1]
        coords["head"] = heads if len(heads) == count else [str(k) for k in range(count)]
    attrs = {
        "sign": SIGN,
        "posterior": str(measured[0]["meaning"]),
        "batching": "; ".join(dict.fromkeys(str(arrays["batching"]).split(":")[0] for arrays in measured)),
        "stderr": f"from the spread of {posterior.chains} independent chains around one trained network",
        "chains": posterior.chains,
        "n_beta": posterior.n_beta,
        "gamma": posterior.gamma,
        "config": json.dumps(config),
        "seed": seed,
        "code_version": __version__,
    }
    return xr.Dataset(variables, coords=coords, attrs=attrs)


def with_losses(ds: xr.Dataset, trained: Trained) -> xr.Dataset:
    """The losses that were followed during training, and the step at which half of each class's gain was made."""
    half = half_gain_steps(trained.loss_steps, trained.class_loss)
    return ds.assign(
        followed_loss=(("followed_step", "class"), trained.class_loss, {"units": "nat"}),
        learned_at=("class", half, {"units": "training steps", "long_name": "half of the gain in loss is made"}),
    ).assign_coords(followed_step=trained.loss_steps)


def _layers(config: Mapping[str, Any]) -> int:
    return int(config.get("layers", 1))


def _patterns(model: torch.nn.Module, tokens: torch.Tensor) -> list[torch.Tensor]:
    assert isinstance(model, Transformer)
    return model.read(tokens)[1]

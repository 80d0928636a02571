"""One language model over its training: train, measure every checkpoint, and put all of it into one dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from threading import Event
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.language.checkpoint import Arrays, Subject, chain_steps, measure
from workbench.language.corpus import CONTEXT, Corpus, Grammar, check_classes, class_counts
from workbench.language.labels import dataset, with_losses
from workbench.language.model import Shape, Transformer, token_losses
from workbench.language.rules import byte_pairs, corpus_of_text, with_enough
from workbench.language.settings import LanguageSettings, Posterior
from workbench.language.training import Training, log_spaced, train
from workbench.simulation.running.threads import in_threads
from workbench.store import NOWHERE, Slot, Store

Array = NDArray[np.float64]
#: Opens a progress bar: ``bar(title, total)`` gives a function that advances it.
Bar = Callable[[str, int], AbstractContextManager[Callable[[int], Any]]]

#: Of a text: fewer do not teach a transformer anything.
_LEAST_DOCUMENTS = 100


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
    posterior = asked.posterior
    posterior.sampling(asked.seed)  # refuses what cannot be before any work, as the next line does
    steps, training = log_spaced(asked.steps, asked.checkpoints), Training(asked.steps, seed=asked.seed)
    corpus, held_out = corpora(asked) if text is None else corpora_of(text)
    model = Transformer(
        Shape(len(corpus.words), corpus.tokens.shape[1], asked.width, asked.heads, asked.layers), asked.seed
    )
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
        subject.on(asked.device),
        states,
        labels,
        posterior,
        seed=asked.seed,
        permutations=asked.permutations,
        bar=bar,
        store=store,
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


def _patterns(model: torch.nn.Module, tokens: torch.Tensor) -> list[torch.Tensor]:
    assert isinstance(model, Transformer)
    return model.patterns(tokens)

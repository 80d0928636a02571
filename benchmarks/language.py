"""A chain-step of any module: this package, a plain loop of the same arithmetic, and devinterp, in one run.

    .venv-peers/bin/python benchmarks/language.py       # with devinterp, after `make peers`

A chain-step is the gradient of a mini-batch, a step of SGLD, and the losses of as many observed examples: 16 documents
of 64 tokens for the transformers, all 8 items for the two-layer network of the tree.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, util

import torch
from harness import Table, number, race
from torch import nn

from workbench.language.corpus import CONTEXT, VOCABULARY, Grammar
from workbench.language.model import Shape, Transformer, token_losses
from workbench.semantics import Hierarchy
from workbench.simulation.module import ModuleSampling, sample_module_posterior

CHAINS, N_BETA, GAMMA, STEP = 4, 1000.0, 10_000.0, 2e-5
#: Chains of a model so small that one step of many costs little more than a step of one.
MANY = 64


@dataclass(frozen=True)
class Subject:
    """What is sampled: a module, its losses of rows of integers, all rows, how many a mini-batch, draws a chain."""

    words: str
    model: nn.Module
    losses: Callable[[nn.Module, torch.Tensor], torch.Tensor]
    rows: torch.Tensor
    batch: int
    draws: int


def transformer(width: int, draws: int) -> Subject:
    model = Transformer(Shape(VOCABULARY, CONTEXT, width, 4, 2))
    words = f"a transformer of {model.n_weights:,} weights, mini-batches of 16 x {CONTEXT} tokens"
    return Subject(words, model, token_losses, torch.tensor(Grammar().corpus(512).tokens), 16, draws)


def two_layers(draws: int) -> Subject:
    """Rows are the numbers of the items, twice, as devinterp wants at least two tokens."""
    task = Hierarchy((2, 2, 2)).indicator_task()
    Y = torch.tensor(task.Y.T, dtype=torch.float32)
    model = nn.Sequential(nn.Embedding(8, 16), nn.Linear(16, len(task.properties), bias=False))

    def losses(model: nn.Module, rows: torch.Tensor) -> torch.Tensor:
        items = rows[:, 0]
        return (model(items) - Y[items]).square().sum(dim=1, keepdim=True) / 2

    count = sum(weights.numel() for weights in model.parameters())
    rows = torch.arange(8)[:, None].repeat(1, 2)
    return Subject(f"two linear layers of {count} weights, all 8 items", model, losses, rows, 8, draws)


SUBJECTS = (lambda: transformer(64, 30), lambda: transformer(16, 60), lambda: two_layers(200))


def ours(subject: Subject, batching: str, chains: int = CHAINS, judged: bool = True) -> Callable[[], int]:
    size = None if subject.batch == len(subject.rows) else subject.batch
    settings = ModuleSampling(
        chains=chains, draws=subject.draws, step=STEP, burn_in=0, thin=1, batch_size=size, batching=batching, batches=4
    )  # type: ignore[arg-type]

    def run() -> int:
        samples = sample_module_posterior(
            subject.model, subject.losses, None, subject.rows, n_beta=N_BETA, gamma=GAMMA, sampling=settings,
            observed=subject.rows[: subject.batch],
        )  # fmt: skip
        if judged:  # they are computed when asked for, and belong to the cost
            assert samples.rhat.shape == samples.ess.shape
        return chains * subject.draws

    return run


def plain_loop(subject: Subject) -> Callable[[], int]:
    """One chain as anyone would write it."""
    model, tokens, token_losses = subject.model, subject.rows, subject.losses
    batch_size, draws = subject.batch, subject.draws

    def run() -> int:
        kept = []
        state = {name: value.clone() for name, value in model.state_dict().items()}
        star = [value.detach().clone() for value in model.parameters()]
        for _ in range(draws):
            batch = tokens[torch.randperm(len(tokens))[:batch_size]]
            gradients = torch.autograd.grad(token_losses(model, batch).mean(), list(model.parameters()))
            with torch.no_grad():
                for w, g, w0 in zip(model.parameters(), gradients, star, strict=True):
                    force = N_BETA * g + GAMMA * (w - w0)
                    w.add_(force, alpha=-STEP / 2).add_(torch.randn_like(w), alpha=STEP**0.5)
                kept.append(token_losses(model, tokens[:batch_size]))
        model.load_state_dict(state)
        return draws

    return run


def devinterp_chains(subject: Subject) -> Callable[[], int]:
    """`devinterp.slt.sampling.sample` with all losses of the observed rows at every draw."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from datasets import Dataset, disable_progress_bars
    from devinterp.slt import sampler as inner
    from devinterp.slt.sampling import sample

    disable_progress_bars()
    logging.disable(logging.WARNING)
    data = Dataset.from_dict({"input_ids": subject.rows.tolist()}).with_format("torch")
    observed = Dataset.from_dict({"input_ids": subject.rows[: subject.batch].tolist()}).with_format("torch")
    plain_range = inner.trange
    inner.trange = lambda *args, **kwargs: plain_range(*args, **(kwargs | {"disable": True}))

    def run() -> int:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            sample(
                subject.model, data, {"tokens": (observed, 1)}, lr=STEP, n_beta=N_BETA, localization=GAMMA,
                num_chains=CHAINS, num_draws=subject.draws, batch_size=subject.batch, num_init_loss_batches=1,
                device="cpu", loss_fn=subject.losses,
            )  # fmt: skip
        return CHAINS * subject.draws

    return run


def table(subject: Subject) -> Table:
    """Cost of a chain-step."""
    torch.set_num_threads(1)
    contestants = {
        "plain loop, one chain": plain_loop(subject),
        "the same by the workbench, chains one after another": ours(subject, "loop", judged=False),
        "workbench, chains one after another": ours(subject, "loop"),
        "workbench, chains batched by vmap": ours(subject, "vmap"),
    }
    if subject.batch == len(subject.rows):
        contestants[f"workbench, {MANY} chains batched by vmap"] = ours(subject, "vmap", MANY)
    there = util.find_spec("devinterp") is not None
    if there:
        contestants[f"devinterp {metadata.version('devinterp')} sample()"] = devinterp_chains(subject)
    costs = race(contestants, rounds=3)
    first, last = next(iter(costs)), list(costs)[-1]
    rows = [
        (
            name,
            number(cost.least),
            number(cost.median),
            number(cost.least / costs[first].least),
            number(costs[last].least / cost.least) if there else "-",
        )
        for name, cost in costs.items()
    ]
    return Table(
        f"One chain-step of {subject.words}",
        ("way", "CPU us, least", "median", "times the plain loop", "times less than devinterp"),
        rows,
        f"{CHAINS} chains of {subject.draws} draws unless said (a loop's cost does not depend on how many), the losses "
        f"of {subject.batch} rows at every draw, one thread; the workbench also computes R-hat and effective sample "
        "sizes, but for the row that is the same as the plain loop. Goals: no dearer than the plain loop, and 2 times "
        "less than devinterp (10 times below 5,000 weights)."
        + ("" if there else " devinterp is not installed here: run `make peers`."),
    )


if __name__ == "__main__":
    for subject in SUBJECTS:
        print(table(subject()))

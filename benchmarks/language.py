"""A chain-step of any module: this package, a plain loop of the same arithmetic, and devinterp, in one run.

    .venv-peers/bin/python benchmarks/language.py       # with devinterp, after `make peers`

A chain-step is the gradient of 16 documents of 64 tokens, a step of SGLD, and the losses of 16 observed documents.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Callable
from importlib import metadata, util

import torch
from harness import Table, number, race

from workbench.language.corpus import CONTEXT, VOCABULARY, Grammar
from workbench.language.model import Shape, Transformer, token_losses
from workbench.simulation.module import ModuleSampling, sample_module_posterior

CHAINS, BATCH, N_BETA, GAMMA, STEP = 4, 16, 1000.0, 10_000.0, 2e-5
#: Width of the transformer, draws a chain.
SIZES = {"45,000 weights": (64, 30), "4,500 weights": (16, 60)}


def ours(model: Transformer, tokens: torch.Tensor, draws: int, batching: str) -> Callable[[], int]:
    settings = ModuleSampling(
        chains=CHAINS, draws=draws, step=STEP, burn_in=0, thin=1, batch_size=BATCH, batching=batching, batches=4
    )  # type: ignore[arg-type]

    def run() -> int:
        sample_module_posterior(
            model, token_losses, None, tokens, n_beta=N_BETA, gamma=GAMMA, sampling=settings, observed=tokens[:BATCH]
        )
        return CHAINS * draws

    return run


def plain_loop(model: Transformer, tokens: torch.Tensor, draws: int) -> Callable[[], int]:
    """One chain as anyone would write it."""

    def run() -> int:
        kept = []
        state = {name: value.clone() for name, value in model.state_dict().items()}
        star = [value.detach().clone() for value in model.parameters()]
        for _ in range(draws):
            batch = tokens[torch.randperm(len(tokens))[:BATCH]]
            gradients = torch.autograd.grad(token_losses(model, batch).mean(), list(model.parameters()))
            with torch.no_grad():
                for w, g, w0 in zip(model.parameters(), gradients, star, strict=True):
                    force = N_BETA * g + GAMMA * (w - w0)
                    w.add_(force, alpha=-STEP / 2).add_(torch.randn_like(w), alpha=STEP**0.5)
                kept.append(token_losses(model, tokens[:BATCH]))
        model.load_state_dict(state)
        return draws

    return run


def devinterp_chains(model: Transformer, tokens: torch.Tensor, draws: int) -> Callable[[], int]:
    """`devinterp.slt.sampling.sample` with the losses of every token of 16 documents at every draw."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from datasets import Dataset, disable_progress_bars
    from devinterp.slt import sampler as inner
    from devinterp.slt.sampling import sample

    disable_progress_bars()
    logging.disable(logging.WARNING)
    data = Dataset.from_dict({"input_ids": tokens.tolist()}).with_format("torch")
    observed = Dataset.from_dict({"input_ids": tokens[:BATCH].tolist()}).with_format("torch")
    plain_range = inner.trange
    inner.trange = lambda *args, **kwargs: plain_range(*args, **(kwargs | {"disable": True}))

    def run() -> int:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            sample(
                model, data, {"tokens": (observed, 1)}, lr=STEP, n_beta=N_BETA, localization=GAMMA,
                num_chains=CHAINS, num_draws=draws, batch_size=BATCH, num_init_loss_batches=1, device="cpu",
                loss_fn=token_losses,
            )  # fmt: skip
        return CHAINS * draws

    return run


def table(size: str) -> Table:
    """Cost of a chain-step for a size of the transformer."""
    torch.set_num_threads(1)
    width, draws = SIZES[size]
    tokens = torch.tensor(Grammar().corpus(512).tokens)
    model = Transformer(Shape(VOCABULARY, CONTEXT, width, 4, 2))
    contestants = {
        "plain loop, one chain": plain_loop(model, tokens, draws),
        "workbench, chains one after another": ours(model, tokens, draws, "loop"),
        "workbench, chains batched by vmap": ours(model, tokens, draws, "vmap"),
    }
    there = util.find_spec("devinterp") is not None
    if there:
        contestants[f"devinterp {metadata.version('devinterp')} sample()"] = devinterp_chains(model, tokens, draws)
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
        f"One chain-step of a transformer of {model.n_weights:,} weights",
        ("way", "CPU us, least", "median", "times the plain loop", "times less than devinterp"),
        rows,
        f"{CHAINS} chains of {draws} draws, mini-batches of {BATCH} x {CONTEXT} tokens, the losses of {BATCH} "
        "documents at every draw, one thread; the workbench also computes R-hat and effective sample sizes. Goals: no "
        "dearer than the plain loop, and 2 times less than devinterp (10 times below 5,000 weights)."
        + ("" if there else " devinterp is not installed here: run `make peers`."),
    )


if __name__ == "__main__":
    for size in SIZES:
        print(table(size))

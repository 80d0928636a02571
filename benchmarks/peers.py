"""SGLD by other libraries and by this one: the same network, step size and localization, one run.

    make peers                                 # once: an environment of its own, with the same torch
    .venv-peers/bin/python benchmarks/peers.py

The others keep the loss of every item at every draw. devinterp and the plain loop run their chains one after another;
posteriors is timed so, and with its chains batched by torch.vmap.
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
from network import GAMMA, N_BETA, checkpoints, plain_loop, sampler

from workbench.trajectory import Trajectory

CHAINS, DRAWS, STEP, AT = 4, 200, 1e-5, 8
OURS = "workbench sgld, 240 chains"
PLAIN = "autograd and torch.optim.SGD, one chain at a time"


def devinterp_chains(run: Trajectory) -> Callable[[], int]:
    """`devinterp.slt.sampling.sample` on a module of the two layers, one item a sequence, full batches."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from datasets import Dataset, disable_progress_bars
    from devinterp.slt import sampler as inner
    from devinterp.slt.sampling import sample

    disable_progress_bars()
    logging.disable(logging.WARNING)
    P = run.task.n_items
    Y = torch.tensor(run.task.Y, dtype=torch.float32)

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Parameter(torch.tensor(run.W1[AT], dtype=torch.float32))
            self.second = torch.nn.Parameter(torch.tensor(run.W2[AT], dtype=torch.float32))

        def forward(self, items: torch.Tensor) -> torch.Tensor:
            return (self.second @ self.first[:, items]).T

    def losses(model: torch.nn.Module, items: torch.Tensor) -> torch.Tensor:
        chosen = items[:, 0]
        return 0.5 * (Y[:, chosen].T - model(chosen)).square().sum(dim=1, keepdim=True)

    data = Dataset.from_dict({"input_ids": [[i, i] for i in range(P)]}).with_format("torch")
    model = Network()
    # No progress bar: it is no part of the work.
    plain_range = inner.trange
    quiet = {"disable": True}
    inner.trange = lambda *args, **kwargs: plain_range(*args, **(kwargs | quiet))

    def run_chains() -> int:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            sample(
                model,
                data,
                {"items": (data, 1)},
                lr=STEP,
                n_beta=N_BETA,
                localization=GAMMA,
                num_chains=CHAINS,
                num_draws=DRAWS,
                batch_size=P,
                num_init_loss_batches=1,
                device="cpu",
                loss_fn=losses,
            )
        return CHAINS * DRAWS

    return run_chains


def posteriors_chains(run: Trajectory, batched: int | None) -> Callable[[], int]:
    """`posteriors.sgmcmc.sgld`, one chain at a time, or ``batched`` chains at once by torch.vmap."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from posteriors.sgmcmc import sgld

    Y, W1, W2 = (torch.tensor(x) for x in (run.task.Y, run.W1[AT], run.W2[AT]))

    def log_posterior(weights: dict[str, torch.Tensor], _: object) -> tuple[torch.Tensor, torch.Tensor]:
        per_item = 0.5 * (Y - weights["second"] @ weights["first"]).square().sum(dim=0)
        distance = (weights["first"] - W1).square().sum() + (weights["second"] - W2).square().sum()
        return -N_BETA * per_item.mean() - GAMMA / 2 * distance, per_item

    # Its step is eps/2 of ours: theta + lr grad + sqrt(2 lr) xi.
    transform = sgld.build(log_posterior, lr=STEP / 2)
    start = {"first": W1, "second": W2}

    def one_by_one() -> int:
        for _ in range(CHAINS):
            state, kept = transform.init(start), []
            for _ in range(DRAWS):
                state, per_item = transform.update(state, None)
                kept.append(per_item)
        return CHAINS * DRAWS

    def together() -> int:
        assert batched is not None
        states = torch.vmap(transform.init)({k: w.repeat(batched, 1, 1) for k, w in start.items()})
        step, kept = torch.vmap(lambda state: transform.update(state, None), randomness="different"), []
        for _ in range(DRAWS):
            states, per_item = step(states)
            kept.append(per_item)
        return batched * DRAWS

    return one_by_one if batched is None else together


def table() -> Table | str:
    """Cost of a chain-step, or a line that says what is missing."""
    missing = [name for name in ("devinterp", "posteriors") if util.find_spec(name) is None]
    if missing:
        return f"## Other libraries\n\nSkipped: {' and '.join(missing)} not installed here; run `make peers`.\n"
    torch.set_num_threads(1)
    run, many = checkpoints(16), checkpoints(60)
    settings = {"step": STEP, "burn_in": 0, "thin": 1, "draws": DRAWS}
    devinterp, posteriors = (f"{name} {metadata.version(name)}" for name in ("devinterp", "posteriors"))
    one = checkpoints(1)
    contestants = {
        f"{devinterp} sample()": devinterp_chains(run),
        PLAIN: lambda: sum(plain_loop(run, AT, STEP, DRAWS) for _ in range(CHAINS)),
        f"{posteriors} sgld, one chain at a time": posteriors_chains(run, None),
        f"{posteriors} sgld, {CHAINS} chains, torch.vmap": posteriors_chains(run, CHAINS),
        f"{posteriors} sgld, 240 chains, torch.vmap": posteriors_chains(run, 240),
        f"workbench sgld, {CHAINS} chains": sampler(one, CHAINS, **settings)[0],
        "workbench sgld, 240 chains, losses kept": sampler(many, CHAINS, traces=True, **settings)[0],
        OURS: sampler(many, CHAINS, **settings)[0],
    }
    costs = race(contestants, rounds=3)
    first = next(iter(costs))
    rows = [
        (
            name,
            number(cost.least),
            number(cost.median),
            number(costs[first].least / cost.least),
            number(cost.least / costs[OURS].least),
        )
        for name, cost in costs.items()
    ]
    return Table(
        "One chain-step of SGLD by other libraries",
        ("way", "CPU us, least", "median", "times less than devinterp", "times more than workbench, 240"),
        rows,
        f"Network 8-16-15, {DRAWS} draws a chain without burn-in or thinning, {CHAINS} chains unless said, one "
        "torch thread. The others keep the loss of every item at every draw and compute nothing from them; "
        "devinterp computes in float32 and writes to disk, as it always does, the rest computes in float64. "
        "The workbench takes every draw into its covariances and their errors; with losses kept it adds R-hat "
        "and effective sample sizes. A loop's "
        "cost per chain-step does not depend on how many chains it runs, so the batch of 240 is compared with "
        "it; the same 4 chains alone are listed too. Goal: 1000 times less than devinterp.",
    )


if __name__ == "__main__":
    print(table())

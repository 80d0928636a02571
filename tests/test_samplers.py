"""Samplers are found by their names alone: one that is added in a file of its own samples, from Python and from the
command line."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from workbench.networks import network
from workbench.semantics import task_from_spec
from workbench.simulation import SAMPLERS, Sampling, Schedule, sample_local_posterior, train
from workbench.simulation.sampling.plan import sampler_of

#: The middle point of the force before and after an explicit step (Heun's method), with the noise of SGLD.
MINE = """
import torch

from workbench.simulation.sampling.sampler import Sampler
from workbench.simulation.sampling.sgld import SGLDState, langevin_plan


def init(target, plan, sampling):
    return SGLDState(target.at_checkpoint(), plan.step)


def update(state, target, noise, extra, step):
    w, before, force = state.batch.w, state.batch.w.clone(), target.gradient(state.batch)
    kick = noise * state.eps**0.5
    w.add_(force, alpha=-state.eps / 2).add_(kick)
    state.batch.refresh()
    force = (force + target.gradient(state.batch)) / 2
    w.copy_(before).add_(force, alpha=-state.eps / 2).add_(kick)
    state.batch.refresh()


SAMPLER = Sampler(
    name="heun",
    title="Langevin dynamics by Heun's method",
    init=init,
    update=update,
    plan=langevin_plan,
    stable=lambda precision: 4 / precision,
    usual=lambda precision: 0.1 / precision,
)
"""
#: What the line in `SAMPLERS` does, in a process of its own: the command line reads the names when it is made.
COMMAND = """
import sys
from workbench.simulation.sampling.samplers import SAMPLERS
SAMPLERS["heun"] = "heun_sampler"
import workbench.report.result as result
# Figures and derivations take longest, and are not what is tried.
result.figure_set, result.equations = lambda name: {}, lambda ds: []
from workbench.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def heun(tmp_path, monkeypatch):
    (tmp_path / "heun_sampler.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(SAMPLERS, "heun", "heun_sampler")


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_a_sampler_bears_the_name_it_is_listed_by(name):
    assert sampler_of(name).name == name and sampler_of(name).title


@pytest.mark.parametrize("precision", [1e-3, 1.0, 5e4])
@pytest.mark.parametrize("name", list(SAMPLERS))
def test_the_usual_step_of_a_sampler_is_a_stable_one(name, precision):
    sampler = sampler_of(name)
    assert 0 < sampler.usual(precision) < sampler.stable(precision) / 2


def test_a_sampler_of_ones_own_samples_the_posterior(heun):
    run = train(network(task_from_spec("tree:2,2"), 5, "balanced:0.01"), Schedule.at([0.0, 6.0], 0.02))
    local = {"n_beta": 50.0, "gamma": 500.0}
    mine = sample_local_posterior(run, sampling=Sampling(sampler="heun", chains=8, seed=1), **local).estimate
    exact = sample_local_posterior(run, sampling=Sampling(sampler="hmc", chains=8, seed=2), **local).estimate
    z = (mine.covariance - exact.covariance) / np.hypot(mine.stderr, exact.stderr)
    assert (np.abs(z) < 4).mean() > 0.97


@pytest.mark.slow
def test_a_sampler_of_ones_own_is_a_choice_of_the_command_line(heun, tmp_path):
    root = str(Path(__file__).parent.parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), root])}

    def ran(*arguments):
        return subprocess.run(
            [sys.executable, "-c", COMMAND, "compare", *arguments], env=environment, capture_output=True, text=True
        )

    assert "{sgld,rmsprop,hmc,heun}" in ran("--help").stdout
    out = tmp_path / "result"
    done = ran(
        "--task", "tree:2,2", "--out", str(out), "--checkpoints", "4", "--draws", "200", "--hidden", "5", "--quiet",
        "--measures", "local_bif", "--sampler", "heun",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with xr.open_dataset(out / "influence.nc") as ds:
        assert ds["local_bif_simulated"].attrs["sampler"] == "heun"
        assert (ds["local_bif_simulated_stderr"] > 0).any()

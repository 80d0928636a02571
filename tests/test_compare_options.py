"""What the options of a comparison do: learning rates, checkpoints, samplers, windows, and what is recorded."""

from __future__ import annotations

import json

import numpy as np
import pytest

from workbench.comparison import Settings, compare
from workbench.errors import SamplingError
from workbench.influence import predict
from workbench.influence.curvatures import curvatures
from workbench.networks import network
from workbench.semantics import task_from_spec
from workbench.simulation import Schedule, gaussian_expectation, train

TASK = task_from_spec("tree:2,2")
QUICK = {"hidden": 6, "checkpoints": 9, "draws": 80}


def run(**options):
    return compare(TASK, Settings(**(QUICK | options)))


def test_a_fraction_of_the_largest_stable_learning_rate_is_that_fraction():
    found = run(eta_fraction=0.05, measures=("gradient_kernel",)).dataset
    # Checkpoints are hit exactly by learning rates up to the one asked for.
    largest = 1 / float(found["singular_value"][0])
    assert 0.9 * 0.05 * largest < found.attrs["eta"] <= 0.05 * largest * (1 + 1e-9)


def test_checkpoints_are_where_theory_puts_the_stages():
    found = run(spacing="stages", eta=1e-3, measures=("gradient_kernel",)).dataset
    rises = np.unique(np.round(found["half_rise_time"].values, 6))
    times = found["time"].values
    assert len(rises) == 3
    assert times[0] == 0
    for rise in rises:
        assert np.abs(times - rise).min() <= 0.5e-3 + 1e-9
    # The mode that rises there is half learned, up to the rounding to a whole step and the step-size shift.
    k = int(np.abs(times - rises[0]).argmin())
    strength = found["mode_strength_simulated"].values[k, 0] / found["mode_strength_simulated"].values[-1, 0]
    assert strength == pytest.approx(0.5, abs=5e-3)


def test_log_spaced_checkpoints_have_equal_ratios():
    found = run(spacing="log", eta=1e-3, measures=("gradient_kernel",)).dataset
    ratios = found["time"].values[2:] / found["time"].values[1:-1]
    np.testing.assert_allclose(ratios, ratios.mean(), rtol=1e-2)


@pytest.mark.parametrize(("sampler", "batch_size"), [("sgld", None), ("sgld", 2), ("hmc", None)])
def test_every_sampler_agrees_with_the_prediction_and_says_how_it_ran(sampler, batch_size):
    done = run(sampler=sampler, batch_size=batch_size, measures=("local_bif",))
    ds = done.dataset
    z = (ds["local_bif_simulated"] - ds["local_bif_analytic"]) / ds["local_bif_simulated_stderr"]
    assert float((np.abs(z) < 4).mean()) >= 0.98
    note = next(line for line in done.notes if line.startswith(f"sampler {sampler}"))
    assert ("no bias from the step" in note) == (sampler == "hmc")
    assert ("variances high by up to" in note) == (sampler == "sgld")
    assert json.loads(ds.attrs["config"])["batch_size"] == batch_size


def test_correlations_and_the_learning_coefficient_are_recorded_with_their_errors():
    ds = run(measures=("local_bif",)).dataset
    covariance, correlation = ds["local_bif_simulated"].values, ds["local_bif_simulated_correlation"].values
    sd = np.sqrt(-np.diagonal(covariance, axis1=1, axis2=2))
    np.testing.assert_allclose(correlation, covariance / (sd[:, :, None] * sd[:, None, :]), rtol=1e-9)
    assert (ds["local_bif_simulated_correlation_stderr"].values >= 0).all()
    start = network(TASK, 6, "balanced:0.01")
    predicted = predict(start, ds["time"].values)
    gaussian = [
        gaussian_expectation(predicted.at(k), ds.attrs["n_beta"], ds.attrs["gamma"])
        for k in range(len(predicted.times))
    ]
    error = np.abs(ds["learning_coefficient_simulated"].values - gaussian)
    # Weights differ from the flow's by 1e-3, SGLD's bias is below 2.6% of the diffusive part.
    assert (error < 4 * ds["learning_coefficient_simulated_stderr"].values + 0.03 * np.abs(gaussian).max()).all()


@pytest.mark.parametrize("window", [None, (2.0, 9.0)])
def test_both_sides_of_window_removal_agree(window):
    done = run(window=window, eta=2e-3, measures=("window_removal",))
    ds = done.dataset
    theory, trained = ds["window_removal_analytic"], ds["window_removal_simulated"]
    assert theory.dims == ("time", "source", "target")
    assert float(np.linalg.norm(trained - theory) / np.linalg.norm(theory)) < 0.01
    first = float(ds["half_rise_time"].min())
    begin, end = window or (0.0, first)
    assert (theory.attrs["window_begin"], theory.attrs["window_end"]) == (begin, pytest.approx(end))
    assert np.abs(theory.sel(time=ds["time"] <= begin)).max() < 1e-9


def test_a_short_chain_is_refused_before_training_unless_forced(monkeypatch):
    monkeypatch.setattr("workbench.simulation.sampling.diagnostics.thinning", lambda draws, autocorrelation: 1)
    short = {"step_size": 1e-4, "draws": 40, "gamma": 2000.0, "measures": ("local_bif",)}
    with monkeypatch.context() as patched:
        patched.setattr("workbench.simulation.train", None)
        with pytest.raises(SamplingError, match=r"chains too short: .* use at least \d+ draws"):
            run(**short)
    assert "local_bif_simulated" in run(force_short=True, **short).dataset


def test_the_curvatures_of_modes_are_those_of_the_weights():
    start = network(TASK, 6, "balanced:0.01")
    predicted = predict(start, np.array([0.0, 4.0, 9.0, 20.0]))
    by_modes = curvatures(predicted)
    trained = train(start, Schedule.at([0.0, 4.0, 9.0, 20.0], 1e-3))
    np.testing.assert_allclose(by_modes, curvatures(trained), atol=2e-3)

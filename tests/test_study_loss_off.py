"""The loss switched off: the exact covariance against draws made by hand, and what accepts n beta = 0."""

import numpy as np
import pytest

import workbench
from workbench.errors import WorkbenchError
from workbench.influence import local_bif
from workbench.studies.loss_off import pooled_slope
from workbench.theory import predict
from workbench.theory.posterior.loss_off import loss_off_covariance


@pytest.fixture(scope="module")
def path():
    task = workbench.Hierarchy((2, 2)).indicator_task()
    return predict(workbench.network(task, hidden=5, init="balanced:0.01"), np.array([0.0, 4.0, 60.0]))


def test_the_exact_covariance_is_that_of_independent_gaussian_weights(path):
    """200,000 draws of all weights, in 4 parts; every checkpoint within 5 standard errors (3 degrees of freedom)."""
    gamma, task, rng = 20.0, path.task, np.random.default_rng(0)
    for k in range(3):
        parts = []
        for _ in range(8):
            W1, W2 = (one + rng.normal(size=(25_000, *one.shape)) / gamma**0.5 for one in (path.W1[k], path.W2[k]))
            losses = ((task.Y - W2 @ W1 @ task.X) ** 2).sum(axis=1) / 2
            parts.append(np.cov(losses.T))
        slope, error = pooled_slope(np.array(parts), loss_off_covariance(path, gamma)[k])
        assert abs(slope - 1) < 5 * error < 0.05


def test_the_gaussian_prediction_at_zero_misses_terms_of_its_own_order_only_while_there_are_residuals(path):
    """tr(H_i H_j) / 2 is all of second order at the end of training; before, the slopes of curvature are missing."""
    scaled = []
    for gamma in (1e4, 1e5):
        missing = loss_off_covariance(path, gamma) + local_bif(path, n_beta=0.0, gamma=gamma).values
        scaled.append(np.abs(missing).max(axis=(1, 2)) * gamma**2)
    middle, end = np.array(scaled)[:, 1], np.array(scaled)[:, 2]
    assert middle[1] == pytest.approx(middle[0], rel=0.1)  # 1/gamma^2: of the order that the prediction claims
    assert end[1] < 0.1 * middle[1]


def test_gamma_of_the_control_is_that_of_the_usual_n_beta(path):
    usual, control = (local_bif.resolve(path, given) for given in ({}, {"n_beta": 0.0}))
    assert control["n_beta"] == 0 and control["gamma"] == usual["gamma"]
    with pytest.raises(WorkbenchError, match="n_beta"):
        local_bif.resolve(path, {"n_beta": -1.0})

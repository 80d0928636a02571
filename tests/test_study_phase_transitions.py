"""Chains that start from nothing, against brute force over both weights of one mode."""

import numpy as np

from workbench.networks import network
from workbench.semantics import SemanticTask
from workbench.studies.phase_transitions import chains_from_zero


def test_chains_of_one_mode_have_the_variance_of_a_grid_over_both_weights():
    n_beta, gamma = 40.0, 30.0
    w = np.linspace(-2.5, 2.5, 1001)
    losses = (1 - np.multiply.outer(w, w)) ** 2 / 2
    density = np.exp(-n_beta * losses - gamma / 2 * np.add.outer(w**2, w**2))
    density /= density.sum()
    mean = (density * losses).sum()
    variance = (density * losses**2).sum() - mean**2
    one = SemanticTask("one mode", ("one", "same"), ("property",), np.ones((1, 2)), X=np.ones((1, 2)))
    start = network(one, 1, "gaussian:0.1")
    covariance, parts = chains_from_zero(start, n_beta, gamma, "hmc", 300, 0)
    error = parts[:, 0, 0].std(ddof=1) / len(parts) ** 0.5
    assert abs(covariance[0, 1] - variance) < 5 * error < 0.5 * variance
    np.testing.assert_allclose(covariance, covariance[0, 0])  # the two items are one

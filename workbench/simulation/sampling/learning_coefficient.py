"""Local learning coefficient of a checkpoint from its posterior samples (Lau et al. 2023).

    lambda_hat = n beta (E[L] - L(w*))

What is known about it:

* at a minimum of L with a Hessian of rank r and a smooth set of equal minima in the other directions it tends to r / 2
  as n beta grows with gamma fixed: the local learning coefficient there, and that of the model at generic minima;
* at any minimum, with the prior fixed, it tends to the local learning coefficient, like ``lambda - (m - 1) / log n``
  to the next order (Watanabe 2013);
* along the way, at weights that are no minimum, it is an estimate without a theorem behind it: downhill directions make
  it negative, and it measures no volume. `gaussian_expectation` says what it is there to second order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ConditionError
from workbench.networks import Network
from workbench.simulation.influence.gradient_kernel import item_gradients
from workbench.simulation.network.curvature import hessian_products
from workbench.simulation.sampling.moments import CovarianceEstimate

Array = NDArray[np.float64]


class LearningCoefficientEstimate(NamedTuple):
    """``(T,)`` estimates ``n beta (E[L] - L(w*))`` and their Monte Carlo standard errors."""

    value: Array
    stderr: Array


def local_learning_coefficient(samples: CovarianceEstimate, n_beta: float) -> LearningCoefficientEstimate:
    """lambda_hat at every checkpoint, from the mean losses of the samples that gave the covariances."""
    return LearningCoefficientEstimate(n_beta * samples.excess, n_beta * samples.excess_stderr)


def quadratic_expectation(curvatures: Array, n_beta: float, gamma: float, eps: float = 0.0) -> float:
    """lambda_hat at the minimum of a quadratic: ``(1/2) sum n beta h / ((n beta h + gamma) (1 - eps p / 4))``.

    Args:
        curvatures: eigenvalues h of the Hessian of L.
        n_beta, gamma: of the local posterior; p = n beta h + gamma is a precision.
        eps: step of SGLD, whose bias is then included; 0 for exact samples.
    """
    p = n_beta * curvatures + gamma
    if p.min() <= 0:
        raise ConditionError(
            "gamma > -n beta h for every curvature h", f"n beta h + gamma = {p.min():.4g}", "use a larger gamma"
        )
    return float((n_beta * curvatures / (p * (1 - eps * p / 4))).sum() / 2)


def gaussian_expectation(network: Network, n_beta: float, gamma: float) -> float:
    """lambda_hat of the Gaussian with the gradient g and Hessian H of L at a network's weights.

        n beta (g.mu + mu.H mu / 2 + tr(H C) / 2),    C = (n beta H + gamma)^-1,    mu = -n beta C g

    Equals `quadratic_expectation` where g = 0. Diagonalises the Hessian: for networks of up to some thousand weights.
    """
    h, directions = np.linalg.eigh(hessian_products(network, np.eye(network.n_weights)))
    g = directions.T @ item_gradients(network).mean(axis=0)
    spread = quadratic_expectation(h, n_beta, gamma)
    mu = -n_beta * g / (n_beta * h + gamma)
    return float(n_beta * (g @ mu + mu @ (h * mu) / 2) + spread)

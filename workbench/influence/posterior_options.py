"""What a local posterior can be asked with, and what stands beside its sampled covariances."""

from __future__ import annotations

import numpy as np

from workbench import theory
from workbench.influence.curvatures import curvatures
from workbench.influence.option import Option
from workbench.influence.quantities import Beside, Options
from workbench.simulation.sampling.samplers import SAMPLERS
from workbench.theory.posterior.hessian import required_gamma
from workbench.trajectory import Trajectory


def choose_n_beta(trajectory: Trajectory, options: Options) -> float:
    """Inverse temperature that suits the size of the task's losses: 100 where they are of order 1."""
    return theory.default_n_beta(trajectory.network.modes)


def choose_gamma(trajectory: Trajectory, options: Options) -> float:
    """Localization for which the posterior is Gaussian at every checkpoint, from the largest singular value."""
    network = trajectory.network
    # With the loss switched off any gamma would do; that of the usual n beta makes it a control of the usual run.
    n_beta = options["n_beta"] or theory.default_n_beta(network.modes)
    if network.activation == "linear" and network.task.input_scale is not None:
        return required_gamma(network.modes, n_beta, depth=network.depth)
    needed = float(np.maximum(-curvatures(trajectory)[:, 0], 0).max()) or float(network.modes.s[0])
    return float(f"{20 * n_beta * needed:.1g}")


#: Draws a chain unless told otherwise.
DRAWS = 500
_POSTERIOR = "local posterior exp(-n beta L - gamma |w - w*|^2 / 2)"
OPTIONS = (
    Option(
        "n_beta",
        "number",
        "inverse temperature x number of items; auto: 100, or what suits losses far from order 1; 0: the loss is off",
        choose=choose_n_beta,
        zero=True,
        group=_POSTERIOR,
        metavar="X",
        symbol="nβ",
        unit="1/loss",
        ends=(1.0, 1e4),
    ),
    Option(
        "gamma",
        "number",
        "localization; auto: 20 n beta x what no downward curvature exceeds, of two linear layers the largest singular "
        "value",
        choose=choose_gamma,
        group=_POSTERIOR,
        metavar="X",
        symbol="localization γ",
        unit="1/weight²",
        ends=(10.0, 1e6),
    ),
    Option(
        "sampler",
        "word",
        "Langevin dynamics, plain or preconditioned; or Hamiltonian Monte Carlo, without a bias from its step",
        default="sgld",
        choices=tuple(SAMPLERS),
        group=_POSTERIOR,
    ),
    Option("chains", "integer", "chains per checkpoint", default=4, group=_POSTERIOR, metavar="N"),
    Option(
        "draws",
        "integer",
        "kept draws per chain; auto: 500, and then as many as bring the influence between items out of the noise",
        default=DRAWS,
        choose=lambda trajectory, chosen: DRAWS,
        group=_POSTERIOR,
        metavar="N",
    ),
    Option(
        "step_size",
        "number",
        "of the sampler; auto: bias of 2.5% on variances",
        automatic=True,
        group=_POSTERIOR,
        metavar="X",
    ),
    Option("batch_size", "integer", "items a mini-batch of sgld (default: all)", group=_POSTERIOR, metavar="N"),
    Option(
        "restrict",
        "word",
        "the one layer whose weights move, of a linear network; none: all move",
        default="none",
        choices=("none", *(f"W{k}" for k in range(1, 9))),
        group=_POSTERIOR,
    ),
    Option(
        "force_short",
        "switch",
        "accept chains too short for their autocorrelation time",
        default=False,
        group=_POSTERIOR,
    ),
)
_BY_BATCHES = {"long_name": "by batch means"}
BESIDE = (
    Beside("stderr", "local_bif_simulated_stderr", attrs={**_BY_BATCHES, "units": "loss^2"}),
    Beside(
        "stderr_between_chains",
        "local_bif_simulated_stderr_between_chains",
        attrs={"long_name": "between whole chains", "units": "loss^2"},
        optional=True,
    ),
    Beside(
        "parts",
        "local_bif_simulated_parts",
        ("time", "part", "source", "target"),
        {"long_name": "nearly independent parts of the chains; their mean is local_bif_simulated", "units": "loss^2"},
        most=8,
    ),
    Beside(
        "correlation",
        "local_bif_simulated_correlation",
        attrs={"long_name": "-Corr(l_i, l_j), the influence per standard deviation of both losses", "units": "1"},
        optional=True,
    ),
    Beside(
        "correlation_stderr",
        "local_bif_simulated_correlation_stderr",
        attrs={**_BY_BATCHES, "units": "1"},
        optional=True,
    ),
    Beside(
        "rhat",
        "local_bif_rhat",
        ("time", "item"),
        {"long_name": "split R-hat of the item's loss"},
        optional=True,
    ),
    Beside(
        "ess",
        "local_bif_ess",
        ("time", "item"),
        {"long_name": "effective sample size of the item's mean loss"},
        optional=True,
    ),
    Beside(
        "learning_coefficient",
        "learning_coefficient_simulated",
        ("time",),
        {"long_name": "lambda_hat = n beta (E[L] - L(w*)); along the way an estimate without a theorem behind it"},
    ),
    Beside("learning_coefficient_stderr", "learning_coefficient_simulated_stderr", ("time",), _BY_BATCHES),
    Beside("lambda_min", "lambda_min_simulated", ("time",), {"long_name": "smallest curvature of the trained network"}),
)

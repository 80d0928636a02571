# ruff: noqa: F403
"""The simulated half: train, retrain and sample with torch, networks of any depth and activation.

`train`, `retrained_losses`, `sample_local_posterior`; the measures `gradient_kernel`, `damped_newton`,
`trajectory_derivative`, `window_removal`, `subset_losses`. Names load on first use: what needs
no torch does not wait for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.simulation.influence.damped_newton import *
    from workbench.simulation.influence.gradient_kernel import *
    from workbench.simulation.influence.leave_one_out import *
    from workbench.simulation.influence.subset_values import *
    from workbench.simulation.influence.trajectory_derivative import *
    from workbench.simulation.influence.window_removal import *
    from workbench.simulation.network.curvature import *
    from workbench.simulation.network.model import *
    from workbench.simulation.running.place import *
    from workbench.simulation.sampling.chains import *
    from workbench.simulation.sampling.convergence import *
    from workbench.simulation.sampling.learning_coefficient import *
    from workbench.simulation.sampling.moments import *
    from workbench.simulation.sampling.plan import *
    from workbench.simulation.sampling.sampler import *
    from workbench.simulation.sampling.samplers import *
    from workbench.simulation.training.descent import *
    from workbench.simulation.training.learning_rate import *
    from workbench.simulation.training.optimizers import *
    from workbench.simulation.training.recipes import *
    from workbench.simulation.training.schedule import *

_MODULES = {
    "influence.damped_newton": "damped_newton",
    "influence.gradient_kernel": "gradient_kernel item_gradients",
    "influence.leave_one_out": "Convention leave_one_out_weights retrained_losses",
    "influence.subset_values": "SubsetLosses all_subsets lds sampled_subsets shapley_values subset_losses",
    "influence.trajectory_derivative": "trajectory_derivative",
    "influence.window_removal": "window_removal",
    "network.curvature": "extreme_curvatures hessian_products largest_curvature",
    "network.model": "Model NetworkModel",
    "running.place": "Place",
    "sampling.chains": "LocalSamples sample_local_posterior",
    "sampling.convergence": "rhat_and_ess",
    "sampling.learning_coefficient": "LearningCoefficientEstimate gaussian_expectation local_learning_coefficient "
    "quadratic_expectation",
    "sampling.moments": "CovarianceEstimate",
    "sampling.plan": "Sampling plan",
    "sampling.sampler": "Plan Sampler",
    "sampling.samplers": "SAMPLERS",
    "training.descent": "train train_networks",
    "training.learning_rate": "balanced_curvature largest_stable_eta learning_rate",
    "training.optimizers": "Adam GradientDescent Momentum Optimizer",
    "training.recipes": "ItemWeights Recipe",
    "training.schedule": "Schedule log_spaced_times schedule_near stage_times",
}
_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'workbench.simulation' has no attribute {name!r}")
    value = getattr(import_module(f"workbench.simulation.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

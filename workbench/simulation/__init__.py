"""The simulated half: train, retrain and sample with torch.

Two-layer linear networks, the ones theory compares with: `train`, `retrain_weighted`, `sample_local_posterior`.
Networks of any depth and activation, trained by a `Recipe`: `train_networks`, `retrained_losses`, `subset_losses`,
`window_removal`, `trajectory_derivative`, `network_kernel`; their local posterior by `sample_local_posterior` of
`NetworkCheckpoints`.
"""

from workbench.simulation.influence.damped_newton import damped_newton
from workbench.simulation.influence.gradient_kernel import item_gradients, network_damped_newton, network_kernel
from workbench.simulation.influence.leave_one_out import retrained_losses
from workbench.simulation.influence.subset_values import (
    SubsetLosses,
    all_subsets,
    lds,
    sampled_subsets,
    shapley_values,
    subset_losses,
)
from workbench.simulation.influence.trajectory_derivative import trajectory_derivative
from workbench.simulation.influence.two_layer_gradients import extreme_curvatures, gradient_kernel
from workbench.simulation.influence.two_layer_retraining import Convention, leave_one_out_weights, retrain_weighted
from workbench.simulation.influence.window_removal import window_removal
from workbench.simulation.sampling.chains import LocalSamples, sample_local_posterior
from workbench.simulation.sampling.diagnostics import rhat_and_ess
from workbench.simulation.sampling.learning_coefficient import (
    LearningCoefficientEstimate,
    gaussian_expectation,
    local_learning_coefficient,
    quadratic_expectation,
)
from workbench.simulation.sampling.moments import CovarianceEstimate
from workbench.simulation.sampling.network_posterior import NetworkCheckpoints
from workbench.simulation.sampling.plan import Plan, Sampling, plan
from workbench.simulation.training.checkpoints import log_spaced_times, schedule_near, stage_times
from workbench.simulation.training.descent import Place, train_networks
from workbench.simulation.training.learning_rate import (
    balanced_curvature,
    largest_curvature,
    largest_stable_eta,
    learning_rate,
)
from workbench.simulation.training.optimizers import Adam, GradientDescent, Momentum, Optimizer
from workbench.simulation.training.recipes import ItemWeights, Recipe
from workbench.simulation.training.two_layer_training import Schedule, train, train_seeds

__all__ = [
    "Adam",
    "Convention",
    "CovarianceEstimate",
    "GradientDescent",
    "ItemWeights",
    "LearningCoefficientEstimate",
    "LocalSamples",
    "Momentum",
    "NetworkCheckpoints",
    "Optimizer",
    "Place",
    "Plan",
    "Recipe",
    "Sampling",
    "Schedule",
    "SubsetLosses",
    "all_subsets",
    "balanced_curvature",
    "damped_newton",
    "extreme_curvatures",
    "gaussian_expectation",
    "gradient_kernel",
    "item_gradients",
    "largest_curvature",
    "largest_stable_eta",
    "lds",
    "learning_rate",
    "leave_one_out_weights",
    "local_learning_coefficient",
    "log_spaced_times",
    "network_damped_newton",
    "network_kernel",
    "plan",
    "quadratic_expectation",
    "retrain_weighted",
    "retrained_losses",
    "rhat_and_ess",
    "sample_local_posterior",
    "sampled_subsets",
    "schedule_near",
    "shapley_values",
    "stage_times",
    "subset_losses",
    "train",
    "train_networks",
    "train_seeds",
    "trajectory_derivative",
    "window_removal",
]

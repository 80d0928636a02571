"""The symbolic half: every closed form carries its derivation and its conditions, and checks itself.

The functions here evaluate over numpy arrays. The formulas behind them, with their derivations, are in
`workbench.theory.catalogue` (``workbench derive --list`` on the command line).
"""

from workbench.theory.catalogue import derivation
from workbench.theory.closed_form import ClosedForm
from workbench.theory.flow.aligned import (
    aligned_trajectory,
    half_rise_times,
    initial_strengths,
    mode_residuals,
    mode_strengths,
    settling_time,
)
from workbench.theory.flow.balanced_starts import balanced_start, reaches_target
from workbench.theory.flow.end_to_end import end_to_end_flow
from workbench.theory.flow.exact_solution import balance_residual, exact_factors, exact_solution
from workbench.theory.flow.predict import predict, route
from workbench.theory.flow.unequal_start import unequal_start
from workbench.theory.flow.weighted_flow import layerwise_flow, weighted_flow
from workbench.theory.influence.damped_newton import (
    damped_newton,
    default_damping,
    dense_damped_newton,
    required_damping,
)
from workbench.theory.influence.flips import flip_times, kernel_on_tree, peak_times
from workbench.theory.influence.frozen_input import frozen_input_derivative
from workbench.theory.influence.gradient_kernel import gradient_kernel, gradient_kernel_from_weights
from workbench.theory.influence.infinite_depth import infinite_depth_kernel
from workbench.theory.influence.item_curves import item_curves
from workbench.theory.influence.leave_one_out import held_out_losses, leave_one_out
from workbench.theory.influence.on_quantities import product_responses, stage_time_responses
from workbench.theory.influence.sensitivity_flow import trajectory_derivative_from_start
from workbench.theory.influence.symmetry import influence_classes
from workbench.theory.influence.trajectory_derivative import trajectory_derivative
from workbench.theory.influence.unequal_response import unequal_derivative
from workbench.theory.influence.window_removal import window_removal
from workbench.theory.modes.infinite_depth import infinite_depth_strength
from workbench.theory.modes.rise_time import half_rise_time
from workbench.theory.modes.spectrum import hierarchy_spectrum
from workbench.theory.modes.step_size import step_size_shift
from workbench.theory.modes.strength import mode_strength
from workbench.theory.modes.unbalanced_weights import mode_weights
from workbench.theory.posterior.bayesian_learner import bayesian_learner
from workbench.theory.posterior.coupled_posterior import coupled_covariance, coupled_covariance_by_level, coupled_flips
from workbench.theory.posterior.dense_depth import dense_bif, dense_newton
from workbench.theory.posterior.dense_posterior import dense_local_bif
from workbench.theory.posterior.hessian import default_n_beta, hessian_spectrum, required_gamma
from workbench.theory.posterior.learning_coefficient import learning_coefficient
from workbench.theory.posterior.local_posterior import local_bif
from workbench.theory.posterior.phase_comparison import phase_comparison

__all__ = [
    "ClosedForm",
    "aligned_trajectory",
    "balance_residual",
    "balanced_start",
    "bayesian_learner",
    "coupled_covariance",
    "coupled_covariance_by_level",
    "coupled_flips",
    "damped_newton",
    "default_damping",
    "default_n_beta",
    "dense_bif",
    "dense_damped_newton",
    "dense_local_bif",
    "dense_newton",
    "derivation",
    "end_to_end_flow",
    "exact_factors",
    "exact_solution",
    "flip_times",
    "frozen_input_derivative",
    "gradient_kernel",
    "gradient_kernel_from_weights",
    "half_rise_time",
    "half_rise_times",
    "held_out_losses",
    "hessian_spectrum",
    "hierarchy_spectrum",
    "infinite_depth_kernel",
    "infinite_depth_strength",
    "influence_classes",
    "initial_strengths",
    "item_curves",
    "kernel_on_tree",
    "layerwise_flow",
    "learning_coefficient",
    "leave_one_out",
    "local_bif",
    "mode_residuals",
    "mode_strength",
    "mode_strengths",
    "mode_weights",
    "peak_times",
    "phase_comparison",
    "predict",
    "product_responses",
    "reaches_target",
    "required_damping",
    "required_gamma",
    "route",
    "settling_time",
    "stage_time_responses",
    "step_size_shift",
    "trajectory_derivative",
    "trajectory_derivative_from_start",
    "unequal_derivative",
    "unequal_start",
    "weighted_flow",
    "window_removal",
]

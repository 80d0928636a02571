"""The symbolic half: every closed form carries its derivation and its conditions, and checks itself.

The functions here evaluate over numpy arrays. The formulas behind them, with their derivations, are in
`workbench.theory.catalogue` (``workbench derive --list`` on the command line).
"""

from workbench.theory.balanced_starts import balanced_start, reaches_target
from workbench.theory.bayesian_learner import bayesian_learner
from workbench.theory.catalogue import derivation
from workbench.theory.closed_form import ClosedForm
from workbench.theory.coupled_posterior import coupled_covariance, coupled_covariance_by_level, coupled_flips
from workbench.theory.damped_newton import (
    damped_newton,
    default_damping,
    dense_damped_newton,
    required_damping,
)
from workbench.theory.dense_posterior import dense_local_bif
from workbench.theory.exact_solution import balance_residual, exact_factors, exact_solution
from workbench.theory.fast import item_curves
from workbench.theory.flips import flip_times, kernel_on_tree, peak_times
from workbench.theory.hessian import default_n_beta, hessian_spectrum, required_gamma
from workbench.theory.infinite_depth import infinite_depth_strength
from workbench.theory.kernel import gradient_kernel, gradient_kernel_from_weights
from workbench.theory.kernel_depth import gradient_kernel_deep
from workbench.theory.learning_coefficient import learning_coefficient
from workbench.theory.leave_one_out import held_out_losses, leave_one_out
from workbench.theory.local_posterior import local_bif
from workbench.theory.mode_strength import half_rise_time, mode_strength
from workbench.theory.network import (
    aligned_trajectory,
    half_rise_times,
    initial_strengths,
    mode_residuals,
    mode_strengths,
    settling_time,
)
from workbench.theory.phase_comparison import phase_comparison
from workbench.theory.sensitivity_flow import trajectory_derivative_from_start
from workbench.theory.spectrum import hierarchy_spectrum
from workbench.theory.step_size import step_size_shift
from workbench.theory.symmetry import influence_classes
from workbench.theory.trajectory_derivative import trajectory_derivative
from workbench.theory.unbalanced_weights import mode_weights
from workbench.theory.weighted_flow import weighted_flow
from workbench.theory.window_removal import window_removal
from workbench.trajectory import Start

__all__ = [
    "ClosedForm",
    "Start",
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
    "dense_damped_newton",
    "dense_local_bif",
    "derivation",
    "exact_factors",
    "exact_solution",
    "flip_times",
    "gradient_kernel",
    "gradient_kernel_deep",
    "gradient_kernel_from_weights",
    "half_rise_time",
    "half_rise_times",
    "held_out_losses",
    "hessian_spectrum",
    "hierarchy_spectrum",
    "infinite_depth_strength",
    "influence_classes",
    "initial_strengths",
    "item_curves",
    "kernel_on_tree",
    "learning_coefficient",
    "leave_one_out",
    "local_bif",
    "mode_residuals",
    "mode_strength",
    "mode_strengths",
    "mode_weights",
    "peak_times",
    "phase_comparison",
    "reaches_target",
    "required_damping",
    "required_gamma",
    "settling_time",
    "step_size_shift",
    "trajectory_derivative",
    "trajectory_derivative_from_start",
    "weighted_flow",
    "window_removal",
]

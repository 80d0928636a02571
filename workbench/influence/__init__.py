"""Measures of influence, analytic and simulated side by side."""

from workbench.influence.history import leave_one_out, schedule_of, trajectory_derivative, window_removal
from workbench.influence.measures import (
    DEFAULT_MEASURES,
    MEASURES,
    damped_newton,
    default_damping,
    default_gamma,
    default_n_beta,
    gradient_kernel,
    local_bif,
)
from workbench.influence.result import ESTIMANDS, SIGN_CONVENTION, Estimand, influence_array
from workbench.theory import predict

__all__ = [
    "DEFAULT_MEASURES",
    "ESTIMANDS",
    "MEASURES",
    "SIGN_CONVENTION",
    "Estimand",
    "damped_newton",
    "default_damping",
    "default_gamma",
    "default_n_beta",
    "gradient_kernel",
    "influence_array",
    "leave_one_out",
    "local_bif",
    "predict",
    "schedule_of",
    "trajectory_derivative",
    "window_removal",
]

"""The simulated half: train, retrain and sample with torch."""

from workbench.simulation.gradients import extreme_curvatures, gradient_kernel
from workbench.simulation.newton import damped_newton
from workbench.simulation.retraining import leave_one_out_weights, retrain_weighted
from workbench.simulation.sampling import LocalSamples, Plan, Sampling, plan, sample_local_posterior
from workbench.simulation.training import Schedule, train, train_seeds

__all__ = [
    "LocalSamples",
    "Plan",
    "Sampling",
    "Schedule",
    "damped_newton",
    "extreme_curvatures",
    "gradient_kernel",
    "leave_one_out_weights",
    "plan",
    "retrain_weighted",
    "sample_local_posterior",
    "train",
    "train_seeds",
]

"""Any `torch.nn.Module` on the bench: its local posterior sampled, its gradient kernel, its curvatures."""

import warnings

from workbench.simulation.module.kernel import GroupKernel, gradient_kernel, group_kernel
from workbench.simulation.module.losses import Losses, ModuleLosses
from workbench.simulation.module.result import ModuleSamples
from workbench.simulation.module.sampling import ModuleSampling, sample_module_checkpoints, sample_module_posterior

# Fused attention has no batching rule on a processor: there vmap takes it chain by chain, at no extra cost.
warnings.filterwarnings("ignore", "There is a performance drop because we have not yet implemented the batching rule")

__all__ = [
    "GroupKernel",
    "Losses",
    "ModuleLosses",
    "ModuleSamples",
    "ModuleSampling",
    "gradient_kernel",
    "group_kernel",
    "sample_module_checkpoints",
    "sample_module_posterior",
]

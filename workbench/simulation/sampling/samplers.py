"""All samplers: a new one is a file that holds a `sampler.Sampler` called ``SAMPLER``, and a line here.

Names and modules, so that a command line can list them without waiting for torch.
"""

from __future__ import annotations

SAMPLERS: dict[str, str] = {
    "sgld": "workbench.simulation.sampling.sgld",
    "rmsprop": "workbench.simulation.sampling.rmsprop",
    "hmc": "workbench.simulation.sampling.hmc",
}

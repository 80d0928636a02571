"""One small step again and again; on a GPU as a graph of many steps, which costs one launch.

Steps of these networks take a GPU a few microseconds a kernel, less than it takes to launch the kernel one by one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

#: Steps of a graph.
STEPS = 64


class Repeated:
    """``step()``, which works in place: on the same tensors, in the same way, every time.

    Args:
        step: the step.
        device: where its tensors are.
    """

    def __init__(self, step: Callable[[], None], device: torch.device) -> None:
        self._step, self._captures = step, device.type == "cuda"
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, count: int) -> None:
        """Do so many steps."""
        if not self._captures or count < STEPS:
            for _ in range(count):
                self._step()
            return
        if self._graph is None:
            self(STEPS - 1)  # libraries set themselves up in steps of their own
            self(1)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                for _ in range(STEPS):
                    self._step()
            count -= STEPS
        for _ in range(count // STEPS):
            self._graph.replay()
        self(count % STEPS)

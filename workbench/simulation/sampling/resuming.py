"""Keep running chains in a store and go on with them: the same numbers, bit by bit, as if they had never stopped."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from workbench.simulation.sampling.drivers import Fused, Stepwise
from workbench.store import Slot


def keep(slot: Slot, steps: int, traces: list[torch.Tensor], driver: Stepwise | Fused, **parts: object) -> None:
    """Keep what the chains are after ``steps`` steps: their random streams, traces, and all numbers of ``parts``.

    Args:
        slot: where.
        steps: a whole number of the driver's blocks, or all that there are.
        traces: losses of the draws so far.
        driver: what moves the chains.
        parts: their state and sums: objects whose attributes are tensors, arrays and numbers.
    """
    if slot.store is None:
        return
    kept: dict[str, Any] = {"steps": steps, "streams": driver.position(), "traces": [x.cpu().numpy() for x in traces]}
    for part, holder in parts.items():
        for name, value in vars(holder).items():
            tensor = _tensor(value)
            kept[f"{part}{name}"] = _number(name, value) if tensor is None else tensor.cpu().numpy()
    slot.save(kept)


def resume(slot: Slot, traces: list[torch.Tensor], driver: Stepwise | Fused, **parts: object) -> int:
    """Put back what `keep` kept, in place; the number of steps the chains had done, 0 if nothing was kept."""
    kept = slot.load()
    if kept is None:
        return 0
    driver.go_to(kept["streams"])
    device = torch.device("cpu")
    for part, holder in parts.items():
        for name, value in vars(holder).items():
            saved = kept[f"{part}{name}"]
            if (tensor := _tensor(value)) is not None:
                tensor.copy_(torch.from_numpy(saved))
                device = tensor.device
                if value is not tensor:
                    value.refresh()
            else:
                setattr(holder, name, saved if isinstance(value, np.ndarray) else type(value)(saved.item()))
    traces.extend(torch.from_numpy(draw).to(device) for draw in kept["traces"])
    return int(kept["steps"])


def _tensor(value: Any) -> torch.Tensor | None:
    """A tensor itself, or the weights of a batch of models, from which the rest of it follows; None for others."""
    return value if isinstance(value, torch.Tensor) else getattr(value, "w", None)


def _number(name: str, value: object) -> object:
    if not isinstance(value, (int, float, np.ndarray)):
        raise TypeError(f"{name} is {type(value).__name__}: it cannot be kept, and chains would not resume")
    return value

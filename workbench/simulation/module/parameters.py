"""Which weights of a module are sampled: parameters by name or pattern, or a part of one, such as a head.

``layers.0.*`` is every parameter whose name matches; ``layers.0.qkv.weight[16:32]`` rows 16 to 31 of one, and
``layers.0.out.weight[:, 16:32]`` columns. Several parts of one parameter are taken together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

import torch
from torch import nn

from workbench.errors import WorkbenchError

_SLICED = re.compile(r"(?P<name>.+)\[(?P<slices>[\d:,\s]*:[\d:,\s]*)\]")


@dataclass(frozen=True, eq=False)
class Part:
    """What is sampled of one parameter.

    Attributes:
        name: of the parameter. shape: its own.
        places: ``(n,)`` of its flattened weights that are sampled; None: all.
        rest: ``(weights,)`` all of them at the checkpoint, flattened; None where all are sampled.
    """

    name: str
    shape: torch.Size
    places: torch.Tensor | None
    rest: torch.Tensor | None

    @property
    def size(self) -> int:
        """How many weights are sampled."""
        return self.shape.numel() if self.places is None else len(self.places)

    def taken(self, parameter: torch.Tensor) -> torch.Tensor:
        """``(size,)`` of a parameter or of its gradient."""
        flat = parameter.reshape(-1)
        return flat if self.places is None else flat[self.places]

    def whole(self, w: torch.Tensor) -> torch.Tensor:
        """The parameter with the sampled weights ``(size,)`` in their places."""
        if self.places is None or self.rest is None:
            return w.view(self.shape)
        return self.rest.index_copy(0, self.places, w).view(self.shape)


def chosen_parts(model: nn.Module, patterns: Sequence[str]) -> tuple[Part, ...]:
    """What the patterns name, in the order of the module; without any: all that can be trained."""
    known = dict(model.named_parameters())
    if not patterns:
        trained = [Part(name, value.shape, None, None) for name, value in known.items() if value.requires_grad]
        if not trained:
            raise WorkbenchError("the module has no parameter that can be trained; nothing can be sampled")
        return tuple(trained)
    masks: dict[str, torch.Tensor] = {}
    for pattern in patterns:
        sliced = _SLICED.fullmatch(pattern)
        wanted = [name for name in known if fnmatch(name, sliced["name"] if sliced else pattern)]
        if not wanted:
            raise WorkbenchError(f"no parameter is called {pattern!r}; the module has {', '.join(known)}")
        for name in wanted:
            mask = masks.setdefault(name, torch.zeros(known[name].shape, dtype=torch.bool))
            mask[_slices(sliced["slices"], mask, pattern) if sliced else ...] = True
    return tuple(_part(name, value.detach(), masks[name]) for name, value in known.items() if name in masks)


def _part(name: str, value: torch.Tensor, mask: torch.Tensor) -> Part:
    if bool(mask.all()):
        return Part(name, value.shape, None, None)
    places = mask.flatten().nonzero()[:, 0].to(value.device)
    return Part(name, value.shape, places, value.reshape(-1).clone())


def _slices(text: str, mask: torch.Tensor, pattern: str) -> tuple[slice, ...]:
    pieces = [[int(end) if end.strip() else None for end in piece.split(":")] for piece in text.split(",")]
    if any(len(ends) != 2 for ends in pieces) or len(pieces) > mask.ndim:
        raise WorkbenchError(f"{pattern!r} of a parameter of shape {tuple(mask.shape)}; give slices such as [0:16]")
    slices = tuple(slice(*ends) for ends in pieces)
    if not mask[slices].numel():
        raise WorkbenchError(f"{pattern!r} names no weight; the parameter has shape {tuple(mask.shape)}")
    return slices

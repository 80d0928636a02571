"""The losses of a module as a function of one flat vector of its weights.

Everything else here (chains, kernels, curvatures) sees a module only through ``losses(w, batch)`` with ``w`` of shape
``(N,)``: the chosen parameters laid end to end, in the order in which the module names them. The other parameters and
the buffers stay as they are at the checkpoint.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from workbench.errors import WorkbenchError
from workbench.simulation.module.parameters import Part, chosen_parts

#: ``losses(model, batch)`` gives the loss of every example ``(batch,)`` or of every token ``(batch, tokens)``.
Losses = Callable[[nn.Module, Any], torch.Tensor]
#: A tensor, or a tuple or mapping of tensors, whose first dimension counts examples.
Data = Any


class _Asked(nn.Module):
    """A module whose output is its losses, so that `functional_call` can change its weights."""

    def __init__(self, model: nn.Module, losses: Losses) -> None:
        super().__init__()
        self.model = model
        self._losses = losses

    def forward(self, batch: Data) -> torch.Tensor:
        return self._losses(self.model, batch)

    def copied(self) -> _Asked:
        """The same losses of a copy of the module."""
        return _Asked(copy.deepcopy(self.model), self._losses)


@dataclass(frozen=True, eq=False, repr=False)  # torch.func takes the repr of what has no name, at every call
class ModuleLosses:
    """A module, its losses, and the parameters that count as its weights.

    Attributes:
        parts: the chosen parameters, or parts of them.
        star: ``(N,)`` their values at the checkpoint, end to end.
    """

    parts: tuple[Part, ...]
    star: torch.Tensor
    asked: _Asked

    @classmethod
    def at(
        cls,
        model: nn.Module,
        losses: Losses,
        checkpoint: Mapping[str, torch.Tensor] | None = None,
        parameters: Sequence[str] = (),
    ) -> ModuleLosses:
        """A copy of the module at a checkpoint.

        Args:
            checkpoint: a state dict; None: the weights that the module has.
            parameters: names, patterns or slices of parameters, as in `parameters`; none: all that can be trained.
        """
        own = copy.deepcopy(model)
        if checkpoint is not None:
            _load(own, checkpoint)
        own.eval()  # dropout would make a loss random
        parts, values = chosen_parts(own, parameters), dict(own.named_parameters())
        if len({(values[part.name].dtype, values[part.name].device) for part in parts}) > 1:
            raise WorkbenchError("the chosen parameters differ in type or device; choose some that share both")
        star = torch.cat([part.taken(values[part.name].detach()) for part in parts])
        own.requires_grad_(False)
        return cls(parts, star, _Asked(own, losses))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the chosen parameters."""
        return tuple(part.name for part in self.parts)

    @property
    def n_weights(self) -> int:
        """N."""
        return self.star.numel()

    def weights(self, w: torch.Tensor) -> dict[str, torch.Tensor]:
        """Parameters by name from the flat ``(N,)`` vector: views of it where a whole parameter is sampled."""
        pieces = torch.split(w, [part.size for part in self.parts])
        return {f"model.{part.name}": part.whole(piece) for part, piece in zip(self.parts, pieces, strict=True)}

    def rest(self) -> dict[str, torch.Tensor]:
        """What is not sampled: parameters and buffers by name, sampled places of a parameter as zeros.

        Names of parameters are those of `named_parameters`, which names one that is used twice once.
        """
        sampled = {part.name: part.places for part in self.parts}
        kept = dict(self.asked.model.named_buffers())
        for name, whole in self.asked.model.named_parameters():
            places = sampled.get(name)
            if places is not None:
                kept[name] = whole.detach().flatten().index_fill(0, places, 0)
            elif name not in sampled:
                kept[name] = whole.detach()
        return kept

    def __call__(self, w: torch.Tensor, batch: Data) -> torch.Tensor:
        """``(batch, ...)`` losses at weights ``(N,)``."""
        value: torch.Tensor = functional_call(self.asked, self.weights(w), (batch,))
        return value

    def mean(self, w: torch.Tensor, batch: Data) -> torch.Tensor:
        """Their mean over all examples and tokens of the batch: what n beta multiplies."""
        return self(w, batch).mean()

    def gradient(self, w: torch.Tensor, batch: Data) -> torch.Tensor:
        """``(N,)`` gradient of the mean loss."""
        leaf = w.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self.mean(leaf, batch), leaf)
        return gradient

    def movable(self) -> MovableModule:
        """A copy whose weights are written over from call to call."""
        return MovableModule(self)

    def checked(self, data: Data, w: torch.Tensor | None = None) -> torch.Tensor:
        """The losses of all data at the checkpoint, or at w; refused where the loss function gives something else."""
        count = length(data)
        with torch.no_grad():
            value = self(self.star if w is None else w, data)
        if not isinstance(value, torch.Tensor) or not 1 <= value.ndim <= 2 or value.shape[0] != count:
            given = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
            raise WorkbenchError(
                f"losses(model, batch) gave {given} for a batch of {count}; it must give one loss an example, "
                f"({count},), or one a token, ({count}, tokens), and no mean"
            )
        if not bool(torch.isfinite(value).all()):
            raise WorkbenchError("losses(model, batch) is not finite at the checkpoint; look at the model and its data")
        if w is None:
            self._check_alone(data, value)
        return value

    def _check_alone(self, data: Data, together: torch.Tensor) -> None:
        """Refuse losses that depend on which other examples are in the batch: first and last, each by itself."""
        last = len(together) - 1
        for k in {0, last} if last else ():
            with torch.no_grad():
                alone = self(self.star, rows(data, slice(k, k + 1)))
            if alone.shape[1:] != together.shape[1:]:
                continue  # shorter without the padding of others
            gap, size = float((alone[0] - together[k]).abs().max()), float(together.abs().max())
            if gap > torch.finfo(together.dtype).eps ** 0.5 * size:
                raise WorkbenchError(
                    f"losses(model, batch) of example {k} changes by {gap:.3g} when it is asked by itself; a loss must "
                    "not depend on the other examples of its batch"
                )


class MovableModule:
    """A copy of a module whose chosen parameters are views of one vector, so that a chain moves in by one copy.

    `functional_call` takes some tenths of a millisecond to exchange the parameters of a transformer; this does not.
    """

    def __init__(self, model: ModuleLosses) -> None:
        self._asked, self._parts, self._w = model.asked.copied(), model.parts, model.star.clone()
        named = dict(self._asked.named_parameters())
        self._parameters = [named[name] for name in model.weights(self._w)]
        for parameter, values in zip(self._parameters, model.weights(self._w).values(), strict=True):
            parameter.data = values
            parameter.requires_grad_()
        pieces = torch.split(self._w, [part.size for part in self._parts])
        self._copied = [
            row for row in zip(self._parameters, self._parts, pieces, strict=True) if row[1].places is not None
        ]

    def _move(self, w: torch.Tensor) -> None:
        self._w.copy_(w)
        for parameter, part, piece in self._copied:
            assert part.places is not None
            parameter.data.view(-1)[part.places] = piece

    def losses(self, w: torch.Tensor, batch: Data) -> torch.Tensor:
        """``(batch, ...)`` losses at weights ``(N,)``."""
        self._move(w)
        with torch.no_grad():
            value: torch.Tensor = self._asked(batch)
        return value

    def gradient(self, w: torch.Tensor, batch: Data, out: torch.Tensor) -> None:
        """Write the gradient ``(N,)`` of the mean loss at weights ``(N,)`` into ``out``."""
        self._move(w)
        mean = self._asked(batch).mean()
        gradients = torch.autograd.grad(mean, self._parameters, allow_unused=True, materialize_grads=True)
        torch.cat([part.taken(g) for part, g in zip(self._parts, gradients, strict=True)], out=out)


def _load(model: nn.Module, checkpoint: Mapping[str, torch.Tensor]) -> None:
    try:
        model.load_state_dict(dict(checkpoint))
    except RuntimeError as error:
        line = " ".join(str(error).split())
        raise WorkbenchError(f"the checkpoint is none of this module: {line[:200]}") from None


def length(data: Data) -> int:
    """How many examples there are."""
    if isinstance(data, torch.Tensor):
        if data.ndim == 0 or not len(data):
            raise WorkbenchError("data without rows; give at least one example")
        return len(data)
    if not isinstance(data, (Mapping, tuple, list)) or not data:
        kind = "no data" if data is None or isinstance(data, (Mapping, tuple, list)) else f"data of {type(data)}"
        raise WorkbenchError(f"{kind}; give a tensor, or a tuple or mapping of tensors, one row an example")
    counts = {length(part) for part in (data.values() if isinstance(data, Mapping) else data)}
    if len(counts) > 1:
        raise WorkbenchError(
            f"data of {', '.join(map(str, sorted(counts)))} rows; give each example a row in every tensor"
        )
    return counts.pop()


def rows(data: Data, index: torch.Tensor | slice) -> Data:
    """Some examples."""
    if isinstance(data, torch.Tensor):
        return data[index]
    if isinstance(data, Mapping):
        return {name: rows(part, index) for name, part in data.items()}
    return tuple(rows(part, index) for part in data)

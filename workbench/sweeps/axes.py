"""What a sweep runs over: fields of `Settings`, of the start and of the task, each with its values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np

from workbench.comparison.options import all_options
from workbench.errors import WorkbenchError
from workbench.influence import Option

#: Fields that are no settings: of the start (short for ``init``) and of the task.
START = {"a0": "balanced", "sigma": "gaussian"}
TASK = ("task", "branching", "flip_probability")
#: Settings that say how to work, or decide what a result consists of: the same for all cells.
_SHARED = ("measures", "device", "seeds")
#: More cells are a slip of the keyboard.
_MOST = 1_000_000


@dataclass(frozen=True)
class Axis:
    """A field and the values that it takes.

    Attributes:
        name: a field of `Settings`, ``a0``, ``sigma``, ``task``, ``branching`` or ``flip_probability``.
        values: at least one, all different.
    """

    name: str
    values: tuple[Any, ...]

    @property
    def labels(self) -> np.ndarray[Any, Any]:
        """The values as a coordinate: numbers, or words such as ``2,2,2`` and ``auto``."""
        if all(isinstance(value, int | float) for value in self.values):
            return np.asarray(self.values)
        return np.asarray([_word(value) for value in self.values], dtype=object)


def axes_of(over: Mapping[str, Iterable[Any]]) -> tuple[Axis, ...]:
    """The axes of a sweep, checked as far as that needs no task.

    Args:
        over: values by field; a single value may stand for a list of one.
    """
    if not over:
        raise WorkbenchError("a sweep over nothing; give `over`, such as depth=2,3,4")
    axes = []
    for name, given in over.items():
        option = _option(name)
        values = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
        values = tuple(_plain(value) for value in values)
        if not values or len(set(values)) < len(values):
            raise WorkbenchError(f"`over` {name}: {len(values)} values, some of them equal; give each once")
        for value in values:
            _check(name, option, value)
        axes.append(Axis(name, values))
    _refuse_overlap([axis.name for axis in axes])
    if np.prod([float(len(axis.values)) for axis in axes]) > _MOST:
        sizes = " x ".join(str(len(axis.values)) for axis in axes)
        raise WorkbenchError(f"`over` asks for {sizes} cells (limit {_MOST:,}); give fewer values")
    return tuple(axes)


def axis_of_text(text: str) -> tuple[str, tuple[Any, ...]]:
    """Name and values from ``a0=0.001,0.01``, ``seed=0:20`` (20 left out) or ``branching=2x2,3x2``.

    >>> axis_of_text("seed=0:3")
    ('seed', (0, 1, 2))
    """
    name, equals, rest = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not rest:
        raise WorkbenchError(f"`over` {text!r}; give a field and its values, such as a0=0.001,0.01 or seed=0:20")
    option = _option(name)
    values: list[Any] = []
    for word in _words(name, rest):
        values += _read(name, option, word)
    return name, tuple(values)


def _words(name: str, text: str) -> list[str]:
    return [word.strip() for word in text.split(";" if name == "task" else ",")]


def _read(name: str, option: Option | None, word: str) -> list[Any]:
    """The values that a word stands for."""
    kind = option.kind if option is not None else "word" if name == "task" else name
    try:
        if kind == "branching":
            return [tuple(int(b) for b in word.split("x"))]
        if kind == "integer":
            return list(range(*map(int, word.split(":")))) if ":" in word else [int(word)]
        if kind == "switch":
            return [{"true": True, "false": False}[word.lower()]]
        if kind == "window":
            begin, end = map(float, word.split(":"))
            return [(begin, end)]
        if kind in ("word", "words"):
            return [word]
        if word == "auto" and option is not None and option.auto:
            return [None]
        return [float(word)]
    except (ValueError, KeyError, TypeError):
        raise WorkbenchError(f"`over` {name}: {word!r} is no {_NOUNS.get(kind, 'number')}") from None


_NOUNS = {
    "integer": "whole number (or range such as 0:20)",
    "switch": "switch; give true or false",
    "window": "window; give T0:T1 in flow time",
    "branching": "branching; give numbers of children such as 2x2x2",
}


def _option(name: str) -> Option | None:
    """The option of a field of `Settings`; None for the others."""
    known = {option.name: option for option in all_options() if option.name not in _SHARED}
    fields = [*known, *START, *TASK]
    if name not in fields:
        near = get_close_matches(name, fields, 1, 0.0)[0]
        raise WorkbenchError(f"`over` {name}: there is no such field to run over; did you mean {near}?")
    return known.get(name)


def _check(name: str, option: Option | None, value: Any) -> None:
    if option is not None:
        if option.kind in ("integer", "number") and (isinstance(value, bool | str)):
            raise WorkbenchError(f"`over` {name}: {value!r} is no number")
        if option.kind == "integer" and not isinstance(value, int):
            raise WorkbenchError(f"`over` {name}: {value!r} is no whole number")
        option.check(value)
    elif name in START and not (isinstance(value, int | float) and value > 0):
        raise WorkbenchError(f"`over` {name}: {value!r}; give positive numbers")


def _refuse_overlap(names: list[str]) -> None:
    starts = [name for name in names if name in (*START, "init")]
    if len(starts) > 1:
        raise WorkbenchError(f"`over` {' and '.join(starts)} all say how the network starts; run over one of them")


def _plain(value: Any) -> Any:
    """Numbers of numpy as Python's, lists as tuples."""
    value = value.item() if isinstance(value, np.generic) else value
    return tuple(value) if isinstance(value, list) else value


def _word(value: Any) -> str:
    return "auto" if value is None else ",".join(map(str, value)) if isinstance(value, tuple) else str(value)

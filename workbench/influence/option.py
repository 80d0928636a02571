"""One thing that can be chosen: how it is called, what it may be, and what it is if nobody says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workbench.errors import WorkbenchError
from workbench.trajectory import Trajectory

Kind = Literal["integer", "number", "word", "switch", "window", "words"]

#: Fourth powers of a number, as of gamma in the variance of a loss, must stay far from overflow.
_SMALLEST, _LARGEST = 1e-60, 1e60


@dataclass(frozen=True)
class Option:
    """An option of a measure or of a comparison: a keyword argument, a field of `Settings`, a flag, a slider.

    Attributes:
        name: the keyword.
        kind: integer, positive number, word, switch (True or False), window (t0, t1) of
            flow times (a list of them in Python), or several words.
        help: one line.
        default: the value if none is given; None: chosen, or nothing.
        choose: the value in place of None, from the predicted trajectory and the options before this one.
        zero: whether a number may be 0.
        automatic: whether None means "chosen" although ``choose`` is absent: the comparison chooses.
        choices: the words there are.
        group: heading on the command line.
        metavar: place holder there.
        symbol: for a label.
        unit: of the number.
        ends: of a slider, logarithmic; None: no slider.
    """

    name: str
    kind: Kind
    help: str
    default: Any = None
    choose: Callable[[Trajectory, Mapping[str, Any]], Any] | None = None
    zero: bool = False
    automatic: bool = False
    choices: tuple[str, ...] = ()
    group: str = "influence"
    metavar: str = ""
    symbol: str = ""
    unit: str = ""
    ends: tuple[float, float] | None = None

    @property
    def auto(self) -> bool:
        """Whether None stands for a value that is chosen."""
        return self.automatic or self.choose is not None

    def check(self, value: Any) -> None:
        """Refuse a value that the option cannot have, in one line."""
        if value is None:
            return
        if self.kind == "number":
            self._check_number(value)
        if self.kind == "window":
            self._check_windows([value] if isinstance(value[0], int | float) else value)
        if self.choices and value not in self.choices:
            raise WorkbenchError(f"{self.name} {value!r} is unknown; use {', '.join(self.choices)}")

    def _check_number(self, value: float) -> None:
        if self.zero and value == 0:
            return
        if not 0 < value < float("inf"):
            raise WorkbenchError(f"`{self.name}` {value:g}; give a positive number")
        if not _SMALLEST <= value <= _LARGEST:
            raise WorkbenchError(f"`{self.name}` {value:g}; give a positive number from {_SMALLEST:g} to {_LARGEST:g}")

    def _check_windows(self, windows: Sequence[tuple[float, float]]) -> None:
        for begin, end in windows:
            if not 0 <= begin <= end or (len(windows) == 1 and begin == end):
                raise WorkbenchError(f"`{self.name}` {begin:g}:{end:g}; give 0 <= t0 < t1, such as 0:5")

"""`ClosedForm`: a formula that carries its derivation, its conditions and its source, and checks itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from workbench.errors import ConditionError, WorkbenchError
from workbench.theory.printing import LINE, breadth, latex, plain
from workbench.theory.printing import lines as broken_lines
from workbench.theory.sentences import marked

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Variable:
    """A symbol of a formula: what it means and in which unit it is counted.

    Units: ``loss`` is the unit of the loss L, ``time`` is flow time t (learning rate x step), ``weight`` that of
    a network weight; ``1`` is dimensionless.
    """

    symbol: sp.Symbol
    meaning: str
    unit: str = "1"


def bare(*symbols: sp.Symbol) -> Any:
    """The symbols without the assumptions that sympy's derivations need, for use in a `Condition`.

    With them ``t >= 0`` would be true before any number is seen.
    """
    stripped = tuple(sp.Symbol(symbol.name, real=True) for symbol in symbols)
    return stripped if len(stripped) > 1 else stripped[0]


@dataclass(frozen=True)
class Condition:
    """Where the formula holds: a relation between its `bare` variables, and what to do when it fails."""

    relation: Any
    statement: str
    remedy: str

    def __post_init__(self) -> None:
        assumed = [s for s in self.relation.free_symbols if s != bare(s)]
        if assumed or not self.relation.free_symbols:
            raise ValueError(f"condition {self.statement!r} must relate bare symbols, else it is true by assumption")


@dataclass(frozen=True)
class Step:
    """One line of a derivation.

    ``expression`` is shown; ``residual``, where there is one, is an expression that sympy must reduce to 0 for
    the step to be true. ``why`` says what the step is for, or what it means.
    """

    statement: str
    expression: Any
    residual: Any = None
    why: str = ""

    def verify(self) -> bool:
        """Whether the residual vanishes identically (steps that only state a definition are true)."""
        return self.residual is None or _vanishes(self.residual)


def _vanishes(residual: Any) -> bool:
    if isinstance(residual, sp.MatrixBase):
        return all(_vanishes(entry) for entry in residual)
    return residual == 0 or _reduces_to_zero(residual)


@lru_cache(maxsize=1024)  # a form is checked again wherever it is shown
def _reduces_to_zero(residual: Any) -> bool:
    for reduce in (sp.simplify, lambda r: sp.simplify(sp.expand(r.rewrite(sp.exp))), sp.radsimp):
        if reduce(residual) == 0:
            return True
    return False


@dataclass(frozen=True)
class StepResult:
    """Outcome of one step of `ClosedForm.self_check`."""

    statement: str
    checked: bool
    passed: bool


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """A derived formula ``quantity = expression``.

    Attributes:
        name: identifier, unique in the package.
        title: one line for people.
        quantity: the left-hand side.
        expression: the right-hand side, in a form that does not overflow at long times.
        variables: the symbols, with meaning and unit; they are also the call's keyword arguments.
        steps: the derivation.
        conditions: where it holds; a call outside raises `ConditionError`.
        unit: unit of the quantity.
        source: where the result is published.
    """

    name: str
    title: str
    quantity: Any
    expression: Any
    variables: tuple[Variable, ...]
    steps: tuple[Step, ...]
    source: str
    unit: str = "1"
    conditions: tuple[Condition, ...] = ()

    @cached_property
    def function(self) -> Callable[..., Any]:
        """The expression as a numpy function of the variables in order; no conditions are checked."""
        symbols = [variable.symbol for variable in self.variables]
        return sp.lambdify(symbols, self.expression, modules="numpy", cse=True)  # type: ignore[no-any-return]

    @cached_property
    def _tests(self) -> tuple[Callable[..., Any], ...]:
        symbols = [bare(variable.symbol) for variable in self.variables]
        return tuple(sp.lambdify(symbols, c.relation, modules="numpy") for c in self.conditions)

    def __call__(self, **values: ArrayLike) -> Array:
        """Evaluate over numpy arrays (broadcast), after checking every condition.

        Keywords are the names of the variables, such as ``form(t=times, s=0.5, c=0.125, a0=0.01)``.
        """
        names = [str(variable.symbol) for variable in self.variables]
        if set(values) != set(names):
            raise WorkbenchError(f"{self.name} takes {', '.join(names)}; got {', '.join(sorted(values)) or 'nothing'}")
        arrays = [np.asarray(values[name], dtype=np.float64) for name in names]
        self.check_conditions(arrays)
        return np.asarray(self.function(*arrays), dtype=np.float64)

    def check_conditions(self, arrays: Iterable[Array]) -> None:
        """Raise `ConditionError` naming the first condition that the values break."""
        symbols = [bare(variable.symbol) for variable in self.variables]
        arrays = np.broadcast_arrays(*arrays)
        for condition, test in zip(self.conditions, self._tests, strict=True):
            holds = np.asarray(test(*arrays), dtype=bool)
            if not holds.all():
                where = np.unravel_index(int(np.argmin(holds)), holds.shape) if holds.ndim else ()
                used = condition.relation.free_symbols
                found = ", ".join(
                    f"{s} = {a[where] if a.ndim else a:.6g}" for s, a in zip(symbols, arrays, strict=True) if s in used
                )
                raise ConditionError(condition.statement, found, condition.remedy)

    def self_check(self) -> list[StepResult]:
        """Let sympy verify every step of the derivation again."""
        return [StepResult(step.statement, step.residual is not None, step.verify()) for step in self.steps]

    def latex(self) -> str:
        """``quantity = expression`` in LaTeX, without dollar signs."""
        return f"{latex(self.quantity)} = {latex(self.expression)}"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def _repr_markdown_(self) -> str:
        lines = [f"**{self.title}** ({self.source})", "", f"$$ {self._broken()} $$", ""]
        lines += [
            f"{number}. {marked(step.statement)} $\\displaystyle {latex(step.expression)}$"
            + ("" if step.residual is None else " ✓" if step.verify() else " ✗")
            + (f" *{marked(step.why)}*" if step.why else "")
            for number, step in enumerate(self.steps, start=1)
        ]
        lines += [f"- *holds where* {marked(condition.statement)}" for condition in self.conditions]
        lines += [f"- ${latex(v.symbol)}$: {marked(v.meaning)} [{marked(v.unit)}]" for v in self.variables]
        return "\n".join(lines)

    def _broken(self) -> str:
        """`latex`, broken between terms where it is wider than a page."""
        left = f"{latex(self.quantity)} = "
        first, *more = broken_lines(self.expression, LINE - breadth(left))
        if not more:
            return left + first
        return rf"\begin{{aligned}} {left} &{first}" + "".join(rf" \\ &{line}" for line in more) + r" \end{aligned}"

    def text(self) -> str:
        """The derivation for a terminal."""
        lines = [
            self.title,
            "=" * len(self.title),
            "",
            f"  {self.quantity} = {plain(self.expression)}   [{self.unit}]",
            "",
        ]
        for number, step in enumerate(self.steps, start=1):
            mark = "" if step.residual is None else "   (checked)" if step.verify() else "   (CHECK FAILED)"
            lines += [f"{number}. {step.statement}{mark}", f"     {plain(step.expression)}"]
            lines += [f"   Why: {step.why}"] if step.why else []
        lines += ["", "Holds where"] if self.conditions else [""]
        lines += [f"  {condition.statement}" for condition in self.conditions]
        lines += ["Symbols"] + [f"  {v.symbol}: {v.meaning} [{v.unit}]" for v in self.variables]
        lines += [f"Source: {self.source}"]
        return "\n".join(lines)

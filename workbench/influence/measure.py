"""A measure of influence: what it is, what it can be asked with, and how either side obtains it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from workbench import __version__
from workbench.errors import ConditionError, WorkbenchError
from workbench.influence.option import Option
from workbench.influence.quantities import (
    PAIR,
    SIDES,
    Array,
    Beside,
    Expectation,
    Measured,
    Options,
    Request,
    Side,
)
from workbench.influence.work import Precision, Progress, Work
from workbench.networks import Network
from workbench.store import NOWHERE, Slot
from workbench.trajectory import Trajectory

if TYPE_CHECKING:
    from workbench.simulation import Recipe, Schedule


SIGN_CONVENTION = (
    "influence(source -> target) is the change of the target's loss per extra weight on the source: negative helps, "
    "positive harms"
)


SideOf = Callable[[Trajectory, Options, Work], "Measured | Array"]


@dataclass(frozen=True, eq=False)
class Measure:
    """A named estimand of influence, never just "influence"; called with a trajectory it answers on that side.

    Attributes:
        name: as in variables and on the command line.
        title: for headings. short: for labels.
        formula: in LaTeX that matplotlib understands. definition: the same in plain text, with its sign.
        units: of the values.
        meaning: a sentence in plain words.
        analytic, simulated: ``side(trajectory, options, work)`` returns ``(T, P, P)`` values or `Measured`; None: there
            is no such side. ``work`` carries progress bars, store, device, schedule and seed.
        by_theory, by_simulation: how either side obtains it.
        options: what it can be asked with.
        beside: what stands beside its simulated values.
        retrains: whether the simulated side trains once more for every item.
        extrapolates: whether it can do so at two learning rates and extrapolate to none (`Work.twice`).
        whole_item: whether a source is taken away as a whole, a change of its weight by ``-1/P``, and not by a
            derivative: times P both are in one unit.
        pace: why it is early or late, for the figure of when measures peak.
        quick_up_to: items up to which the analytic side is part of every `prediction`; 0: only where asked.
        refuse_size: ``(request, options)``: raise before anything is allocated that would not fit.
        refuse: ``(predicted, options, work)``: raise before long work what could not be measured.
        notes: ``(options, simulated)``: lines for the user; simulated is the array of that side or None.
        unpredicted: why there is no analytic side for a linear network, or None if there is one.
        expectations: what verdicts judge; kept with every result.
    """

    name: str
    title: str
    short: str
    units: str
    meaning: str
    formula: str = ""
    definition: str = ""
    analytic: SideOf | None = None
    simulated: SideOf | None = None
    by_theory: str = ""
    by_simulation: str = ""
    options: tuple[Option, ...] = ()
    beside: tuple[Beside, ...] = ()
    retrains: bool = False
    extrapolates: bool = False
    whole_item: bool = False
    pace: str = ""
    quick_up_to: int = 0
    refuse_size: Callable[[Request, Options], None] | None = None
    refuse: Callable[[Trajectory, Options, Work], None] | None = None
    notes: Callable[[Options, xr.DataArray | None], list[str]] | None = None
    unpredicted: Callable[[Network], str | None] | None = None
    expectations: tuple[Expectation, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise WorkbenchError(f"measure {self.name!r}: its name is used for variables; give a Python identifier")
        if self.analytic is None and self.simulated is None:
            raise WorkbenchError(f"measure {self.name} has no side; give analytic=, simulated= or both")

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides there are, theory first."""
        return tuple(side for side in SIDES if getattr(self, side) is not None)

    def why_unpredicted(self, network: Network) -> str | None:
        """Why the analytic side does not answer for a network; None where it does."""
        if self.analytic is None:
            return f"{self.short} has no analytic side"
        if network.activation != "linear":
            return f"{network.activation} hidden layers have no closed form"
        return None if self.unpredicted is None else self.unpredicted(network)

    @property
    def option_names(self) -> tuple[str, ...]:
        """Names of the options, in their order."""
        return tuple(option.name for option in self.options)

    @property
    def sampled(self) -> bool:
        """Whether the simulated side has standard errors, at a cost that many checkpoints make large."""
        return any(quantity.name == "stderr" for quantity in self.beside)

    def expects(self, rule: str) -> bool:
        """Whether one of the expectations is judged by a rule of `Expectation`."""
        return any(expectation.rule == rule for expectation in self.expectations)

    @property
    def arrays(self) -> int:
        """How many ``(T, P, P)`` arrays a comparison holds."""
        return len(self.sides) + sum(q.most for q in self.beside if set(q.dims) >= set(PAIR))

    def __call__(
        self,
        trajectory: Trajectory,
        *values: Any,
        progress: Progress | None = None,
        slot: Slot = NOWHERE,
        device: str = "cpu",
        precision: Precision = "float64",
        schedule: Schedule | Recipe | None = None,
        seed: int = 0,
        **named: Any,
    ) -> xr.DataArray:
        """Influence over dims (time, source, target), negative where the source helps, on the trajectory's side.

        Args:
            trajectory: a network at its checkpoints, predicted or trained.
            values, named: options, in their order or by name; those left out, or None, are chosen.
            progress: called with the work done since the last call.
            slot: where the simulated side keeps its work so far, and goes on with what was kept.
            device, precision, seed: of the simulated side; see `Work`.
            schedule: of retraining, or the whole recipe, if not gradient descent at the trajectory's learning rate.
        """
        recipe = None
        if schedule is not None:
            from workbench.simulation import Recipe, Schedule

            recipe = Recipe(schedule) if isinstance(schedule, Schedule) else schedule
        given = dict(zip(self.option_names, values, strict=False)) | named
        work = Work(
            bar=lambda title, total: nullcontext(progress or (lambda done: None)),
            slot=slot,
            device=device,
            precision=precision,
            recipe=recipe,
            seed=seed,
        )
        return self.measure(trajectory, self.resolve(trajectory, given), work)

    def resolve(self, trajectory: Trajectory, given: Options) -> dict[str, Any]:
        """The measure's own options, checked, with every one that is None chosen from the trajectory."""
        unknown = set(given) - set(self.option_names)
        if unknown:
            known = ", ".join(self.option_names) or "none"
            raise WorkbenchError(f"{self.name} has no option {', '.join(sorted(unknown))}; it has {known}")
        chosen: dict[str, Any] = {}
        for option in self.options:
            value = given.get(option.name, option.default)
            option.check(value)
            chosen[option.name] = option.choose(trajectory, chosen) if value is None and option.choose else value
        return chosen

    def measure(self, trajectory: Trajectory, options: Options, work: Work) -> xr.DataArray:
        """`__call__` with all options given."""
        side = side_of(trajectory)
        compute = getattr(self, side)
        reason = self.why_unpredicted(trajectory.network) if side == "analytic" else None
        if compute is not None and reason is not None:
            raise ConditionError("a network for which theory has this measure", reason, "train it: workbench.train")
        if compute is None:
            raise WorkbenchError(f"{self.name} has no {side} side; it is known for {self.sides[0]} trajectories only")
        measured = compute(trajectory, options, work)
        if not isinstance(measured, Measured):
            measured = Measured(np.asarray(measured, dtype=np.float64))
            expected = (len(trajectory.times), *2 * (trajectory.task.n_items,))
            if measured.values.shape != expected:
                raise WorkbenchError(
                    f"measure {self.name}, {side} side, gave an array of shape {measured.values.shape}; expected "
                    f"(time, source, target) = {expected}"
                )
        return self.labelled(measured, trajectory)

    def labelled(self, measured: Measured, trajectory: Trajectory) -> xr.DataArray:
        """Values with item names, times, units, sign and provenance."""
        side, task = side_of(trajectory), trajectory.task
        items = list(task.items)
        beside: dict[str, Any] = {}
        for quantity in self.beside:
            if quantity.name in measured.beside:
                beside |= quantity.coordinates(measured.beside[quantity.name])
        return xr.DataArray(
            measured.values,
            dims=measured.dims,
            coords={"time": trajectory.times, "source": items, "target": items, **beside, **measured.coords},
            name=f"{self.name}_{side}",
            attrs={
                "measure": self.name,
                "long_name": self.title,
                "short_name": self.short,
                "meaning": self.meaning,
                "formula": self.definition,
                "units": self.units,
                "side": side,
                "method": self.by_theory if side == "analytic" else self.by_simulation,
                "sign_convention": SIGN_CONVENTION,
                "expectations": json.dumps([(e.key, e.sentence, e.rule) for e in self.expectations]),
                "task": task.name,
                "init": str(trajectory.network.init),
                "hidden": trajectory.network.hidden,
                "seed": trajectory.network.seed,
                "code_version": __version__,
                **measured.attrs,
            },
        )


def side_of(trajectory: Trajectory) -> Side:
    """On which side a measure of this trajectory answers."""
    if not isinstance(trajectory, Trajectory):
        kind = type(trajectory).__name__
        raise WorkbenchError(f"a measure is of a trajectory, not of a {kind}; give what predict or train returns")
    return "analytic" if trajectory.side == "predicted" else "simulated"

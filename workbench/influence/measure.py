"""A measure of influence: what it is, what it can be asked with, and how either side obtains it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench import __version__
from workbench.errors import ConditionError, WorkbenchError
from workbench.influence.option import Option
from workbench.influence.work import Precision, Progress, Work
from workbench.networks import Init, Network
from workbench.semantics import SemanticTask
from workbench.store import NOWHERE, Slot
from workbench.trajectory import Trajectory

if TYPE_CHECKING:
    from workbench.simulation import Recipe, Schedule

Array = NDArray[np.float64]
Options = Mapping[str, Any]
Side = Literal["analytic", "simulated"]
SIDES: tuple[Side, Side] = ("analytic", "simulated")

SIGN_CONVENTION = (
    "influence(source -> target) is the change of the target's loss per extra weight on the source: negative helps, "
    "positive harms"
)
PAIR = ("time", "source", "target")


@dataclass(frozen=True)
class Beside:
    """A quantity that stands beside a measure's values, such as their standard errors.

    Attributes:
        name: of the coordinate of the array.
        variable: its name in the dataset of a comparison; error bars are made of ``{measure}_simulated_stderr``.
        dims: there.
        attrs: long name and units.
        optional: whether it may hold values that are not finite.
        most: of a dimension of its own, how long it gets at most.
    """

    name: str
    variable: str
    dims: tuple[str, ...] = PAIR
    attrs: Mapping[str, str] = field(default_factory=dict)
    optional: bool = False
    most: int = 1

    @property
    def own_dim(self) -> str | None:
        """A dimension that the measure's values lack; its slices stand as coordinates ``name_0``, ``name_1``, ..."""
        return next((dim for dim in self.dims if dim not in (*PAIR, "item")), None)

    def coordinates(self, values: Array) -> dict[str, tuple[tuple[str, ...], Array]]:
        """As coordinates of an array over time, source and target."""
        dims = tuple("target" if dim == "item" else dim for dim in self.dims)
        if self.own_dim is None:
            return {self.name: (dims, values)}
        axis = dims.index(self.own_dim)
        rest = dims[:axis] + dims[axis + 1 :]
        return {f"{self.name}_{k}": (rest, one) for k, one in enumerate(np.moveaxis(values, axis, 0))}

    def read(self, array: xr.DataArray) -> Array | None:
        """Back from the coordinates of an array; None where it has none."""
        if self.own_dim is None:
            return np.asarray(array[self.name].values) if self.name in array.coords else None
        slices: list[Array] = []
        while f"{self.name}_{len(slices)}" in array.coords:
            slices.append(array[f"{self.name}_{len(slices)}"].values)
        return np.stack(slices, axis=self.dims.index(self.own_dim)) if slices else None


@dataclass(frozen=True)
class Expectation:
    """A sentence about a measure's two sides that a verdict judges.

    Attributes:
        key: unique.
        sentence: what is expected.
        rule: how it is judged: ``"closed form"`` (within the first-order effect of the learning rate), ``"flips"``
            (the same of the times of sign changes), ``"flow"`` (accumulated from the kernel through training) or
            ``"chains"`` (within Monte Carlo error).
    """

    key: str
    sentence: str
    rule: Literal["closed form", "flips", "flow", "chains"]


@dataclass(frozen=True)
class Measured:
    """What a side returns: ``(T, P, P)`` values, and what stands beside them.

    Attributes:
        values: over ``dims``.
        beside: arrays by the name of a `Beside`.
        attrs: what was chosen, for the record.
        dims, coords: of the values, where they have more than time, source and target.
    """

    values: Array
    beside: Mapping[str, Array] = field(default_factory=dict)
    attrs: Options = field(default_factory=dict)
    dims: tuple[str, ...] = PAIR
    coords: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """What is known before anything is computed: enough to refuse what would not fit.

    Attributes:
        task: what is to be learned.
        init: how the network starts. sizes: units of every layer, inputs first.
        checkpoints: how many.
        memory: bytes there are for one checkpoint's chains.
        predicted: whether there will be a prediction.
    """

    task: SemanticTask
    init: Init
    sizes: tuple[int, ...]
    checkpoints: int
    memory: float
    predicted: bool = True

    @property
    def n_weights(self) -> int:
        """N."""
        return sum(before * after for before, after in pairwise(self.sizes))


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
        whole_item: whether a source is taken away as a whole, a change of its weight by ``-1/P``, and not by a
            derivative: times P both are in one unit.
        pace: why it is early or late, for the figure of when measures peak.
        quick_up_to: items up to which the analytic side is part of every `prediction`; 0: only where asked.
        refuse_size: ``(request, options)``: raise before anything is allocated that would not fit.
        refuse: ``(predicted, options, work)``: raise before long work what could not be measured.
        notes: ``(options, simulated)``: lines for the user; simulated is the array of that side or None.
        unpredicted: why there is no analytic side for a linear network, or None if there is one.
        expectations: what verdicts judge.
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
    return "analytic" if trajectory.side == "predicted" else "simulated"

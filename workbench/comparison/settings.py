"""What to compare and how: one frozen record that travels into every result.

The settings of a comparison are those listed here and the options of the measures, which their own files declare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any, Literal, cast

from workbench import influence
from workbench.comparison.options import OPTIONS, all_options
from workbench.errors import WorkbenchError
from workbench.influence import Measure
from workbench.networks import Activation

Spacing = Literal["even", "log", "stages"]
#: More starts in one comparison are a slip of the keyboard.
_MOST_SEEDS = 1000


@dataclass(frozen=True, init=False)
class Settings:
    """Settings of a comparison, by keyword; ``None`` means chosen from the theory.

    >>> Settings(checkpoints=20, n_beta=50.0, measures=("gradient_kernel", "local_bif")).n_beta
    50.0

    Attributes:
        task: the task as given by the user, on the command line; None for one made in Python, which is recorded by its
            own name, source and digest.
        measures: names of measures, and `Measure` objects of the user's own.
        options: the options of measures by name; they are keyword arguments and attributes as well. Those of no measure
            at hand are dropped.
        centre, standardise, hidden, depth, activation, init, checkpoints, spacing, t_max, eta, eta_fraction, optimizer,
            train_batch, seed, seeds, device, dtype: see `OPTIONS`.
    """

    task: str | None
    centre: bool
    standardise: bool
    hidden: int
    depth: int
    activation: Activation
    init: str
    checkpoints: int
    spacing: Spacing
    t_max: float | None
    eta: float | None
    eta_fraction: float | None
    optimizer: Literal["gd", "momentum", "adam"]
    train_batch: int | None
    measures: tuple[str | Measure, ...]
    seed: int
    seeds: int
    device: str
    dtype: Literal["float32", "float64"]
    options: Mapping[str, Any] = field(hash=False)

    def __init__(self, *, options: Mapping[str, Any] | None = None, task: str | None = None, **values: Any) -> None:
        own = {option.name: values.pop(option.name, option.default) for option in OPTIONS}
        if isinstance(text := own["measures"], str):
            raise WorkbenchError(f"`measures` {text!r} is one text; give a tuple, ({text!r},)")
        own["measures"] = tuple(dict.fromkeys(own["measures"] or ()))
        object.__setattr__(self, "task", task)
        for name, value in own.items():
            object.__setattr__(self, name, value)
        declared = {option.name: option for option in all_options(self._known()) if option not in OPTIONS}
        for name in values:
            if name not in declared:
                near = get_close_matches(name, [*own, *declared, "task"], 1, 0.0)
                raise WorkbenchError(f"a comparison has no setting `{name}`; did you mean `{near[0]}`?")
        given = {**(options or {}), **values}
        resolved = {name: given.get(name, option.default) for name, option in declared.items()}
        object.__setattr__(self, "options", resolved)
        self._check()

    def __getattr__(self, name: str) -> Any:
        options = self.__dict__.get("options", {})
        if name not in options:
            raise AttributeError(f"Settings has no attribute {name!r}")
        return options[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.options]

    @property
    def asked(self) -> tuple[Measure, ...]:
        """The measures asked for, the known ones first and in their order."""
        known = self._known()
        names = [measure if isinstance(measure, str) else measure.name for measure in self.measures]
        return tuple(measure for name, measure in known.items() if name in names)

    def measure(self, name: str) -> Measure:
        """A measure by name, one of the user's own included."""
        return self._known()[name]

    def of(self, measure: Measure) -> dict[str, Any]:
        """The options of one measure."""
        return {option.name: self.options[option.name] for option in measure.options}

    def _known(self) -> dict[str, Measure]:
        own = {measure.name: measure for measure in self.measures if isinstance(measure, Measure)}
        return {**influence.MEASURES, **own}

    def _check(self) -> None:
        if strange := [each for each in self.measures if not isinstance(each, (str, Measure))]:
            raise WorkbenchError(f"`measures` holds {strange[0]!r}; give names, and Measure objects of your own")
        known = self._known()
        unknown = [name for name in self.measures if isinstance(name, str) and name not in known]
        if unknown or not self.measures:
            raise WorkbenchError(f"measure {', '.join(unknown) or '(none)'} is unknown; choose from {', '.join(known)}")
        for option in all_options(known):
            if option.name != "measures":
                option.check(getattr(self, option.name))
        if self.eta is not None and self.eta_fraction is not None:
            raise WorkbenchError(
                f"`eta` {self.eta:g} and `eta_fraction` {self.eta_fraction:g}; give the learning rate one way"
            )
        if self.hidden < 1:
            raise WorkbenchError(f"`hidden` {self.hidden}; a network needs at least 1 hidden unit")
        if self.depth < 1:
            raise WorkbenchError(f"`depth` {self.depth}; a network has at least 1 layer of weights")
        if self.train_batch is not None and self.train_batch < 1:
            raise WorkbenchError(f"`train_batch` {self.train_batch}; give 1 item or more")
        if self.checkpoints < 4:
            raise WorkbenchError(f"`checkpoints` {self.checkpoints}; give at least 4, so that curves can be told apart")
        if not 0 <= self.seed < 2**63:
            raise WorkbenchError(f"`seed` {self.seed}; give a whole number from 0 to 2^63 - 1")
        if not 1 <= self.seeds <= _MOST_SEEDS:
            raise WorkbenchError(f"`seeds` {self.seeds}; give 1 to {_MOST_SEEDS} starts")

    def resolve_device(self) -> str:
        """``"cpu"`` or ``"cuda"``."""
        if self.device == "cpu":
            return "cpu"
        import torch

        if self.device == "cuda" and not torch.cuda.is_available():
            raise WorkbenchError("device cuda: no CUDA device is available here; use `device` cpu")
        return "cuda" if torch.cuda.is_available() else "cpu"

    def record(self) -> dict[str, Any]:
        """As plain data for JSON: `Settings` again by keyword, but for measures of the user's own."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("options", "measures")}
        return {**own, "measures": [measure.name for measure in self.asked], **self.options}


def settings_of(record: Mapping[str, Any]) -> Settings:
    """`Settings` from what `Settings.record` gave, through JSON or not."""
    lists = {name: tuple(value) for name, value in record.items() if isinstance(value, list)}
    return Settings(**cast("dict[str, Any]", {**record, **lists}))

"""Everything that the explorer's controls say, as one frozen value that can be written down and read back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any
from urllib.parse import parse_qs, urlencode

from workbench import influence
from workbench.errors import WorkbenchError
from workbench.explorer.starts import STARTS, check_start
from workbench.explorer.typed import middle, packed, typed, unpacked

#: Measures the explorer shows, with the names on its menu: those that are quick to predict.
MEASURES = {name: measure.short for name, measure in influence.MEASURES.items() if measure.quick_up_to > 0}

#: Ends of the sliders, and the unit of the quantity.
RANGES = {
    "depth": (1, 6),
    "hidden": (1, 64),
    "a0": (1e-6, 1.0),
    "lam": (-10.0, 10.0),
    "eta": (1e-3, 10.0),
    "seed": (0, 999),
}
#: What the measures can be asked with and has a slider, by name.
OPTIONS = {option.name: option for name in MEASURES for option in influence.MEASURES[name].options if option.ends}

#: What the task of a state may begin with: a state never names a file, whoever wrote the link.
KINDS = ("tree", "diffusion", "table", "newick", "csv", "given")

#: What may be done to the table before it is learned, with the names on the menu.
PREPARED = {"": "as it is", "centred": "centred (mean 0)", "standardised": "standardised (mean 0, variance 1)"}
#: Looks of the page, with the names on the menu.
LOOKS = {"": "as the system", "light": "light", "dark": "dark"}
#: Of the hidden layers of the simulated network, with the names on the menu; theory is that of the linear one.
ACTIVATIONS = {"linear": "linear, as in theory", "relu": "ReLU", "tanh": "tanh"}
#: Panels there are, with the names on the menu; the first five are shown unless others are chosen.
PANELS = {
    "tree": "tree of the items",
    "strengths": "mode strengths",
    "loss": "loss",
    "influence": "influence over time",
    "matrix": "influence of all pairs",
    "representation": "hidden representation",
    "factors": "the two factors of the kernel",
    "measures": "all measures of one pair",
}
#: Small views in place of the explorer, by the name a link gives them, with what they show.
LECTURES = {
    "one_mode": "One mode of the network: its rise against depth, initial scale and imbalance",
    "one_pair": "One pair of items: why the influence of one on the other changes sign",
    "language": "A language model learns: influence of every token on a chosen one, checkpoint by checkpoint",
}
#: Curves that can be kept for comparison.
MOST_KEPT = 3
#: Fields of several values.
_LISTS = ("targets", "panels", "kept")
#: Fields that only say how the page looks.
_DISPLAY = ("panels", "kept", "beside", "scale", "look", "large", "time", "lecture")
#: Task of a `SemanticTask` handed over in Python, of which only the caller has the data.
GIVEN = "given"
#: Browsers and servers cut longer addresses.
_LONGEST_LINK = 6000


@dataclass(frozen=True)
class ExplorerState:
    """What the controls say.

    Attributes:
        task: as on the command line (``tree:2,2,2``, ``diffusion:2,2,2:0.1``, ``table:rumelhart``), ``csv:NAME`` for
            an uploaded table, or ``given`` for a task handed over in Python.
        table: text of the uploaded CSV.
        depth: D, weight layers.
        hidden: N_h, hidden units.
        a0: initial strength of every mode (weight^D); root mean square of a random start's.
        start: a key of `STARTS`.
        lam: balance lambda, ``w2^2 - w1^2`` of every mode (weight^2).
        eta: step size of the simulated training (flow time per step).
        source: name of the item whose influence is shown; empty for the first.
        targets: names of the items picked out; empty for the one nearest to the source.
        measure: a key of `MEASURES`.
        options: what measures are asked with, names of `OPTIONS` with their numbers; those left out have the power of
            ten in the middle of their slider. In configs and links each stands under its own name.
        time: flow time t.
        seed: of everything random.
        activation: of the simulated network's hidden layers, a key of `ACTIVATIONS`.
        prepare: what is done to the table before, a key of `PREPARED`.
        panels: keys of `PANELS`, in the order of the picture.
        kept: queries of states whose curves are kept for comparison.
        beside: whether the curves kept last have panels of their own beside these.
        scale: colours of the matrix: "now", or "whole" for those of all times.
        look: a key of `LOOKS`. large: large letters and folded controls, for a lecture.
        lecture: a key of `LECTURES`, which the app then shows instead.
    """

    task: str = "tree:2,2,2"
    table: str = ""
    depth: int = 2
    hidden: int = 16
    a0: float = 0.01
    lam: float = 0.0
    eta: float = 0.02
    source: str = ""
    targets: tuple[str, ...] = ()
    measure: str = next(iter(MEASURES))
    options: tuple[tuple[str, float], ...] = ()
    time: float = 6.0
    seed: int = 0
    activation: str = "linear"
    start: str = ""
    prepare: str = ""
    panels: tuple[str, ...] = tuple(PANELS)[:5]
    kept: tuple[str, ...] = ()
    beside: bool = False
    scale: str = "now"
    look: str = ""
    large: bool = False
    lecture: str = ""

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise WorkbenchError(f"measure {self.measure!r} is unknown; use {', '.join(MEASURES)}")
        given, ends = dict(self.options), {name: option.ends or (0.0, math.inf) for name, option in OPTIONS.items()}
        object.__setattr__(
            self, "options", tuple((name, float(given.pop(name, middle(*ends[name])))) for name in OPTIONS)
        )
        if given:
            raise WorkbenchError(f"option {next(iter(given))!r} is unknown; use {', '.join(OPTIONS)}")
        for name, (low, high) in (RANGES | ends).items():
            value = dict(self.options)[name] if name in ends else getattr(self, name)
            if not low <= value <= high:
                raise WorkbenchError(f"{name} = {value:g}; give a value from {low:g} to {high:g}")
        if self.task.partition(":")[0] not in KINDS:
            raise WorkbenchError(
                f"task {self.task[:60]!r} is none that a link may name; use such as tree:2,2,2, diffusion:2,2,2:0.1 or "
                "table:rumelhart, and upload a table of your own"
            )
        for name, known in {
            "activation": ACTIVATIONS,
            "start": STARTS,
            "prepare": PREPARED,
            "look": LOOKS,
            "lecture": ("", *LECTURES),
            "scale": ("now", "whole"),
        }.items():
            if getattr(self, name) not in known:
                raise WorkbenchError(f"{name} {getattr(self, name)!r} is unknown; use {', '.join(filter(None, known))}")
        if not self.panels or not set(self.panels) <= set(PANELS) or len(set(self.panels)) < len(self.panels):
            raise WorkbenchError(f"panels {', '.join(self.panels)!r}; give some of {', '.join(PANELS)}, each once")
        check_start(self)
        if len(self.kept) > MOST_KEPT:
            raise WorkbenchError(f"{len(self.kept)} kept curves; the picture has room for {MOST_KEPT}")
        if not 0 <= self.time < math.inf:
            raise WorkbenchError(f"time = {self.time:g}; give a flow time >= 0")

    def config(self) -> dict[str, Any]:
        """All values under their names, ready for JSON."""
        return self._flat() | {name: list(getattr(self, name)) for name in _LISTS}

    def _flat(self) -> dict[str, Any]:
        values = asdict(self)
        return {name: value for name, value in values.items() if name != "options"} | dict(self.options)

    @property
    def asked(self) -> dict[str, float]:
        """The options of the state's measure."""
        return {name: value for name, value in self.options if name in influence.MEASURES[self.measure].option_names}

    def keep(self) -> ExplorerState:
        """The state with its present curves among those kept."""
        now = replace(self, **{name: getattr(ExplorerState(), name) for name in _DISPLAY}, source="", targets=())
        query = now.query()
        return replace(self, kept=(*(kept for kept in self.kept if kept != query), query)[-MOST_KEPT:])

    def picking(self, other: ExplorerState) -> ExplorerState:
        """This state with source, targets and time of another."""
        return replace(self, source=other.source, targets=other.targets, time=other.time)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ExplorerState:
        """Back from `config`; what is not there keeps its default."""
        known = {field.name: field.default for field in fields(cls) if field.name != "options"} | dict(cls().options)
        values: dict[str, Any] = {}
        for name, value in config.items():
            if name not in known:
                raise WorkbenchError(f"the explorer has no setting {name!r}; it has {', '.join(known)}")
            values[name] = typed(name, value, known[name])
        options = tuple((name, values.pop(name)) for name in OPTIONS if name in values)
        return cls(**values, options=options)

    def summary(self) -> str:
        """The settings in one line, for saved figures and labels."""
        parts = [self.task + (f" {self.prepare}" if self.prepare else ""), f"D = {self.depth}", f"Nₕ = {self.hidden}"]
        parts += [
            f"a₀ = {self.a0:.4g}{' (random start)' if self.start else ''}",
            f"λ = {self.lam:.4g}",
            f"η = {self.eta:.4g}",
            f"seed {self.seed}",
        ]
        return ", ".join(parts)

    def differences(self, other: ExplorerState) -> str:
        """In which settings of the curves another state differs from this one, with this one's values."""
        names = {"depth": "D", "hidden": "Nₕ", "a0": "a₀", "lam": "λ", "prepare": "table", "start": "start"}
        names |= {name: option.symbol.split()[-1] for name, option in OPTIONS.items()}
        mine, others, parts = self._flat(), other._flat(), []
        for name in ("task", "prepare", "start", "depth", "hidden", "a0", "lam", "measure", *OPTIONS):
            value = mine[name]
            if value == others[name]:
                continue
            shown = (
                f"{value:.4g}"
                if isinstance(value, float)
                else str(value) or ("aligned" if name == "start" else "as it is")
            )
            parts.append(shown.replace("_", " ") if name in ("task", "measure") else f"{names[name]} = {shown}")
        return ", ".join(parts) or "the same"

    def query(self) -> str:
        """The values that differ from their defaults, as the query part of a link."""
        plain = ExplorerState()._flat()
        changed = [(name, value) for name, value in self._flat().items() if value != plain[name]]
        pairs: list[tuple[str, str]] = []
        for name, value in changed:
            if name in _LISTS:
                pairs += [(name, each) for each in value]
            elif name == "table":
                pairs.append((name, packed(value)))
            else:
                pairs.append((name, repr(value) if isinstance(value, float) else str(value)))
        link = urlencode(pairs)
        if len(link) > _LONGEST_LINK:
            raise WorkbenchError(
                f"the table makes a link of {len(link)} characters (limit {_LONGEST_LINK}); use the code instead"
            )
        return link

    @classmethod
    def from_query(cls, query: str) -> ExplorerState:
        """Back from `query`."""
        config: dict[str, Any] = {}
        for name, values in parse_qs(query.lstrip("?"), keep_blank_values=True).items():
            config[name] = values if name in _LISTS else values[-1]
        if "table" in config:
            config["table"] = unpacked(config["table"])
        return cls.from_config(config)

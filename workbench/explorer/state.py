"""Everything that the explorer's controls say, as one frozen value that can be written down and read back."""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any
from urllib.parse import parse_qs, urlencode

from workbench import influence
from workbench.errors import WorkbenchError

#: Measures the explorer shows, with the names on its menu: those that are quick to predict.
MEASURES = {name: measure.short for name, measure in influence.MEASURES.items() if measure.quick_up_to > 0}

#: Ends of the sliders, and the unit of the quantity.
RANGES = {
    "depth": (1, 6),
    "hidden": (1, 64),
    "a0": (1e-4, 1.0),
    "lam": (-10.0, 10.0),
    "eta": (1e-3, 1.0),
    "n_beta": (1.0, 1e4),
    "gamma": (10.0, 1e6),
    "seed": (0, 999),
}

#: What the task of a state may begin with: a state never names a file, whoever wrote the link.
KINDS = ("tree", "diffusion", "table", "csv", "given")
#: Task of a `SemanticTask` handed over in Python, of which only the caller has the data.
GIVEN = "given"
#: Browsers and servers cut longer addresses.
_LONGEST_LINK = 6000
#: Characters a link may unpack to.
_LARGEST_TABLE = 10_000_000


@dataclass(frozen=True)
class ExplorerState:
    """What the controls say.

    Attributes:
        task: as on the command line (``tree:2,2,2``, ``diffusion:2,2,2:0.1``, ``table:rumelhart``), ``csv:NAME`` for
            an uploaded table, or ``given`` for a task handed over in Python.
        table: text of the uploaded CSV.
        depth: D, weight layers.
        hidden: N_h, hidden units.
        a0: initial strength of every mode (weight^D).
        lam: balance lambda, ``w2^2 - w1^2`` of every mode (weight^2).
        eta: step size of the simulated training (flow time per step).
        source: name of the item whose influence is shown; empty for the first.
        targets: names of the items picked out; empty for the one nearest to the source.
        measure: a key of `MEASURES`.
        n_beta: inverse temperature times number of items (1/loss). gamma: localization (1/weight^2).
        time: flow time t.
        seed: of everything random.
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
    measure: str = "gradient_kernel"
    n_beta: float = 100.0
    gamma: float = 1000.0
    time: float = 6.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise WorkbenchError(f"measure {self.measure!r} is unknown; use {', '.join(MEASURES)}")
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise WorkbenchError(f"{name} = {value:g}; give a value from {low:g} to {high:g}")
        if self.task.partition(":")[0] not in KINDS:
            raise WorkbenchError(
                f"task {self.task[:60]!r} is none that a link may name; use such as tree:2,2,2, diffusion:2,2,2:0.1 or "
                "table:rumelhart, and upload a table of your own"
            )
        if not 0 <= self.time < math.inf:
            raise WorkbenchError(f"time = {self.time:g}; give a flow time >= 0")

    def config(self) -> dict[str, Any]:
        """All values under their names, ready for JSON."""
        return asdict(self) | {"targets": list(self.targets)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ExplorerState:
        """Back from `config`; what is not there keeps its default."""
        known = {field.name: field for field in fields(cls)}
        values: dict[str, Any] = {}
        for name, value in config.items():
            if name not in known:
                raise WorkbenchError(f"the explorer has no setting {name!r}; it has {', '.join(known)}")
            values[name] = _typed(name, value, known[name].default)
        return cls(**values)

    def query(self) -> str:
        """The values that differ from their defaults, as the query part of a link."""
        plain = ExplorerState()
        changed = [(name, value) for name, value in asdict(self).items() if value != getattr(plain, name)]
        pairs: list[tuple[str, str]] = []
        for name, value in changed:
            if name == "targets":
                pairs += [(name, target) for target in value]
            elif name == "table":
                pairs.append((name, base64.urlsafe_b64encode(zlib.compress(value.encode(), 9)).decode()))
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
        found: dict[str, Any] = {}
        for name, values in parse_qs(query.lstrip("?"), keep_blank_values=True).items():
            found[name] = values if name == "targets" else values[-1]
        if "table" in found:
            found["table"] = _unpacked(found["table"])
        return cls.from_config(found)


def _typed(name: str, value: Any, default: Any) -> Any:
    """A value as its field wants it, from JSON or from text."""
    if name == "targets":
        names = [value] if isinstance(value, str) else list(value)
        return tuple(str(target) for target in names)
    try:
        if isinstance(default, int):
            if float(value) != int(float(value)):
                raise ValueError
            return int(float(value))
        return type(default)(value)
    except (TypeError, ValueError, OverflowError):
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise WorkbenchError(f"{name} = {value!r} is not {kind}; give one such as {default}") from None


def _unpacked(text: str) -> str:
    try:
        unpacking = zlib.decompressobj()
        table = unpacking.decompress(base64.b64decode(text, altchars=b"-_", validate=True), _LARGEST_TABLE)
        if not unpacking.eof:
            raise ValueError
        return table.decode()
    except (binascii.Error, zlib.error, ValueError):
        raise WorkbenchError("the table in the link is damaged; copy the whole link") from None

"""A method of attribution: a function with a name, a stated sign and a stated scale."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.bench.run import Run
from workbench.errors import WorkbenchError

Array = NDArray[np.float64]
Sign = Literal["negative_helps", "positive_helps"]


@dataclass(frozen=True)
class Method:
    """A method of attribution.

    Attributes:
        name: of its rows in the tables.
        function: ``function(run) -> (T, P, P + Q)``, or of one checkpoint ``function(network, examples) -> (source,
            target)`` where examples are the P training items followed by the Q queries. The result may have P + Q
            rows (the first P are taken) or P columns (queries are then not attributed).
        sign: ``"negative_helps"``, as everywhere in this package: what extra weight on the source does to the target's
            loss; ``"positive_helps"``: its negative, as in Koh & Liang (2017) and TracIn.
        scale: in words, what one unit of it is.
        source: where it comes from, and what a wrapper converts.
        control: a method that must lose.
    """

    name: str
    function: Callable[..., Any]
    sign: Sign = "negative_helps"
    scale: str = "arbitrary"
    source: str = ""
    control: bool = False

    def __post_init__(self) -> None:
        if self.sign not in get_args(Sign):
            raise WorkbenchError(f"sign {self.sign!r} of method {self.name!r}; use {' or '.join(get_args(Sign))}")
        if not self.name or not all(c.isalnum() or c in "_-.+ " for c in self.name):
            raise WorkbenchError(f"method name {self.name!r}; use letters, digits, blanks and _-.+")
        asked = _required(self.function)
        if len(asked) > 2 or (len(asked) == 2 and asked[0] == "run"):
            raise WorkbenchError(
                f"method {self.name!r} takes ({', '.join(asked)}); write it as function(run) or function(network, "
                "examples), and give every option a default"
            )

    @property
    def of_one_checkpoint(self) -> bool:
        """Whether the function takes (network, examples) instead of a run."""
        return len(_required(self.function)) == 2

    def influence(self, run: Run) -> Array:
        """``(T, P, P + Q)`` or ``(T, P, P)`` in the package's sign.

        Raises:
            WorkbenchError: if the result has another shape or is not finite.
        """
        if self.of_one_checkpoint:
            values = np.stack([_numbers(self.function(network, run.examples)) for network in run.checkpoints])
        else:
            values = _numbers(self.function(run))
        T, P, Q = len(run.checkpoints), len(run.items), len(run.queries)
        if values.shape == (T, P + Q, P + Q):
            values = values[:, :P]
        if values.shape not in ((T, P, P + Q), (T, P, P)):
            raise WorkbenchError(
                f"it returned an array of shape {values.shape}; expected (time, source, target) = {(T, P, P + Q)}, "
                f"or {(T, P, P)} without the queries"
            )
        if not np.isfinite(values).all():
            k = int(np.argwhere(~np.isfinite(values))[0][0])
            raise WorkbenchError(
                f"it returned {np.count_nonzero(~np.isfinite(values))} values that are not finite, "
                f"the first at checkpoint {k}"
            )
        return values if self.sign == "negative_helps" else -values


def _required(function: Callable[..., Any]) -> list[str]:
    """Parameters without a default."""
    named = inspect.signature(function).parameters.values()
    return [p.name for p in named if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _numbers(values: Any) -> Array:
    if values is None:
        raise WorkbenchError("it returned nothing; end the function with return")
    if isinstance(values, torch.Tensor):
        values = (values if values.is_complex() else values.double()).detach().cpu().numpy()
    try:
        array = np.asarray(values)
        real = array.real.astype(np.float64)
    except (TypeError, ValueError):
        raise WorkbenchError(f"it returned {type(values).__name__}, which is no array of numbers") from None
    if np.iscomplexobj(array):
        raise WorkbenchError("it returned complex numbers; give real ones")
    return real


#: The registered methods by name; `workbench.bench.methods` fills it with those that are shipped.
METHODS: dict[str, Method] = {}


def method(
    name: str, *, sign: Sign = "negative_helps", scale: str = "arbitrary", source: str = "", control: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as a method: ``@method("mine", sign="positive_helps", scale="loss per step")``."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        if name in METHODS and inspect.getmodule(METHODS[name].function) is not inspect.getmodule(function):
            raise WorkbenchError(f"a method named {name!r} is registered already; choose another name")
        METHODS[name] = Method(name, function, sign, scale, source, control)
        return function

    return register


def method_from_file(text: str) -> Method:
    """The method that ``file.py:function`` names; the file is the user's own code, and runs.

    A function registered by `method` keeps its name and sign; any other is called as the function, and its sign is
    taken to be the package's. Files beside it can be imported, as from a script.
    """
    path_text, colon, name = text.rpartition(":")
    path = Path(path_text)
    if not colon or path.suffix != ".py" or not name.isidentifier():
        raise WorkbenchError(f"method {text!r}; give FILE.py:FUNCTION, such as my_method.py:score")
    if not path.is_file():
        raise WorkbenchError(f"method {text!r}: there is no file {path}; check the path")
    spec = importlib.util.spec_from_file_location(f"method_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    if (beside := str(path.resolve().parent)) not in sys.path:
        sys.path.insert(0, beside)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise WorkbenchError(f"method {text!r}: the file does not run ({type(error).__name__}: {error})") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise WorkbenchError(f"method {text!r}: {path} has no function {name}")
    for registered in METHODS.values():
        if registered.function is function:
            return registered
    return Method(name, function)

"""Flags made from `Option`s, and values read back from them; names of Python parameters spelled as flags."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.commands.console import auto
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.influence import Measure, Option

#: Parameters in messages of the library: a name between backquotes.
_PARAMETER = re.compile(r"`([a-z][a-z_0-9]*)`")
#: Parameters of `Sampling` whose flags say more, as they stand among the flags of a whole comparison.
_FLAGS = {"step": "step_size"}


def flag(name: str) -> str:
    """``--n-beta`` for ``n_beta``."""
    return "--" + name.replace("_", "-")


def spelled(message: str) -> str:
    """A message of the library with its parameters as flags.

    >>> spelled("`n_beta` -1; give a positive number")
    '--n-beta -1; give a positive number'
    """
    return _PARAMETER.sub(lambda match: flag(_FLAGS.get(match[1], match[1])), message)


def add_options(parser: argparse.ArgumentParser, options: Iterable[Option], measures: Mapping[str, Measure]) -> None:
    """Add a flag for every option, under the headings that the options name."""
    groups: dict[str, Any] = {}
    for option in options:
        group = groups.setdefault(option.group, None) or parser.add_argument_group(option.group)
        groups[option.group] = group
        _add(group, option, _help(option, measures))


def _help(option: Option, measures: Mapping[str, Measure]) -> str:
    owners = [name for name, measure in measures.items() if option in measure.options]
    whose = f"of {', '.join(owners)}: " if owners and option.group == "influence" else ""
    return (whose + option.help.format(measures=", ".join(measures))).replace("%", "%%")


def _add(group: Any, option: Option, text: str) -> None:
    if option.kind == "switch":
        group.add_argument(flag(option.name), action="store_true", default=option.default, help=text)
        return
    shown: dict[str, Any] = {"help": text, "default": option.default}
    if option.choices:
        shown["choices"] = option.choices
    elif option.metavar:
        shown["metavar"] = option.metavar
    if option.auto:
        shown["default"] = "auto" if option.default is None else option.default
    elif option.kind in ("integer", "number"):
        shown["type"] = int if option.kind == "integer" else float
    if option.kind == "words":
        shown["default"] = ",".join(option.default)
    group.add_argument(flag(option.name), **shown)


def values(args: argparse.Namespace, options: Iterable[Option]) -> dict[str, Any]:
    """The values of the options, by name; None where they are to be chosen."""
    return {option.name: _value(getattr(args, option.name), option) for option in options}


def _value(given: Any, option: Option) -> Any:
    if option.kind == "words":
        return tuple(dict.fromkeys(word.strip() for word in given.split(",") if word.strip()))
    if option.kind == "window":
        return _window(given, flag(option.name))
    if option.auto and option.kind == "integer":
        return _whole(str(given), flag(option.name))
    return auto(given, flag(option.name)) if option.auto else given


def _whole(text: str, shown: str) -> int | None:
    """A whole number, or None for ``auto``."""
    try:
        return None if text == "auto" else int(text)
    except ValueError:
        raise WorkbenchError(f"{shown} {text!r} is no whole number; give one, or auto") from None


def _window(text: str, shown: str) -> tuple[float, float] | None:
    """``"T0:T1"``, or None for ``auto``."""
    if text == "auto":
        return None
    try:
        begin, end = map(float, text.split(":"))
    except ValueError:
        raise WorkbenchError(f"{shown} {text!r} is no window; give T0:T1 in flow time, such as 0:5, or auto") from None
    return begin, end

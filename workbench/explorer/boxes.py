"""Widgets of one quantity each, as wide as their column."""

from __future__ import annotations

import math
from typing import Any

import ipywidgets as widgets

from workbench.explorer.state import RANGES
from workbench.influence.option import Option


def box(kind: Any, description: str, **options: Any) -> Any:
    """A control with its name beside it."""
    return kind(description=description, layout=widgets.Layout(width="auto"), **options)


def log_slider(description: str, ends: tuple[float, float], step: float = 0.02) -> Any:
    """A slider of logarithms; ``step`` in powers of ten."""
    low, high = (math.log10(x) for x in ends)
    return box(widgets.FloatLogSlider, description, min=low, max=high, step=step, value=10**low, readout_format=".4g")


def int_slider(description: str, name: str) -> Any:
    """A slider of whole numbers, between the ends that a state's field has."""
    low, high = RANGES[name]
    return box(widgets.IntSlider, description, min=int(low), max=int(high), value=int(low))


def menu(names: dict[str, str]) -> list[tuple[str, str]]:
    """Titles with what they stand for, as a menu wants them."""
    return [(title, name) for name, title in names.items()]


def option_slider(option: Option) -> Any:
    """The slider of a measure's option."""
    assert option.ends is not None
    return log_slider(f"{option.symbol} ({option.unit})", option.ends)


def display(control: Any, wanted: bool) -> None:
    """Show or hide a control."""
    there = None if wanted else "none"
    if control.layout.display != there:
        control.layout.display = there

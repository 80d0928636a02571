"""Sliders of the exported page; each sets the value that a filter of rows keeps."""

from __future__ import annotations

from typing import Any

from bokeh.models import CategoricalSlider, GroupFilter, Slider

from workbench.explorer.standalone import MOMENTS


def choice_slider(title: str, values: list[str], of: GroupFilter, first: int) -> Any:
    """A slider over names; its value is the value that the filter keeps."""
    value = values[min(first, len(values) - 1)]
    slider = CategoricalSlider(title=title, categories=values, value=value, width=250, visible=len(values) > 1)
    of.group = value
    slider.js_link("value", of, "group")
    return slider


def moment_slider(of: GroupFilter) -> Any:
    """A slider over steps of time, at a third of the axis to begin with."""
    of.group = MOMENTS // 3
    slider = Slider(title="time, in steps along the axis", start=0, end=MOMENTS - 1, step=1, value=of.group, width=250)
    slider.js_link("value", of, "group")
    return slider

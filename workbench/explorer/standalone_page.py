"""The page of `workbench explore --export`: Bokeh's sliders linked to the filters of the rows that they pick."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
from bokeh.embed import file_html
from bokeh.layouts import column, row
from bokeh.models import (
    CDSView,
    ColumnDataSource,
    Div,
    GroupFilter,
    HoverTool,
    IntersectionFilter,
    LinearColorMapper,
    Span,
)
from bokeh.plotting import figure
from bokeh.resources import INLINE
from matplotlib.colors import to_hex

from workbench.explorer.standalone import MOMENTS, Grid, title_of
from workbench.explorer.standalone_sliders import choice_slider, moment_slider
from workbench.figures.style import Style

_STYLE = Style()
_WRAP = ":host { flex-wrap: wrap; gap: .3rem 1.2rem; }"
_ABOUT = """\
<h1 style="font-size:1.4rem;margin:.2rem 0">{task}: who helps whom, when</h1>
<p style="max-width:46rem;margin:.2rem 0">Exact theory of a linear network of 1 to 4 layers that starts aligned with the
task; no simulation. <b>Below zero the source helps the target</b> (more weight on it lowers the target's loss), above
zero it harms. Flow time is learning rate times step. Strength at the start: small learns in stages. With one layer
different items do not influence one another. {left_out}</p>
"""


def page(grid: Grid) -> str:
    """The whole file."""
    pick = {name: GroupFilter(column_name=name) for name in ("depth", "a0", "measure", "source", "target", "moment")}
    measures = {name: title_of(name) for name in grid.measures}
    controls = [
        choice_slider(
            "layers", [str(depth) for depth in dict.fromkeys(cell.depth for cell in grid.cells)], pick["depth"], 1
        ),
        choice_slider("strength at the start", [f"{a0:g}" for a0 in grid.starts], pick["a0"], 2),
        choice_slider("measure", list(measures.values()), pick["measure"], 0),
        choice_slider("source: more weight on", list(grid.items), pick["source"], 0),
        choice_slider("target: loss of", list(grid.items), pick["target"], 1),
        moment_slider(pick["moment"]),
    ]
    moments = _moments(grid)
    panels = [
        _strengths(grid, pick, moments),
        _loss(grid, pick, moments),
        _influence(grid, pick, moments),
        _matrix(grid, pick),
    ]
    layout = column(
        Div(text=_about(grid), sizing_mode="stretch_width"),
        row(*controls, sizing_mode="stretch_width", stylesheets=[_WRAP]),
        row(*panels, sizing_mode="stretch_width", stylesheets=[_WRAP]),
        sizing_mode="stretch_width",
    )
    return str(file_html(layout, INLINE, title=f"{grid.scene.task.name}: influence while a network learns"))


def _about(grid: Grid) -> str:
    task = grid.scene.task
    some = f"{len(grid.items)} of {task.n_items} items can be chosen." if len(grid.items) < task.n_items else ""
    return _ABOUT.format(task=escape(task.name), left_out=some)


def _view(pick: dict[str, GroupFilter], *names: str) -> CDSView:
    return CDSView(filter=IntersectionFilter(operands=[pick[name] for name in names]))


def _rows(rows: list[dict[str, Any]]) -> ColumnDataSource:
    return ColumnDataSource({name: [one[name] for one in rows] for name in rows[0]})


def _single(values: Any) -> Any:
    return np.asarray(values, dtype=np.float32)


def _panel(title: str, y: str, **options: Any) -> Any:
    shown = figure(
        title=title, y_axis_label=y, height=320, min_width=330, width=480, tools="", toolbar_location=None, **options
    )
    shown.xaxis.axis_label = shown.xaxis.axis_label or "flow time"
    return shown


def _moments(grid: Grid) -> ColumnDataSource:
    """Where the line of the time slider stands in every cell."""
    return _rows(
        [
            {
                "depth": str(cell.depth),
                "a0": f"{cell.a0:g}",
                "moment": k,
                "time": float(time),
                "label": f"t = {time:.3g}",
            }
            for cell in grid.cells
            for k, time in enumerate(np.linspace(0, cell.times[-1], MOMENTS))
        ]
    )


def _time_line(panel: Any, moments: ColumnDataSource, pick: dict[str, GroupFilter]) -> None:
    panel.vspan(
        x="time", source=moments, view=_view(pick, "depth", "a0", "moment"), line_color="#777777", line_dash="dashed"
    )


def _strengths(grid: Grid, pick: dict[str, GroupFilter], moments: ColumnDataSource) -> Any:
    most = max(len(cell.names) for cell in grid.cells)
    colours = [to_hex(colour) for colour in _STYLE.sequence(most)]
    rows = [
        {
            "depth": str(cell.depth),
            "a0": f"{cell.a0:g}",
            "name": name,
            "colour": colours[k],
            "times": _single(cell.times),
            "values": _single(cell.strengths[:, k]),
            "end": float(cell.times[-1]),
            "height": float(cell.strengths[-1, k]),
        }
        for cell in grid.cells
        for k, name in enumerate(cell.names)
    ]
    panel = _panel("what is learned: strength of each mode", "strength")
    curves, view = _rows(rows), _view(pick, "depth", "a0")
    lines = panel.multi_line("times", "values", source=curves, view=view, line_color="colour", line_width=2.5)
    panel.text(
        "end",
        "height",
        "name",
        source=curves,
        view=view,
        text_align="right",
        text_baseline="top",
        text_font_size="12px",
    )
    panel.add_tools(HoverTool(tooltips=[("mode", "@name")], renderers=[lines]))
    _time_line(panel, moments, pick)
    return panel


def _loss(grid: Grid, pick: dict[str, GroupFilter], moments: ColumnDataSource) -> Any:
    panel = _panel("mean loss", "loss")
    cells = [
        {"depth": str(cell.depth), "a0": f"{cell.a0:g}", "times": _single(cell.times), "values": _single(cell.loss)}
        for cell in grid.cells
    ]
    panel.multi_line(
        "times", "values", source=_rows(cells), view=_view(pick, "depth", "a0"), line_color=_STYLE.ink, line_width=2.5
    )
    _time_line(panel, moments, pick)
    panel.text(
        "time", 0, "label", source=moments, view=_view(pick, "depth", "a0", "moment"), x_offset=5, text_font_size="12px"
    )
    return panel


def _influence(grid: Grid, pick: dict[str, GroupFilter], moments: ColumnDataSource) -> Any:
    panel = _panel("influence on the target (thick), on others (thin)", "← helps      harms →")
    panel.add_layout(Span(location=0, dimension="width", line_color="#888888"))
    place = {item: grid.scene.task.items.index(item) for item in grid.items}
    rows = [
        {
            "depth": str(cell.depth),
            "a0": f"{cell.a0:g}",
            "measure": title_of(measure),
            "source": source,
            "target": target,
            "times": _single(cell.times),
            "values": _single(values[:, place[source], place[target]]),
        }
        for cell in grid.cells
        for measure, values in cell.influence.items()
        for source in grid.items
        for target in grid.items
        if source != target
    ]
    curves = _rows(rows)
    every = ("depth", "a0", "measure", "source")
    thin = panel.multi_line(
        "times", "values", source=curves, view=_view(pick, *every), line_color="#8a8a94", line_width=1
    )
    panel.multi_line(
        "times", "values", source=curves, view=_view(pick, *every, "target"), line_color=_STYLE.ink, line_width=3.5
    )
    panel.add_tools(HoverTool(tooltips=[("on", "@target")], renderers=[thin]))
    _time_line(panel, moments, pick)
    return panel


def _matrix(grid: Grid, pick: dict[str, GroupFilter]) -> Any:
    """Between all items at the time of the slider, in shares of the largest influence between two items in that run."""
    order = [item for item in np.asarray(grid.scene.task.items)[grid.scene.order.order] if item in grid.items]
    place = np.array([grid.scene.task.items.index(item) for item in order])
    rows = [
        {"depth": str(cell.depth), "a0": f"{cell.a0:g}", "measure": title_of(measure), "moment": k, "image": image}
        for cell in grid.cells
        for measure, values in cell.influence.items()
        for k, image in enumerate(_images(values[:, place[:, None], place]))
    ]
    panel = _panel(
        "source (row) on target (column) at that time",
        "source",
        x_range=order,
        y_range=order[::-1],
        x_axis_label="target",
    )
    shades = [to_hex(_STYLE.diverging()(k / 255)) for k in range(256)]
    panel.image(
        "image",
        x=0,
        y=0,
        dw=len(order),
        dh=len(order),
        source=_rows(rows),
        view=_view(pick, "depth", "a0", "measure", "moment"),
        color_mapper=LinearColorMapper(palette=shades, low=-1, high=1, nan_color="#cccccc"),
    )
    panel.xaxis.major_label_orientation, panel.xgrid.visible, panel.ygrid.visible = 0.9, False, False
    return panel


def _images(values: Any) -> list[Any]:
    """One ``(P, P)`` a moment, first row at the bottom; the diagonal, which is far larger, is left grey."""
    moments = np.linspace(0, len(values) - 1, MOMENTS).round().astype(int)
    between = np.where(np.eye(values.shape[1], dtype=bool), np.nan, values[moments])
    largest = np.nanmax(np.abs(between)) or 1.0
    return [_single(np.clip(one[::-1] / largest, -1, 1)) for one in between]

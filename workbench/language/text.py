"""A document, its tokens coloured by their influence on a chosen one: as a figure and as HTML."""

from __future__ import annotations

from html import escape

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from workbench.figures.style import PAGE, Style

Array = NDArray[np.float64]

#: Tokens a line.
_LINE = 16


def telling_token(ds: xr.Dataset, document: int = 0) -> int:
    """Position of the token whose influence changes most over training, of the class "induction" if there is one."""
    classes = ds["text_class"].values[document]
    names = [str(name) for name in ds["class"].values]
    positions = np.arange(1, len(classes))
    if "induction" in names and (classes[1:] == names.index("induction")).any():
        positions = positions[classes[1:] == names.index("induction")]
    change = np.ptp(ds["token_correlation"].values[:, document], axis=0)
    np.fill_diagonal(change, 0)
    return int(positions[np.argmax(change.sum(axis=0)[positions - 1])])


def influence_on(ds: xr.Dataset, time: int, document: int, token: int) -> Array:
    """``(positions,)`` influence of every token on the one at position ``token``; nan for it and for the first."""
    values = np.full(ds.sizes["position"], np.nan)
    values[1:] = ds["token_correlation"].values[time, document, :, token - 1]
    values[token] = np.nan
    return values


def colour_limit(ds: xr.Dataset, document: int, token: int) -> float:
    """The largest influence on a token at any checkpoint, so that colours mean the same at all."""
    values = [influence_on(ds, time, document, token) for time in range(ds.sizes["time"])]
    return float(np.nanquantile(np.abs(values), 0.98)) or 1.0


def text_figure(ds: xr.Dataset, style: Style = PAGE, document: int = 0, token: int | None = None) -> Figure:
    """One document at three checkpoints, coloured by influence on a token."""
    chosen = telling_token(ds, document) if token is None else token
    T = ds.sizes["time"]
    strength = np.nansum(np.abs([influence_on(ds, t, document, chosen) for t in range(T)]), axis=1)
    middle = 1 + int(strength[1:-1].argmax()) if T > 2 else 0
    at, limit = sorted({0, middle, T - 1}), colour_limit(ds, document, chosen)
    lines = -(-ds.sizes["position"] // _LINE)
    with style.context():
        figure = style.figure((0.3 * lines + 0.3) * len(at))
        axes = figure.subplots(len(at), 1, squeeze=False)[:, 0]
        for ax, time in zip(axes, at, strict=True):
            _written(ax, ds, time, document, chosen, limit, style)
            ax.set_title(f"step {ds['step'].values[time]:,}", fontsize=style.small)
    return figure


def _written(ax: Axes, ds: xr.Dataset, time: int, document: int, token: int, limit: float, style: Style) -> None:
    values, norm, colours = influence_on(ds, time, document, token), Normalize(-limit, limit), style.diverging()
    for position, word in enumerate(ds["text"].values[document]):
        x, y = position % _LINE, -(position // _LINE)
        value = values[position]
        ground = style.background if np.isnan(value) else colours(norm(value))
        chosen = position == token
        ax.add_patch(
            Rectangle((x, y), 0.96, 0.9, facecolor=ground, edgecolor=style.ink if chosen else "none", lw=1.4 * chosen)
        )
        ax.text(x + 0.48, y + 0.45, str(word), ha="center", va="center", fontsize=style.small)
    style.bare(ax).set(xlim=(-0.1, _LINE), ylim=(-(len(values) - 1) // _LINE - 0.1, 1.0))


def text_html(ds: xr.Dataset, time: int, document: int, token: int, style: Style = PAGE) -> str:
    """The document as HTML, every token on the colour of its influence on the chosen one, with numbers on hover."""
    values, limit = influence_on(ds, time, document, token), colour_limit(ds, document, token)
    norm, colours = Normalize(-limit, limit), style.diverging()
    errors = np.full(len(values), np.nan)
    errors[1:] = ds["token_correlation_stderr"].values[time, document, :, token - 1]
    names, classes = ds["class"].values, ds["text_class"].values[document]
    spans = []
    for position, word in enumerate(ds["text"].values[document]):
        value, kind = values[position], classes[position]
        said = str(names[kind]) if kind >= 0 else "no class"
        ground = "transparent" if np.isnan(value) else to_hex(colours(norm(value)))
        number = "the chosen token" if position == token else f"{value:+.3f} ± {errors[position]:.3f}"
        note = said if position == 0 else f"{said}: {number}"
        frame = f"outline:2px solid {style.ink};" if position == token else ""
        spans.append(
            f'<span title="{escape(note, quote=True)}" style="background:{ground};color:{style.ink};{frame}'
            f'padding:.1em .25em;border-radius:3px">{escape(str(word))}</span>'
        )
    return f'<div style="line-height:2;font-family:monospace">{" ".join(spans)}</div>'

"""Why the influence of one item on another changes sign: the two factors of the kernel, and their product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench.agreement.events import visible_flips
from workbench.comparison.prediction import start_of
from workbench.figures.figure import Illustration, Subject
from workbench.figures.keys import stage_key
from workbench.figures.learning import stage_marks
from workbench.figures.reading import HELPS_HARMS, mode_groups, span, stages, text
from workbench.figures.style import PAGE, Style
from workbench.theory import mode_residuals, mode_strengths

Array = NDArray[np.float64]

#: Groups of modes whose share is drawn.
MAX_SHARES = 6


@dataclass(frozen=True, eq=False)
class Anatomy:
    """``influence = -P^2 error hidden`` of one pair of different items over time.

    Attributes:
        times: ``(T,)``.
        hidden: ``(T,)`` ``sum_k a_k v_ki v_kj`` (R_m[a] on a tree): do the items look alike to the second layer?
        error: ``(T,)`` ``sum_k e_k^2 v_ki v_kj`` (R_m[e^2] on a tree): are they wrong in the same direction?
        shares: ``(T, G)`` what each group of modes contributes to ``error``.
        influence: ``(T,)`` minus the kernel.
        flips: times at which the influence changes sign.
    """

    times: Array
    hidden: Array
    error: Array
    shares: Array
    influence: Array
    flips: Array


def anatomy(ds: xr.Dataset, i: int, j: int, times: Array | None = None) -> Anatomy:
    """The factors of the kernel of items i != j from the closed forms of the modes."""
    from workbench.theory.roots import sign_changes

    start, modes = start_of(ds), start_of(ds).modes
    t = np.linspace(0, float(ds["time"].values[-1]), 600) if times is None else times
    shared = modes.V[i, : modes.rank] * modes.V[j, : modes.rank]
    e2 = mode_residuals(start, t) ** 2
    hidden, error = mode_strengths(start, t) @ shared, e2 @ shared
    shares = np.stack([e2[:, list(g.members)] @ shared[list(g.members)] for g in mode_groups(ds)], axis=1)

    def both(at: Array) -> Array:
        once = np.atleast_1d(at)
        product = (mode_residuals(start, once) ** 2 @ shared) * (mode_strengths(start, once) @ shared)
        # e^2 decays by many orders of magnitude: without its size only the sign is left, and no root is lost.
        return np.asarray((product / (mode_residuals(start, once) ** 2 @ np.abs(shared))).reshape(np.shape(at)))

    flips = sign_changes(both, t) if np.abs(shared).max() > 1e-12 else np.array([])
    influence = -(modes.n_items**2) * hidden * error
    return Anatomy(t, hidden, error, shares, influence, visible_flips(flips, t, influence))


def sign_flip_anatomy(
    ds: xr.Dataset, source: str | None = None, target: str | None = None, style: Style = PAGE
) -> Figure:
    """Three panels over time: likeness of the hidden representations, likeness of the errors, their product."""
    pair = Subject(ds, source, target)
    i, j = pair.i, pair.j
    parts = anatomy(ds, i, j)
    one, other = (text(ds["source"].values[k], 16, ds["source"].values) for k in (i, j))
    groups = mode_groups(ds)
    with style.context():
        figure = style.figure(4.6)
        axes = figure.subplots(3, 1, sharex=True, height_ratios=(0.9, 1.25, 1.1))
        ink = style.ink
        for ax in axes:
            style.tidy(ax).axhline(0, color=style.muted, linewidth=0.1 * style.font)
        hidden, error, product = axes
        hidden.plot(parts.times, parts.hidden, color=ink)
        hidden.set_title("do the items look alike inside?   $A = \\Sigma_k a_k v_{ki} v_{kj}$")
        hidden.set_ylabel("$A$")
        for k, colour in _told_apart(parts.shares, style).items():
            error.plot(
                parts.times, parts.shares[:, k], color=colour, linewidth=0.11 * style.font, label=groups[k].label
            )
        error.plot(parts.times, parts.error, color=ink, linewidth=0.2 * style.font, label="sum $E$")
        error.set_title("are they wrong in the same direction?   $E = \\Sigma_k e_k^2 v_{ki} v_{kj}$")
        error.set_ylabel("$E$, and each share")
        product.plot(parts.times, parts.influence, color=ink)
        product.set_title("so a step on one does this to the other:   $-P^2\\, A\\, E$")
        product.set_ylabel(HELPS_HARMS.replace("      ", "   "))
        product.set(xlabel="flow time $t$", xlim=span(parts.times))
        product.margins(y=0.12)
        _shade(product, parts, style)
        for ax in axes:
            stage_marks(ax, stages(ds), style, labels=False)
            for flip in parts.flips[:4]:
                ax.axvline(flip, color=style.muted, linewidth=0.1 * style.font, linestyle=(0, (4, 2)))
        figure.suptitle(f"{one} and {other}: {flips_in_words(parts.flips)}", x=0.01, ha="left")
        handles = [*error.get_legend_handles_labels()[0], *stage_key(ds, style)]
        labels = [str(handle.get_label()) for handle in handles]
        figure.legend(handles, labels, loc="outside lower center", ncols=style.legend_columns(labels))
    return figure


def flips_in_words(flips: Array) -> str:
    """When the sign changes, as the end of a sentence."""
    if not len(flips):
        return "the sign never changes"
    shown = ", ".join(f"{flip:.3g}" for flip in flips[:4])
    return f"the sign changes at $t$ = {shown}" + (", …" if len(flips) > 4 else "")


def sign_flip_anatomy_data(ds: xr.Dataset, source: str | None = None, target: str | None = None) -> pd.DataFrame:
    """One row a time: both factors, the shares of the groups, and the influence."""
    pair = Subject(ds, source, target)
    parts = anatomy(ds, pair.i, pair.j)
    shares = {f"E share of {g.label}": parts.shares[:, k] for k, g in enumerate(mode_groups(ds))}
    return pd.DataFrame(
        {"time": parts.times, "A": parts.hidden, "E": parts.error, "influence": parts.influence} | shares
    )


def _told_apart(shares: Array, style: Style) -> dict[int, str]:
    """The groups whose shares are drawn, with their colours: as in other figures where groups are few."""
    size = np.abs(shares).max(axis=0)
    strongest = [int(k) for k in sorted(np.argsort(-size)[:MAX_SHARES]) if size[k] > 1e-2 * size.max()]
    few = len(size) <= 2 * MAX_SHARES
    colours = style.sequence(len(size) if few else len(strongest))
    return {k: colours[k if few else place] for place, k in enumerate(strongest)}


def _shade(ax: Axes, parts: Anatomy, style: Style) -> None:
    # Greys: the hues above stand for levels.
    for sign, shade in ((-1, style.blank), (1, style.faint)):
        part = np.where(sign * parts.influence > 0, parts.influence, 0.0)
        ax.fill_between(parts.times, part, 0, color=shade, linewidth=0)


FIGURES = (
    Illustration(
        name="sign_flip_anatomy",
        two_layers=True,
        purpose="why the sign of an influence changes: its two factors",
        title="Why the sign changes",
        caption="The gradient kernel of {pair} is a product of two factors: how alike the items are to the second "
        "layer (A), and whether their errors point the same way (E). A stays positive; E changes sign when what "
        "the items share is learned and what tells them apart is not yet. Dashed: sign changes; grey: stages.",
        alt="Two factors of the kernel of {pair} over time, and their product.",
        draw=lambda s: sign_flip_anatomy(s.ds, s.items[s.i], s.items[s.j], s.style),
        table=lambda s: sign_flip_anatomy_data(s.ds, s.items[s.i], s.items[s.j]),
    ),
)

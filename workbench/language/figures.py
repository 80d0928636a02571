"""Figures of a study of a language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench.figures import Words
from workbench.figures.style import PAGE, Style
from workbench.language.captions import words
from workbench.language.text import text_figure

Array = NDArray[np.float64]

#: Pairs that are drawn over training besides every class with itself.
_ACROSS = (
    ("left bracket", "right bracket"),
    ("first name", "induction"),
    ("name start", "induction"),
    ("word start", "word part"),
    ("word part", "digit"),
    ("space", "newline"),
)


@dataclass(frozen=True, eq=False)
class Drawn:
    """A figure with its words."""

    image: Figure
    words: Words


def all_figures(ds: xr.Dataset, style: Style = PAGE) -> dict[str, Drawn]:
    """The figures of a study by file name."""
    made = {"class_loss": class_loss(ds, style)} if "followed_loss" in ds else {}
    made |= {
        "influence_over_training": influence_over_training(ds, style),
        "influence_matrices": influence_matrices(ds, style),
        "circuits": circuits(ds, style),
        "kernel_beside": kernel_beside(ds, style),
        "text": text_figure(ds, style),
    }
    return {name: Drawn(figure, words(name, ds)) for name, figure in made.items()}


def class_colours(ds: xr.Dataset, style: Style) -> list[str]:
    """A colour a class."""
    n = ds.sizes["class"]
    return style.item_colours(np.arange(n), np.where(np.arange(n) < 6, 0.15, 0.75))


def step_axis(ax: Axes, steps: Array, style: Style, *, label: bool = True) -> None:
    """Logarithmic steps with a place for 0."""
    style.tidy(ax)
    ax.set_xscale("symlog", linthresh=1, linscale=0.4)
    ax.set_xlim(-0.1, float(steps.max()) * 1.08)
    ticks = [0, *(10**k for k in range(8) if 10**k <= steps.max())]
    ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    ax.minorticks_off()
    if label:
        ax.set_xlabel("training step")


def class_loss(ds: xr.Dataset, style: Style = PAGE) -> Figure:
    """Loss of every class over training."""
    with style.context():
        figure = style.figure(3.4)
        ax = figure.subplots()
        steps, losses = ds["followed_step"].values, ds["followed_loss"].values
        for g, (name, colour) in enumerate(zip(ds["class"].values, class_colours(ds, style), strict=True)):
            ax.plot(steps, losses[:, g], color=colour, label=str(name), ls="-" if g < 6 else (0, (4, 1.2)))
            at = float(ds["learned_at"].values[g])
            if np.isfinite(at):
                ax.plot(at, np.interp(at, steps, losses[:, g]), "o", color=colour, markersize=0.55 * style.font)
        step_axis(ax, steps, style)
        ax.set(ylabel="mean loss (nats)", ylim=(0, None))
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def influence_over_training(
    ds: xr.Dataset, style: Style = PAGE, pairs: Sequence[tuple[str, str]] | None = None
) -> Figure:
    """Small multiples: group correlation with errors, control, kernel, null, and the transitions."""
    names = [str(name) for name in ds["class"].values]
    chosen = list(pairs or [(name, name) for name in names] + [p for p in _ACROSS if set(p) <= set(names)])
    columns = 4 if style.wide else 2
    lines = -(-len(chosen) // columns)
    with style.context():
        figure = style.figure(1.25 * lines + 0.5)
        axes = figure.subplots(lines, columns, sharex=True, squeeze=False)
        for ax, pair in zip(axes.flat, chosen, strict=False):
            _pair(ax, ds, names.index(pair[0]), names.index(pair[1]), style)
        for ax in axes.flat[len(chosen) :]:
            ax.remove()
        figure.supylabel("influence (minus mean correlation)", fontsize=style.font)
        figure.supxlabel("training step", fontsize=style.font)
    return figure


def _pair(ax: Axes, ds: xr.Dataset, a: int, b: int, style: Style) -> None:
    steps = ds["step"].values
    blue, orange = style.item_colours(np.array([0, 1]), np.array([0.2, 0.2]))

    def curve(name: str) -> Array:
        return np.asarray(ds[name].values[:, a, b])

    null, spread = curve("group_correlation_null"), curve("group_correlation_null_spread")
    ax.fill_between(steps, null - 2 * spread, null + 2 * spread, color=style.faint, alpha=0.6, lw=0)
    ax.axhline(0, color=style.muted, lw=0.6)
    ax.plot(steps, curve("kernel_correlation"), ":", color=style.ink, lw=0.12 * style.font)
    ax.plot(steps, curve("control_correlation"), "--", color=orange, lw=0.12 * style.font)
    ax.errorbar(
        steps, curve("group_correlation"), 2 * curve("group_correlation_stderr"), fmt="o-", color=blue,
        ms=0.28 * style.font, lw=0.12 * style.font, elinewidth=0.1 * style.font,
    )  # fmt: skip
    if "learned_at" in ds:
        for g in {a, b}:
            if np.isfinite(ds["learned_at"].values[g]):
                ax.axvline(float(ds["learned_at"].values[g]), color=style.muted, lw=0.6, ls=(0, (1, 2)))
    names = ds["class"].values
    step_axis(ax, steps, style, label=False)
    ax.set_title(str(names[a]) if a == b else f"{names[a]} / {names[b]}", fontsize=0.9 * style.small)


def stages(ds: xr.Dataset, count: int = 5) -> list[int]:
    """Checkpoints for pictures: the first, the last, and between them those of the most different influence."""
    values = np.nan_to_num(ds["group_correlation"].values.reshape(ds.sizes["time"], -1))
    kept = [0, len(values) - 1]
    while len(kept) < min(count, len(values)):
        distance = np.min([np.linalg.norm(values - values[k], axis=1) for k in kept], axis=0)
        kept.append(int(distance.argmax()))
    return sorted(set(kept))


def influence_matrices(ds: xr.Dataset, style: Style = PAGE) -> Figure:
    """Class by class at five checkpoints."""
    at, names = stages(ds), [str(name) for name in ds["class"].values]
    with style.context():
        figure = style.figure(2.5)
        axes = figure.subplots(1, len(at), sharey=True, squeeze=False)[0]
        largest = float(np.nanmax(np.abs(ds["group_correlation"].values[at])))
        image = None
        for ax, k in zip(axes, at, strict=True):
            value, error = (ds[name].values[k] for name in ("group_correlation", "group_correlation_stderr"))
            shown = np.ma.masked_where(~(np.abs(value) > 2 * error), np.sign(value) * np.sqrt(np.abs(value)))
            limit = largest**0.5
            image = ax.imshow(shown, cmap=style.diverging(), norm=Normalize(-limit, limit))
            style.bare(ax)
            ax.set_title(f"step {ds['step'].values[k]:,}", fontsize=style.small)
            ax.set_xticks(range(len(names)), names, rotation=90, fontsize=0.85 * style.small)
            ax.set_yticks(range(len(names)), names, fontsize=0.85 * style.small)
        assert image is not None
        ticks = np.array([-1, -0.25, 0, 0.25, 1]) * largest
        bar = figure.colorbar(image, ax=list(axes), shrink=0.6, ticks=np.sign(ticks) * np.sqrt(np.abs(ticks)))
        bar.ax.set_yticklabels([f"{tick:.2g}" for tick in ticks], fontsize=style.small)
        bar.set_label("influence", fontsize=style.small)
    return figure


def circuits(ds: xr.Dataset, style: Style = PAGE) -> Figure:
    """Head scores and the learning coefficient over training."""
    steps, heads = ds["step"].values, "prefix_matching" in ds
    with style.context():
        figure = style.figure(2.2)
        axes = figure.subplots(1, 3 if heads else 1, squeeze=False)[0]
        if heads:
            layers = [str(name).split(".")[0] for name in ds["head"].values]
            order = sorted(set(layers))
            colours = style.item_colours(np.array([order.index(x) for x in layers]), np.full(len(layers), 0.4))
            for ax, name, title in zip(
                axes, ("prefix_matching", "previous_token"), ("prefix matching", "previous token"), strict=False
            ):
                for k, colour in enumerate(colours):
                    ax.plot(steps, ds[name].values[:, k], color=colour, lw=0.12 * style.font)
                step_axis(ax, steps, style)
                ax.set_title(f"{title} (layer {', '.join(order)})" if len(order) == 1 else title)
            axes[0].plot(steps, ds["even"].values, "--", color=style.muted, lw=0.6)
            for layer in order:
                axes[0].plot([], [], color=colours[layers.index(layer)], label=f"layer {layer}")
            axes[0].legend(loc="upper left")
        ax = axes[-1]
        value, error = ds["learning_coefficient"].values, ds["learning_coefficient_stderr"].values
        ax.axhline(0, color=style.faint, lw=0.6)
        ax.errorbar(steps, value, 2 * error, fmt="o-", color=style.ink, ms=0.3 * style.font, lw=0.1 * style.font)
        step_axis(ax, steps, style)
        ax.set_title("local learning coefficient")
    return figure


def kernel_beside(ds: xr.Dataset, style: Style = PAGE) -> Figure:
    """Sampled group influence against the kernel, loss off and on."""
    upper = np.triu_indices(ds.sizes["class"])
    kernel = ds["kernel_correlation"].values[:, *upper].ravel()
    with style.context():
        figure = style.figure(2.8)
        axes = figure.subplots(1, 2, sharex=True, sharey=True)
        for ax, name, title in zip(
            axes,
            ("control", "group"),
            ("loss switched off, n beta = 0", f"n beta = {ds.attrs['n_beta']:g}"),
            strict=True,
        ):
            value = ds[f"{name}_correlation"].values[:, *upper].ravel()
            error = ds[f"{name}_correlation_stderr"].values[:, *upper].ravel()
            ends = [float(np.nanmin([kernel, value])), float(np.nanmax([kernel, value]))]
            ax.plot(ends, ends, color=style.muted, lw=0.8)
            ax.errorbar(
                kernel, value, 2 * error, fmt="o", ms=0.22 * style.font, lw=0, elinewidth=0.05 * style.font,
                color=style.item_colours(np.array([0]), np.array([0.3]))[0], alpha=0.5,
            )  # fmt: skip
            style.tidy(ax).set(title=title, xlabel="kernel: minus mean cosine")
        axes[0].set_ylabel("sampled influence")
    return figure

"""The figure of the study of phase transitions: one mode by depth, and the tree."""

from __future__ import annotations

import xarray as xr
from matplotlib.figure import Figure

from workbench.figures.style import PAGE


def draw(ds: xr.Dataset) -> Figure:
    """One mode by depth; the tree."""
    with PAGE.context():
        figure = PAGE.figure(3.1)
        left, right = figure.subplots(1, 2)
        for d, colour in zip(ds["depth"].values, PAGE.sequence(ds.sizes["depth"]), strict=True):
            one = ds.sel(depth=d)
            top = float(one["one_mode"].sel(part="variance").max())
            left.plot(ds["ratio"], one["one_mode"].sel(part="variance") / top, color=colour, label=f"{d} layers")
            left.plot(ds["ratio"], one["one_mode"].sel(part="between") / top, "--", color=colour)
            for sampler, mark in (("hmc", "o"), ("sgld", "x")):
                seen = one.sel(sampler=sampler)
                left.errorbar(
                    ds["sampled_ratio"], seen["sampled"] / top, 2 * seen["sampled_stderr"] / top, fmt=mark,
                    color=colour, markersize=3.5, markerfacecolor=PAGE.background,
                )  # fmt: skip
            equal = float(one["place"].sel(what="equal mass") / one["place"].sel(what="transition"))
            left.plot([equal], [1.06], "v", color=colour)
        left.set(xscale="log", xlabel="n beta over that of the transition", ylabel="variance of the loss / largest")
        left.set_xticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
        left.minorticks_off()
        # Above what is drawn: the error bars reach everywhere.
        left.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=PAGE.least)
        right.axhline(0, color=PAGE.muted, linewidth=0.7)
        for threshold in ds["threshold"].values:
            right.axvline(threshold, color=PAGE.faint, linestyle=":")
        for m, colour in zip(ds["level"].values, PAGE.sequence(ds.sizes["level"]), strict=True):
            name = "an item with itself" if m == ds["level"].values[-1] else f"ancestor on level {m}"
            right.plot(ds["tree_ratio"], ds["tree_covariance"].sel(level=m), color=colour, label=name)
            seen = ds.sel(level=m)
            right.errorbar(
                ds["asked"], seen["tree_sampled"], 2 * seen["tree_stderr"], fmt="o", color=colour, markersize=3
            )
            if m in ds["pair_level"].values:
                right.plot([float(ds["flip"].sel(pair_level=m, of="data"))], [0], "v", color=colour)
        right.set(xscale="log", xlabel="n beta / gamma", ylabel="gamma x covariance of two losses")
        right.set_xticks([2, 3, 4, 6, 8], ["2", "3", "4", "6", "8"])
        right.minorticks_off()
        right.legend(fontsize=PAGE.least)
        for ax in (left, right):
            PAGE.tidy(ax)
    return figure

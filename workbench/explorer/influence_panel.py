"""The panel of influence over time: one source on every item."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from workbench import influence
from workbench.explorer.frame import Frame
from workbench.explorer.labels import CurveLabels, together
from workbench.explorer.scales import limits
from workbench.explorer.scene import Scene
from workbench.explorer.state import MEASURES
from workbench.explorer.time_axes import FADED, MOST_KEPT, Curves, TimeAxes, points, title
from workbench.figures.reading import powers, text
from workbench.figures.style import Style

Array = NDArray[np.float64]

#: Names on curves at most.
_NAMED = 8
_KEPT_STYLES = ("--", "-.", ":")


class InfluencePanel:
    """Theory of every item, simulated points of the targets, names on the curves."""

    def __init__(self, ax: Any, scene: Scene, style: Style, colours: list[str]) -> None:
        self.ax, self.scene, self.style, self.colours = ax, scene, style, colours
        P = scene.task.n_items
        self.axis = TimeAxes(ax, style, scene.modes.rank, zero=True)
        self.item_lines = Curves(ax, colors=colours)
        self.target_points = [points(ax, style, colours[j]) for j in range(P)]
        self.kept = [[ax.plot([], [], lw=1.6, ls=ls, alpha=FADED)[0] for _ in range(P)] for ls in _KEPT_STYLES]
        self.bars = LineCollection([], linewidths=1.0)
        ax.add_collection(self.bars, autolim=False)
        self.here = ax.plot([], [], "o", color=style.ink, ms=0.5 * style.font, mfc=style.background, mew=1.6)[0]
        self.labels = CurveLabels(ax, _NAMED, style.small, style.background)
        ax.set_ylabel("← helps      harms →")

    @property
    def moving(self) -> list[Artist]:
        """Everything that follows the sliders, back to front."""
        kept = [line for lines in self.kept for line in lines]
        return [
            *self.axis.moving, *kept, self.item_lines, self.bars, *self.target_points, self.here, *self.labels.texts,
        ]  # fmt: skip

    def show(self, frame: Frame) -> None:
        """Theory, simulation, kept curves, names."""
        self.axis.show(frame, *self._limits(frame))
        source, targets = frame.source, frame.targets
        t, values = frame.curves.influence_times, frame.curves.influence[:, source]
        self.item_lines.show(t, values)
        self.item_lines.set_linewidth(
            [2.8 if j in targets else 0.0 if j == source else 1.2 for j in range(values.shape[1])]
        )
        self.here.set_data([frame.time] * len(targets), [np.interp(frame.time, t, values[:, j]) for j in targets])
        self._show_simulated(frame)
        self._show_kept(frame)
        self._show_names(frame, t, values)

    def _show_names(self, frame: Frame, t: Array, values: Array) -> None:
        others = [j for j in range(values.shape[1]) if j != frame.source and j not in frame.targets]
        groups = together(values, [*frame.targets, *others])
        if np.abs(values[:, others]).max(initial=0.0) == 0:
            groups = [group for group in groups if group[0] in frame.targets]
        names = [self._name(group) for group in groups]
        self.labels.show(names, t, [values[:, g[0]] for g in groups], [self.colours[g[0]] for g in groups])

    def _name(self, group: list[int]) -> str:
        names = [text(self.scene.task.items[j], 22) for j in group]
        return ", ".join(names) if len(names) <= 2 else f"{names[0]}, {names[1]} + {len(names) - 2}"

    def _show_simulated(self, frame: Frame) -> None:
        simulated, source = frame.simulated, frame.source
        segments: list[Array] = []
        colours: list[str] = []
        for j, line in enumerate(self.target_points):
            line.set_visible(simulated is not None and j in frame.targets)
            if simulated is None or j not in frame.targets:
                continue
            t, y = simulated.influence_times, simulated.influence[:, source, j]
            line.set_data(t, y)
            line.set_alpha(frame.alpha)
            if simulated.stderr is not None:
                reach = 2 * simulated.stderr[:, source, j]
                segments += list(np.stack([np.column_stack([t, y - reach]), np.column_stack([t, y + reach])], axis=1))
                colours += [self.colours[j]] * len(y)
        self.bars.set_segments(segments)
        self.bars.set_color(colours)
        self.bars.set_alpha(frame.alpha)

    def _show_kept(self, frame: Frame) -> None:
        for n in range(MOST_KEPT):
            kept = frame.kept[n] if n < len(frame.kept) else None
            pairs = kept_pairs(frame, n) if kept is not None else {}
            for j, line in enumerate(self.kept[n]):
                line.set_visible(j in pairs)
                if kept is not None and j in pairs:
                    line.set_data(kept.curves.influence_times, kept.curves.influence[:, pairs[j][0], pairs[j][1]])
                    line.set_color(self.colours[j])

    def _limits(self, frame: Frame) -> tuple[float, float]:
        source, targets = frame.source, frame.targets
        # An item's influence on itself is far larger: it sets the scale only where it is asked for.
        others = [j for j in range(self.scene.task.n_items) if j != source or j in targets]
        shown = np.concatenate([curves.influence[:, source][:, others] for curves in frame.in_range])
        low, high = float(shown.min(initial=0.0)), float(shown.max(initial=0.0))
        simulated = frame.simulated
        if simulated is not None and simulated.stderr is not None and frame.fresh:
            reach = 2 * simulated.stderr[:, source, list(targets)]
            low = min(low, float((simulated.influence[:, source, list(targets)] - reach).min()))
            high = max(high, float((simulated.influence[:, source, list(targets)] + reach).max()))
        for n, kept in enumerate(frame.kept):
            for i, j in kept_pairs(frame, n).values():
                low = min(low, float(kept.curves.influence[:, i, j].min()))
                high = max(high, float(kept.curves.influence[:, i, j].max()))
        return limits(low, high)

    def background(self, frame: Frame) -> Hashable:
        """What the title depends on."""
        return frame.source, frame.state.measure

    def draw_background(self, frame: Frame) -> None:
        """The title."""
        unit = powers(influence.MEASURES[frame.state.measure].units).replace(" / ", "/")
        name, measure = text(self.scene.task.items[frame.source]), MEASURES[frame.state.measure]
        line = f"influence of {name} on each item: {measure}"
        title(self.ax, self.style, f"{line} [{unit}]", line, f"{name} on each: {measure}")

    def nearest(self, frame: Frame, time: float, value: float) -> int:
        """The item other than the source whose curve passes nearest to a place."""
        at = frame.curves.matrix(time)[frame.source].copy()
        at[frame.source] = np.inf
        return int(np.argmin(np.abs(at - value)))


def kept_pairs(frame: Frame, n: int) -> dict[int, tuple[int, int]]:
    """The targets that the n-th kept curves know too: source and target there; of another measure there are none."""
    kept, items = frame.kept[n], frame.scene.task.items
    known = {name: k for k, name in enumerate(kept.scene.task.items)}
    if kept.state.measure != frame.state.measure or items[frame.source] not in known:
        return {}
    source = known[items[frame.source]]
    return {j: (source, known[items[j]]) for j in frame.targets if items[j] in known}

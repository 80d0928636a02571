"""The picture in words, for those who cannot see it."""

from __future__ import annotations

import numpy as np

from workbench.explorer.frame import Frame
from workbench.explorer.state import MEASURES, PANELS


def picture_in_words(frame: Frame) -> str:
    """What the panels show now: how far learning is, and who helps and harms whom."""
    state, t, curves, items = frame.state, frame.time, frame.curves, frame.scene.task.items
    names = frame.scene.mode_names(frame.groups)
    half = [f"{names[g]} at t = {rise:.3g}" for g, rise in enumerate(curves.half_rise) if np.isfinite(rise)]
    row = curves.matrix(t)[frame.source]
    others = [j for j in range(len(items)) if j != frame.source]
    floor = 1e-9 * float(np.abs(curves.influence).max())
    helps = [items[j] for j in others if row[j] < -floor]
    harms = [items[j] for j in others if row[j] > floor]
    pairs = ", ".join(f"{row[j]:.3g} on {items[j]}" for j in frame.targets)
    return (
        f"Panels: {', '.join(PANELS[name] for name in state.panels)}. Flow time {t:.3g} of {curves.end:.3g}. "
        f"Half learned: {', '.join(half) or 'nothing'}. {MEASURES[state.measure]} of {items[frame.source]}: {pairs}; "
        f"helps {_some(helps)}, harms {_some(harms)}."
    )


def _some(names: list[str]) -> str:
    if not names:
        return "nobody"
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")

"""What is missing from the picture, in words: influence that is exactly 0, modes that are not learned."""

from __future__ import annotations

import numpy as np

from workbench.explorer.model import Curves, width
from workbench.explorer.scene import Scene
from workbench.explorer.state import ExplorerState


def remarks(state: ExplorerState, scene: Scene, curves: Curves) -> tuple[str, ...]:
    """Sentences about what is missing from the picture: influence that is exactly 0, modes that are not learned."""
    said = []
    i = scene.source_index(state)
    others = np.delete(np.arange(scene.task.n_items), i)
    shown = curves.influence[:, i][:, others]
    largest = float(np.abs(curves.influence).max())
    if state.depth == 1:
        said.append(
            "One layer and one-hot items: every item has weights of its own, so influence between items is exactly 0"
        )
    elif float(np.abs(shown).max(initial=0.0)) <= 1e-13 * largest:
        said.append(
            f"{scene.task.items[i]} shares no learned mode with any other item: its influence on them is exactly 0"
        )
    else:
        silent = [j for k, j in enumerate(others) if np.abs(shown[:, k]).max() <= 1e-13 * largest]
        silent = [j for j in silent if j in scene.target_indices(state)]
        if silent:
            names = ", ".join(scene.task.items[j] for j in silent[:3]) + (" …" if len(silent) > 3 else "")
            said.append(f"The influence of {scene.task.items[i]} on {names} is exactly 0: what they share cancels")
    if narrow := scene.too_narrow(width(state, scene)):
        said.append(narrow[0].upper() + narrow[1:])
    slow = int((curves.half_rise > curves.end).sum() - (~scene.groups(width(state, scene)).learned).sum())
    if slow > 0:
        late = curves.half_rise[np.isfinite(curves.half_rise)]
        until = f"; all would be by t = {late.max():.3g}" if late.size and late.max() > curves.end else ""
        said.append(
            f"{slow} of {len(curves.half_rise)} groups of modes are not half learned by t = {curves.end:.3g}{until}"
        )
    return tuple(said)

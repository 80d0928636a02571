"""The equation in force: typeset with its symbols, and below it the same with the current numbers in their places."""

from __future__ import annotations

import numpy as np

from workbench.explorer.model import Curves, width
from workbench.explorer.scene import Scene
from workbench.explorer.state import OPTIONS, ExplorerState
from workbench.figures.reading import text
from workbench.influence import MEASURES, gradient_kernel

_STRENGTH = {
    1: r"$\dot a_k=s_k-c\,a_k$",
    2: r"$\dot a_k=2a_k(s_k-c\,a_k)$",
}
_PAIR = r"H^k_{ij}"


def formula(state: ExplorerState) -> str:
    """How the modes move and what influence is, for depth, balance and measure of a state; mathtext."""
    D = state.depth
    if state.start:
        return (
            r"$\dot W_l=-\partial L/\partial W_l$, integrated;    $I_{ij}=-g_i\cdot g_j$, $g$: gradients of the losses"
        )
    motion = _STRENGTH.get(D, rf"$\dot a_k={D}\,a_k^{{2-2/{D}}}(s_k-c\,a_k)$")
    if state.lam != 0:
        motion = r"$\dot a_k=\sqrt{\lambda^2+4a_k^2}\,(s_k-c\,a_k)$"
    return motion + r",  $e_k=s_k-c\,a_k$;    " + _influence(state)


def _influence(state: ExplorerState) -> str:
    D = state.depth
    if state.measure != gradient_kernel.name:
        return MEASURES[state.measure].formula
    if D == 1:
        return rf"$I_{{ij}}=-P^2\,\delta_{{ij}}\sum_k e_k^2\,{_PAIR}$,   $H^k_{{ij}}=v_{{ki}}v_{{kj}}$"
    if D == 2:
        inner = "w_{1k}^2" if state.lam != 0 else "a_k"
        return (
            rf"$I_{{ij}}=-P^2\,(\sum_k e_k^2\,{_PAIR})\,(\sum_k {inner}\,{_PAIR})$,   "
            r"$H^k_{ij}=v_{ki}v_{kj}$,  $i\neq j$"
        )
    return (
        rf"$I_{{ij}}=-P^2\sum_{{l=2}}^{{{D}}}(\sum_k a_k^{{2({D}-l)/{D}}}e_k^2\,{_PAIR})"
        rf"(\sum_k a_k^{{2(l-1)/{D}}}\,{_PAIR})$,  $i\neq j$"
    )


#: Pairs whose influence is written out.
_PAIRS = 4


def numbers(state: ExplorerState, scene: Scene, curves: Curves, source: int, targets: tuple[int, ...]) -> str:
    """The same with numbers: the mode that is rising, and the pairs chosen; plain text, quick to draw."""
    t = min(state.time, curves.end)
    groups = scene.groups(width(state, scene))
    a, e = curves.at(curves.strengths, t), curves.at(curves.residuals, t)
    # The mode in the news: the learned one nearest to half of its final strength.
    rising = int(np.argmin(np.where(groups.learned, np.abs(scene.c * a / groups.s - 0.5), np.inf)))
    i, *names = (text(scene.task.items[k], 14) for k in (source, *targets))
    mode = (
        f"t = {t:.4g}:  {groups.names[rising]}  s = {_n(groups.s[rising])}, c = {_n(scene.c)}, "
        f"a = {_n(a[rising])}, e = {_n(e[rising])};    "
    )
    if scene.unit != 1:
        mode = f"table in units of {scene.unit:g};  {mode}"
    matrix = curves.matrix(t)
    pairs = [f"I({i} → {j}) = {_n(matrix[source, k])}" for j, k in zip(names, targets, strict=True)]
    target = targets[0]
    if (
        state.measure == gradient_kernel.name
        and state.depth == 2
        and targets != (source,)
        and len(targets) == 1
        and not state.start
    ):
        H, P = groups.projectors[:, source, target], scene.task.n_items
        errors, inputs = float(e**2 @ H), float(curves.at(curves.first, t) @ H)
        value = _n(-(P**2) * errors * inputs)
        return f"{mode}I({i} → {names[0]}) = −{P}² × ({_n(errors)}) × ({_n(inputs)}) = {value}"
    shown = ", ".join(f"{OPTIONS[name].symbol.split()[-1]} = {value:.4g}" for name, value in state.asked.items())
    extra = f"  ({shown})" if shown else ""
    more = f" and {len(pairs) - _PAIRS} more" if len(pairs) > _PAIRS else ""
    return f"{mode}{',  '.join(pairs[:_PAIRS])}{more}{extra}"


def _n(value: float) -> str:
    return f"{value + 0.0:.3g}".replace("-", "−")  # no negative zero

"""Whether the deviation of simulation from theory is the one to expect: from the step size, or by chance.

In modes a step of training is known exactly: layer l of a mode goes from w_l to

    w_l + eta (s - c prod_k w_k) prod_{k != l} w_k,

so what a step size does to strengths and kernels is known without the curves that are judged: training in steps of eta
minus training in steps of eta/2, twice, is the deviation from the flow to first order. What is left of the deviation
after that has no excuse. Measures that add up over the whole history inherit the kernel's deviation at every step,
magnified by the rest of training: up to four times as much is put down to the step, as in `workbench compare`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.explorer.model import Curves, by_group, curves_at, kernel_in_groups, start_of, width
from workbench.explorer.scene import Scene
from workbench.explorer.simulate import Simulated
from workbench.explorer.state import ExplorerState
from workbench.influence import gradient_kernel
from workbench.theory.modes.groups import ModeGroups
from workbench.theory.modes.unbalanced_weights import initial_pair

Array = NDArray[np.float64]

#: Rounding, and the next thing that could be seen, as parts of the largest influence.
_NOTHING = 1e-3
#: Part of the kernel's deviation that a measure of the whole history may show, and of the predicted one.
_HISTORY, _STEPPED = 4.0, 1.2
#: Part of the largest value from which a deviation is no detail, even if the step explains it.
_FAR_OFF = 0.1
#: Standard errors that one of many values may be off: with few chains the errors themselves are uncertain.
_FAR = 6.0


@dataclass(frozen=True)
class Verdict:
    """One line, whether what it says is to be expected, and whether the circles are far from the lines all the same."""

    line: str
    expected: bool
    far: bool = False


def at_checkpoints(state: ExplorerState, scene: Scene, simulated: Simulated) -> Curves:
    """What theory predicts at the very times: a line between points of the curves can be further off than a step."""
    return curves_at(state, scene, simulated.times, simulated.influence_times)


def verdict(state: ExplorerState, scene: Scene, simulated: Simulated, curves: Curves) -> Verdict:
    """Largest deviation of simulation from theory `at_checkpoints`, and whether step size or chance explain it."""
    if state.activation != "linear":
        return _nonlinear(state, simulated, curves)
    finite = np.isfinite(simulated.strengths).all() and np.isfinite(simulated.influence).all()
    if not finite or simulated.eta > _longest_step(state, scene):
        return _too_long(state, scene)
    theory = np.stack([curves.matrix(t) for t in simulated.influence_times])
    a = np.stack([curves.at(curves.strengths, t) for t in simulated.times])
    largest = float(np.abs(a).max())
    strengths = float(np.abs(simulated.strengths - a).max()) / largest
    groups = scene.groups(width(state, scene))
    coarse, fine = (_stepped(state, scene, groups, simulated, halved) for halved in (1, 2))
    if not np.isfinite(coarse[0]).all():
        return _too_long(state, scene)
    known = _STEPPED * 2 * float(np.abs(coarse[0] - fine[0]).max()) / largest + _NOTHING
    modes_fit = strengths <= known
    if simulated.stderr is not None:
        return _sampled(simulated, theory, strengths, modes_fit)
    off = ~np.eye(theory.shape[1], dtype=bool)
    none = not np.abs(theory[:, off]).max() > 0
    part = np.ones_like(off) if none else off
    size = float(np.abs(theory[:, part]).max())
    deviation = float(np.abs(simulated.influence - theory)[:, part].max()) / size
    kernel = np.abs(coarse[1] - fine[1])[:, part]
    inherited = 2 * float(kernel.max()) / float(np.abs(fine[1])[:, part].max())
    factor = _STEPPED if state.measure == gradient_kernel.name else _HISTORY
    explained = modes_fit and deviation <= factor * inherited + 5 * _NOTHING
    reason = (
        f"as a step of {simulated.eta:.3g} makes it"
        if explained
        else f"more than a step of {simulated.eta:.3g} explains"
    )
    return Verdict(
        f"off by up to {_percent(deviation)} of the largest influence, strengths {_percent(strengths)}: {reason}",
        explained,
        far=max(deviation, strengths) > _FAR_OFF,
    )


def _nonlinear(state: ExplorerState, simulated: Simulated, curves: Curves) -> Verdict:
    """How far theory reaches where it makes no claim."""
    theory = np.stack([curves.matrix(t) for t in simulated.influence_times])
    off = ~np.eye(theory.shape[1], dtype=bool)
    one, other = theory[:, off].ravel(), simulated.influence[:, off].ravel()
    if not np.isfinite(other).all():
        return Verdict(f"training of the {state.activation} network diverges; use a smaller step size", False)
    r = float(np.corrcoef(one, other)[0, 1]) if one.std() > 0 and other.std() > 0 else 0.0
    return Verdict(
        f"a {state.activation} network from the same first weights; the lines are the linear network's: influence of "
        f"items on others correlates with theirs at {r:.2f}, no agreement is claimed",
        True,
    )


def _percent(part: float) -> str:
    return f"{100 * part:.2g} %" if part < 10 else "more than 1000 %"


def _longest_step(state: ExplorerState, scene: Scene) -> float:
    """The step below which gradient descent settles: 2 over the curvature of the strongest mode where it is learned.

    That is c times the sum over layers of the squared product of the other layers' weights.
    """
    a, D = float(scene.modes.s[0]) / scene.c, state.depth
    return 2 / (scene.c * (float(np.hypot(state.lam, 2 * a)) if D == 2 else D * a ** (2 - 2 / D)))


def _too_long(state: ExplorerState, scene: Scene) -> Verdict:
    return Verdict(
        f"training diverges: with steps of {state.eta:.3g} it cannot settle; gradient descent is stable below "
        f"2 / (largest curvature) = {_longest_step(state, scene):.3g}",
        False,
    )


def _sampled(simulated: Simulated, theory: Array, strengths: float, modes_fit: bool) -> Verdict:
    assert simulated.stderr is not None
    # At t = 0 and late in training a standard error may vanish with the covariance itself.
    z = np.abs(simulated.influence - theory) / np.maximum(simulated.stderr, 1e-12 * np.abs(theory).max())
    chance = np.sqrt(2 * np.log(z.size))
    fits = modes_fit and float(z.max()) <= _FAR
    why = "" if fits else ": more than chance explains" if modes_fit else ": more than the step explains"
    off = ~np.eye(theory.shape[1], dtype=bool)
    noise = float(np.sqrt((simulated.stderr[:, off] ** 2).mean()) / max(np.sqrt((theory[:, off] ** 2).mean()), 1e-300))
    noisy = f"; between items the error is {_percent(noise)} of the influence, noise" if noise > 0.3 else ""
    return Verdict(
        f"off by at most {z.max():.1f} standard errors among {z.size} values (about {chance:.1f} by chance), "
        f"strengths {_percent(strengths)}{why}{noisy}",
        fits,
    )


def _stepped(
    state: ExplorerState, scene: Scene, groups: ModeGroups, simulated: Simulated, halved: int
) -> tuple[Array, Array]:
    """Strengths ``(T, G)`` and influence by the kernel ``(T, P, P)`` of training in steps, at the checkpoints.

    Each step of the simulation is made in ``halved`` parts.
    """
    if state.start:
        return _trained(state, scene, groups, simulated, halved)
    return _in_modes(state, scene, groups, simulated, halved)


def _trained(
    state: ExplorerState, scene: Scene, groups: ModeGroups, simulated: Simulated, halved: int
) -> tuple[Array, Array]:
    """From a random start modes mix, so that the network itself is trained again."""
    from workbench import simulation

    steps = halved * np.rint(simulated.times / simulated.eta).astype(int)
    schedule = simulation.Schedule(simulated.eta / halved, tuple(int(n) for n in steps))
    run = simulation.train(start_of(state, scene), schedule)
    return by_group(run.mode_strengths, groups), simulation.gradient_kernel(run)


def _in_modes(
    state: ExplorerState, scene: Scene, groups: ModeGroups, simulated: Simulated, halved: int
) -> tuple[Array, Array]:
    """In modes, where a start is aligned."""
    c, D, s = scene.c, state.depth, groups.s
    if D == 2:
        w1, w2 = initial_pair(state.a0, state.lam)
        w = np.array([[float(w1)], [float(w2)]]) * groups.learned
    else:
        w = np.full((D, 1), state.a0 ** (1 / D)) * (groups.learned if D > 1 else np.ones(len(s)))
    at, eta = halved * np.rint(simulated.times / simulated.eta).astype(int), simulated.eta / halved
    layers = np.empty((len(at), *w.shape))
    step = 0
    with np.errstate(all="ignore"):  # where it diverges, the caller says so
        for k, last in enumerate(at):
            while step < last:
                error = s - c * w.prod(axis=0)
                others = w[::-1] if D == 2 else w ** (D - 1)
                w = w + eta * error * others
                step += 1
            layers[k] = w
        a = layers.prod(axis=1)
        e = s - c * a
        kernel = kernel_in_groups(D, scene.task.n_items, groups, e, a, layers[:, 0] ** 2, layers[:, -1] ** 2)
    return a, kernel

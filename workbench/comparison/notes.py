"""What the user should know about a task, a width and a last time before trusting a number."""

from __future__ import annotations

import numpy as np

from workbench.errors import counted
from workbench.networks import Network
from workbench.semantics import SemanticTask
from workbench.semantics.modes import RANK_TOLERANCE
from workbench.theory import half_rise_times

#: Singular values of columns of one size that are larger are no rounding.
_RANK_OF_COLUMNS = 1e-9


def notes_on_task(network: Network, t_max: float) -> list[str]:
    """One line each, of modes that no curve shows and of items that differ in nothing."""
    return [
        *_on_header(network),
        *_on_inputs(network),
        *_on_width(network),
        *_on_start(network),
        *_on_last_time(network, t_max),
        *_on_rank(network),
    ]


def _on_header(network: Network) -> list[str]:
    if not all(_is_number(name) for name in network.task.properties):
        return []
    return ["all property names are numbers: if the table has no header, its first item was taken for one"]


def _on_inputs(network: Network) -> list[str]:
    if network.task.input_scale is not None:
        return []
    return [
        "the inputs are neither orthogonal nor of equal length: modes are those of the outputs, half-rise times and "
        "the last time a guess (`t_max` sets it); influence and losses are those of the inputs as they are"
    ]


def _on_width(network: Network) -> list[str]:
    modes, hidden = network.modes, network.hidden
    if hidden >= modes.rank or network.activation != "linear":
        return []
    lost = float((modes.s[hidden:] ** 2).sum() / (modes.s**2).sum())
    unlearned = modes.rank - hidden
    weakest = "the weakest is" if unlearned == 1 else f"the {unlearned} weakest are"
    notes = [
        f"{counted(hidden, 'hidden unit')} for {counted(modes.rank, 'mode')}: {weakest} never learned "
        f"({100 * lost:.2g}% of the learnable loss remains)"
    ]
    if network.active is not None and modes.s[hidden - 1] - modes.s[hidden] <= 1e-9 * modes.s[0]:
        notes.append("the cut falls between modes of equal strength: which of them are learned is a choice of basis")
    return notes


def _on_start(network: Network) -> list[str]:
    """Modes of an aligned start that are so weak that they start above half of their final strength."""
    if network.active is None or network.a0 is None:
        return []
    final = network.modes.s[: network.active] / network.modes.c
    weak = final[final <= 2 * network.a0]
    if not len(weak):
        return []
    sizes = f"{weak.min():.2g}" if np.ptp(weak) < 0.01 * weak.max() else f"{weak.min():.2g} to {weak.max():.2g}"
    return [
        f"{len(weak)} of {counted(len(final), 'mode')} {'starts' if len(weak) == 1 else 'start'} at {network.a0:g}, "
        f"above half of the final strength ({sizes}): no curve shows {'it' if len(weak) == 1 else 'them'} rise; "
        f"with `init` balanced:{_digits_down(weak.min() / 10):g} and a longer `t_max` one does"
    ]


def _digits_down(x: float) -> float:
    """To one digit, from below."""
    unit = 10.0 ** np.floor(np.log10(x))
    return float(np.floor(x / unit) * unit)


def _on_last_time(network: Network, t_max: float) -> list[str]:
    """How many of the modes that will be learned are half learned at the last time, and which time would show all.

    With two layers a mode of singular value s rises from half to 95% of its final strength in ``ln(19) / (2 s)``.
    """
    K = min(network.hidden, network.modes.rank)
    rises, s = half_rise_times(network)[:K], network.modes.s[:K]
    rising = np.isfinite(rises)
    if network.activation != "linear" or not rising.any() or (rises[rising] <= t_max).all():
        return []
    learned = K - int((rises[rising] > t_max).sum())
    said = (
        f"{learned} of {counted(K, 'mode')} {'is' if learned == 1 else 'are'} half learned by the last time "
        f"{t_max:.3g} (half-rise times {rises[rising].min():.2g} to {rises[rising].max():.3g})"
    )
    remedy = "`centre` or `standardise` brings columns of unlike size together"
    if network.depth != 2:
        return [f"{said}; a larger `t_max` shows more, and {remedy}"]
    complete = float((rises + np.log(19) / (2 * s))[rising].max())
    return [f"{said}; `t_max` {_rounded_up(complete):g} shows all of them, and {remedy}"]


def _rounded_up(t: float) -> float:
    """To two digits."""
    unit = 10.0 ** (np.floor(np.log10(t)) - 1)
    return float(np.ceil(t / unit) * unit)


def _on_rank(network: Network) -> list[str]:
    modes, task = network.modes, network.task
    if modes.rank == modes.n_items:
        return []
    own = _independent_columns(task)
    if own > modes.rank:
        return [
            f"{counted(modes.rank, 'mode')} of {own} can be told from rounding: the others are below "
            f"{RANK_TOLERANCE:g} of the strongest, and what is theirs alone is not learned; `standardise` brings "
            "columns of unlike size together"
        ]
    if modes.rank == task.n_outputs:
        why = f"a table of {counted(task.n_outputs, 'property', 'properties')} has no more"
    elif modes.rank == modes.n_items - 1 and np.abs(task.Y.sum(axis=1)).max() <= 1e-9 * np.abs(task.Y).max():
        why = "what all items share was taken away by centring"
    else:
        why = "repeated or dependent rows"
    return [f"the {modes.n_items} items span {counted(modes.rank, 'mode')} ({why}); the rest has nothing to learn"]


def _independent_columns(task: SemanticTask) -> int:
    """Rank of the table with every property brought to one size."""
    size = np.abs(task.Y).max(axis=1)
    return int(np.linalg.matrix_rank(task.Y[size > 0] / size[size > 0, None], tol=_RANK_OF_COLUMNS))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

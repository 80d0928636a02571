"""First weights of the networks: aligned with the modes, or random."""

from __future__ import annotations

from typing import Any

from workbench.errors import WorkbenchError

#: With the names on the menu. Of random weights there is no formula mode by mode: theory is the flow, integrated.
STARTS = {"": "aligned with modes", "gaussian": "random (Gaussian)"}
#: Panels that draw what layers do mode by mode.
_ALIGNED = {"representation", "factors", "measures"}


def check_start(state: Any) -> None:
    """Refuse what a random start does not go with: of it theory knows the flow, and what follows from its weights."""
    plain = state.measure == "gradient_kernel" and state.lam == 0 and state.activation == "linear"
    if state.start and not (plain and _ALIGNED.isdisjoint(state.panels)):
        raise WorkbenchError(
            "a random start goes with the gradient kernel, λ = 0, linear activation and panels that need no aligned "
            "modes (not hidden representation, two factors, all measures); choose these, or the aligned start"
        )


def deviation(a0: float, hidden: int, depth: int) -> float:
    """Standard deviation sigma of normal weights whose modes have the root mean square strength ``a0``.

    A strength is a sum of ``N_h^(D-1)`` products of D weights: its variance is ``N_h^(D-1) sigma^(2D)``.
    """
    return float((a0 / hidden ** ((depth - 1) / 2)) ** (1 / depth))

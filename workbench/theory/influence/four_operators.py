"""The same amplitudes of a pair of modes, followed through four measures of influence.

For a pair of modes and a sign, with ``eps_+- = e_a +- e_b``, direction j and curvature ``B_+-`` (`pair_blocks`), every
measure has the term ``-(P^2/2) v_ai v_bi v_aj v_bj sum_+- F_+-`` (`four_measures_form`), where F is

    gradient kernel          eps^2 j.j
    damped Newton            eps^2 j^T (B + damping)^{-1} j
    local BIF, first order   eps^2 j^T (n beta B + gamma)^{-1} j
    trajectory derivative    eps(t) int_0^t Psi(t, u) (j.j)(u) eps(u) du

What is being learned, eps, they share; between stands nothing, the curvature now, or all of the past.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.networks import Network
from workbench.theory.flow.aligned import mode_strengths
from workbench.theory.influence.mode_transport import pair_responses
from workbench.theory.posterior.pair_blocks import aligned_state, pair_blocks, path_gain

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PairThroughMeasures:
    """A pair of modes over time; the last axis is the sign, + first.

    Attributes:
        times: ``(T,)``.
        amplitude: ``(T, 2)`` eps_+-.
        terms: ``(T, 2)`` F_+- of each measure, by its name.
    """

    times: Array
    amplitude: Array
    terms: Mapping[str, Array]


def pair_through_measures(
    network: Network, times: Array, pair: tuple[int, int], *, damping: float, n_beta: float, gamma: float
) -> PairThroughMeasures:
    """``F_+-`` of two modes, by number, of an aligned network at ``(T,)`` flow times.

    damping, n_beta and gamma are those of the measures, and must exceed what the curvature asks for.
    """
    assert network.active is not None and network.a0 is not None
    modes, D = network.modes, network.depth
    state = aligned_state(modes, mode_strengths(network, times), network.active, D)
    a, b = (state.groups.of_mode[[k]] for k in pair)
    e = state.e[:, [a[0], b[0]]]
    amplitude = np.stack([e[:, 0] + e[:, 1], e[:, 0] - e[:, 1]], axis=1)
    j = path_gain(state.w[:, a], state.w[:, b], D, D)[:, 0]
    B = np.stack([block[:, 0] for block in pair_blocks(state, a, b)], axis=1)

    def between(precision: Array) -> Array:
        return np.asarray(amplitude**2 * np.einsum("tk,tskl,tl->ts", j, np.linalg.inv(precision), j))

    x, _ = pair_responses(modes.s[list(pair)], np.full(2, network.a0), times, c=modes.c, depth=D)
    carried = np.stack([x[:, 0, 1] + x[:, 1, 0], x[:, 0, 1] - x[:, 1, 0]], axis=1)
    eye = np.eye(D)
    terms = {
        "gradient_kernel": amplitude**2 * (j**2).sum(axis=1)[:, None],
        "damped_newton": between(B + damping * eye),
        "local_bif": between(n_beta * B + gamma * eye),
        "trajectory_derivative": amplitude * carried,
    }
    return PairThroughMeasures(times, amplitude, terms)

"""Window removal against an explicit piecewise integration, and where first order is and is not enough."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from workbench.errors import ConditionError, WorkbenchError
from workbench.networks import network
from workbench.semantics import task_from_spec
from workbench.theory.flow.weighted_flow import weighted_flow
from workbench.theory.influence.leave_one_out import leave_one_out
from workbench.theory.influence.trajectory_derivative import trajectory_derivative
from workbench.theory.influence.window_removal import window_removal

TREE = task_from_spec("tree")
TIMES = np.array([0.0, 2.0, 5.0, 8.0, 12.0, 25.0])
STARTS = {
    "aligned": lambda: network(task_from_spec("tree:2,2"), 5, "balanced:0.01"),
    "gaussian": lambda: network(task_from_spec("tree:3"), 4, "gaussian:0.3"),
}


def explicit_window(start, times, window, removed, total):
    """Losses of a run without ``removed`` in the window; the others weigh ``P/total`` there."""
    task, (h, n_in), P = start.task, start.W1.shape, start.task.n_items
    kept = np.full(P, P / total)
    kept[removed] = 0.0

    def layers(w):
        return w[: h * n_in].reshape(h, n_in), w[h * n_in :].reshape(-1, h)

    def rate(_, w, weights):
        W1, W2 = layers(w)
        E = (task.Y - W2 @ W1 @ task.X) * weights @ task.X.T / P
        return np.concatenate([(W2.T @ E).ravel(), (E @ W1.T).ravel()])

    w, losses = np.concatenate([start.W1.ravel(), start.W2.ravel()]), np.empty((len(times), P))
    edges = [(0.0, window[0], np.ones(P)), (*window, kept), (window[1], 1 + times[-1], np.ones(P))]
    for begin, end, weights in edges:
        solved = solve_ivp(
            rate, (begin, end), w, method="DOP853", args=(weights,), dense_output=True, rtol=1e-11, atol=1e-13
        )
        for k in np.flatnonzero((times >= begin) & (times <= end)):
            W1, W2 = layers(solved.sol(times[k]))
            losses[k] = 0.5 * ((task.Y - W2 @ W1 @ task.X) ** 2).sum(axis=0)
        w = solved.y[:, -1]
    return losses


@pytest.mark.parametrize("convention", ["unnormalised", "renormalised"])
@pytest.mark.parametrize("name", STARTS)
def test_removal_in_a_window_equals_an_explicit_piecewise_integration(name, convention):
    start, window = STARTS[name](), (4.0, 10.0)
    P = start.task.n_items
    total = P if convention == "unnormalised" else P - 1
    without = np.stack([explicit_window(start, TIMES, window, i, total) for i in range(P)], axis=1)
    together = weighted_flow(start, TIMES, np.ones(P), rtol=1e-11)
    removal = window_removal(start, TIMES, [window], convention=convention, rtol=1e-11)[0]
    np.testing.assert_allclose(removal, together - without, atol=1e-8 * np.abs(without).max())


@pytest.mark.parametrize("convention", ["unnormalised", "renormalised"])
def test_the_window_over_all_of_training_is_leave_one_out(convention):
    start = STARTS["gaussian"]()
    removal = window_removal(start, TIMES, [(0.0, np.inf)], convention=convention, rtol=1e-11)[0]
    exact = leave_one_out(start, TIMES, convention=convention, rtol=1e-11)
    np.testing.assert_allclose(removal, exact, atol=1e-9)


@pytest.mark.parametrize("method", ["finite", "first_order"])
def test_nothing_happens_before_the_window_opens_or_if_it_is_empty(method):
    removal = window_removal(STARTS["aligned"](), TIMES, [(5.0, 9.0), (3.0, 3.0)], method=method)
    assert not removal[0, :3].any() and not removal[1].any() and removal[0, 3:].any()


@pytest.mark.parametrize("convention", ["unnormalised", "renormalised"])
@pytest.mark.parametrize("name", STARTS)
def test_first_order_is_the_limit_of_short_windows_with_error_of_second_order(name, convention):
    start = STARTS[name]()
    errors = []
    for width in (0.4, 0.04, 0.004):
        windows = [(4.0, 4.0 + width)]
        finite = window_removal(start, TIMES, windows, convention=convention, rtol=1e-12)
        first = window_removal(start, TIMES, windows, method="first_order", convention=convention, rtol=1e-12)
        errors.append(np.abs(finite - first).max())
    # Second order in the width of the window; the last one meets the integrator's tolerance.
    assert errors[1] < 0.02 * errors[0] and errors[2] < 0.02 * errors[1] + 1e-10


@pytest.mark.parametrize("name", STARTS)
def test_to_first_order_adjoining_windows_add_up(name):
    start = STARTS[name]()
    parts = window_removal(start, TIMES, [(0, 3), (3, 9), (9, 25), (0, 25)], method="first_order", rtol=1e-11)
    np.testing.assert_allclose(parts[:3].sum(axis=0), parts[3], atol=1e-9)


#: Relative Frobenius error of first order against retraining, 8-item tree, a0 = 0.01.
PUBLISHED = {
    (-0.1, 3.0): 0.06, (-0.1, 13.0): 0.12, (-0.1, 25.0): 0.35, (-0.5, 3.0): 0.31, (-0.5, 8.0): 0.10,
    (-0.5, 18.0): 0.64, (-1.0, 3.0): 0.66, (-1.0, 8.0): 0.15, (-1.0, 13.0): 0.63, (-1.0, 25.0): 0.97,
}  # fmt: skip


def test_first_order_misses_finite_reweighting_by_the_published_amounts():
    start = network(TREE, 8, "balanced:0.01")
    base = {}
    for (x, t), published in PUBLISHED.items():
        base.setdefault(t, weighted_flow(start, [t], np.ones(8), rtol=1e-11)[0])
        actual = weighted_flow(start, [t], 1 + x * np.eye(8), rtol=1e-11)[0] - base[t]
        predicted = x / 8 * trajectory_derivative(start.modes, [t], a0=0.01)[0]
        # Published to two decimals.
        assert np.linalg.norm(actual - predicted) / np.linalg.norm(actual) == pytest.approx(published, abs=0.0051)


def test_leave_one_out_is_anticorrelated_with_its_first_order_late_in_training():
    start, off = network(TREE, 8, "balanced:0.01"), ~np.eye(8, dtype=bool)
    exact = leave_one_out(start, [3.0, 13.0, 25.0])[:, off]
    first = trajectory_derivative(start.modes, [3.0, 13.0, 25.0], a0=0.01)[:, off] / 8
    correlations = [np.corrcoef(a, b)[0, 1] for a, b in zip(exact, first, strict=True)]
    np.testing.assert_allclose(correlations, [1.00, -0.98, -1.00], atol=0.0051)


def test_wrong_windows_and_names_are_refused():
    start = STARTS["aligned"]()
    with pytest.raises(ConditionError, match="t0 <= t1"):
        window_removal(start, TIMES, [(5.0, 2.0)])
    with pytest.raises(WorkbenchError, match="method 'linear'"):
        window_removal(start, TIMES, [(0.0, 2.0)], method="linear")
    with pytest.raises(WorkbenchError, match="convention 'mean'"):
        window_removal(start, TIMES, [(0.0, 2.0)], convention="mean")

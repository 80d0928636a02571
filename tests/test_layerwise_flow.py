"""The integrated flow of any start, any depth and any inputs against an explicit integration of every weight."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from workbench import theory
from workbench.networks import network
from workbench.semantics import SemanticTask, task_from_spec
from workbench.theory.flow.predict import predict, route
from workbench.theory.flow.weighted_flow import layerwise_flow, weighted_flow
from workbench.theory.influence.sensitivity_flow import trajectory_derivative_from_start

TIMES = np.array([0.0, 2.0, 7.0, 13.0])


def correlated_inputs():
    """Five items in three input dimensions, of unequal length and not orthogonal."""
    rng = np.random.default_rng(4)
    X, Y = rng.standard_normal((3, 5)), rng.standard_normal((4, 5))
    return SemanticTask("correlated", tuple("abcde"), tuple("wxyz"), Y, X=X)


STARTS = {
    "one layer": lambda: network(task_from_spec("tree:2,2"), depth=1, init="gaussian:0.3"),
    "two layers, gaussian": lambda: network(task_from_spec("tree:2,2"), 5, "gaussian:0.3"),
    "three layers, gaussian": lambda: network(task_from_spec("tree:2,2"), (5, 3), "gaussian:0.4", depth=3),
    "four layers, aligned": lambda: network(task_from_spec("tree:2,2"), 6, "balanced:0.05", depth=4),
    "three layers, correlated inputs": lambda: network(correlated_inputs(), (4, 6), "gaussian:0.4", depth=3),
    "one layer, correlated inputs": lambda: network(correlated_inputs(), depth=1, init="gaussian:0.4"),
}


def explicit_flow(net, times, weights):
    """All weights, by the gradients of ``(1/P) sum_i w_i l_i`` written out layer by layer."""
    task, sizes = net.task, np.cumsum([0, *(W.size for W in net.weights)])

    def rate(_, w):
        layers = [w[i:j].reshape(W.shape) for i, j, W in zip(sizes[:-1], sizes[1:], net.weights, strict=True)]
        hidden = [task.X]
        for W in layers:
            hidden.append(W @ hidden[-1])
        back, out = (task.Y - hidden[-1]) * weights / task.n_items, []
        for W, h in zip(layers[::-1], hidden[-2::-1], strict=True):
            out.append((back @ h.T).ravel())
            back = W.T @ back
        return np.concatenate(out[::-1])

    y = solve_ivp(rate, (0, times[-1]), net.flat, method="DOP853", t_eval=times, rtol=1e-12, atol=1e-14).y
    return [y[i:j].T.reshape(-1, *W.shape) for i, j, W in zip(sizes[:-1], sizes[1:], net.weights, strict=True)]


@pytest.mark.parametrize("name", STARTS)
def test_all_weights_are_those_of_an_explicit_integration(name):
    net = STARTS[name]()
    explicit = explicit_flow(net, TIMES, np.ones(net.task.n_items))
    for ours, theirs in zip(layerwise_flow(net, TIMES, rtol=1e-11), explicit, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


@pytest.mark.parametrize("name", STARTS)
def test_losses_of_any_item_weights_are_those_of_an_explicit_integration(name):
    net = STARTS[name]()
    P = net.task.n_items
    weights = np.vstack([1 - np.eye(P), np.random.default_rng(0).uniform(0, 2, P)])
    losses = weighted_flow(net, TIMES, weights, rtol=1e-11)
    for r, omega in enumerate(weights):
        outputs = net.task.X
        for W in explicit_flow(net, TIMES, omega):
            outputs = W @ outputs
        np.testing.assert_allclose(losses[:, r], 0.5 * ((net.task.Y - outputs) ** 2).sum(axis=1), atol=1e-9)


@pytest.mark.parametrize("name", STARTS)
def test_the_derivative_is_the_limit_of_difference_quotients_at_second_order(name):
    net = STARTS[name]()
    P, t = net.task.n_items, np.array([3.0, 7.0])
    derivative = trajectory_derivative_from_start(net, t, rtol=1e-12)
    gaps = []
    for h in (4e-3, 2e-3):
        change = weighted_flow(net, t, np.vstack([1 + h * np.eye(P), 1 - h * np.eye(P)]), rtol=1e-12)
        gaps.append(np.abs((change[:, :P] - change[:, P:]) / (2 * h) * P - derivative).max())
    np.testing.assert_allclose(gaps[0] / gaps[1], 4, rtol=0.1)


def test_the_route_of_a_prediction_is_a_closed_form_where_there_is_one():
    tree = task_from_spec("tree")
    assert route(network(tree, 8, "balanced:0.01", depth=4)) == "modes"
    assert route(theory.balanced_start(tree, 8, lam=0.3)) == "matrix"
    for net in (network(tree, 8, "gaussian:0.1"), network(tree, 8, "gaussian:0.3", depth=3)):
        assert route(net) == "layers"
        explicit = explicit_flow(net, TIMES, np.ones(8))
        outputs = tree.X
        for W in explicit:
            outputs = W @ outputs
        np.testing.assert_allclose(predict(net, TIMES).outputs, outputs, atol=1e-8)
    assert route(network(correlated_inputs(), 4, "gaussian:0.1")) == "layers"

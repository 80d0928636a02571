"""Two layers of unequal size: the derivative through training by modes, and the start as a user asks for it."""

import numpy as np
import pytest

import workbench
from workbench.errors import ConditionError, WorkbenchError
from workbench.networks import Init, Network, network
from workbench.semantics import task_from_spec
from workbench.theory.flow.exact_solution import exact_solution
from workbench.theory.flow.predict import predict, route
from workbench.theory.flow.unequal_start import unequal_start
from workbench.theory.influence.sensitivity_flow import trajectory_derivative_from_start
from workbench.theory.influence.trajectory_derivative import trajectory_derivative
from workbench.theory.influence.unequal_response import unequal_derivative

TREE = task_from_spec("tree:2,2")
TIMES = np.array([0.0, 1.0, 4.0, 9.0, 14.0])


@pytest.mark.parametrize(("hidden", "window"), [(6, (0.0, np.inf)), (2, (0.0, np.inf)), (4, (1.0, 5.0))])
@pytest.mark.parametrize("lam", [-0.6, 0.25, 4.0])
def test_the_derivative_is_that_of_the_linearised_flow_of_all_weights(hidden, window, lam):
    start = network(TREE, hidden, f"unequal:0.02:{lam}")
    by_flow = trajectory_derivative_from_start(start, TIMES, window=window, rtol=1e-12)
    ours = unequal_derivative(unequal_start(start), TIMES, window=window)
    np.testing.assert_allclose(ours, by_flow, atol=1e-9 * np.abs(by_flow).max())


def test_a_vanishing_imbalance_is_the_balanced_derivative_and_nears_it_quadratically():
    modes = network(TREE, 4, "balanced:0.02").modes
    balanced = trajectory_derivative(modes, TIMES, a0=0.02)
    gaps = [
        np.abs(unequal_derivative(unequal_start(network(TREE, 4, f"unequal:0.02:{lam}")), TIMES) - balanced).max()
        for lam in (2e-3, 1e-3)
    ]
    # Only lambda^2 enters what two layers together do to the product.
    assert gaps[0] / gaps[1] == pytest.approx(4, rel=0.02)


@pytest.mark.parametrize("lam", [-0.6, 0.25, 4.0])
def test_the_trajectory_is_the_exact_matrix_solution(lam):
    start = network(TREE, 4, f"unequal:0.02:{lam}")
    assert route(start) == "unequal"
    path, matrix = predict(start, TIMES), exact_solution(start, TIMES)
    np.testing.assert_allclose(path.outputs, matrix.outputs, atol=1e-12)
    balance = np.swapaxes(path.W2, 1, 2) @ path.W2 - path.W1 @ np.swapaxes(path.W1, 1, 2)
    np.testing.assert_allclose(balance, np.broadcast_to(lam * np.eye(4), balance.shape), atol=1e-11)


def test_only_what_is_aligned_and_has_one_imbalance_is_taken_for_it():
    start = network(TREE, 4, "unequal:0.02:0.5")
    assert unequal_start(start).lam == pytest.approx(0.5)
    turned = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0]
    for layers in (
        (1.001 * start.W1 @ np.diag([1, 1, 2, 1]), start.W2),
        (turned @ start.W1, start.W2),
        (start.W1, start.W2 + 1e-6),
    ):
        assert unequal_start(Network(TREE, layers)) is None
    assert unequal_start(network(TREE, 4, "balanced:0.02")) is None
    assert unequal_start(network(TREE, 4, "gaussian:0.1")) is None


def test_a_start_of_unequal_layers_is_read_written_and_refused_in_one_line():
    assert Init.parse("unequal:0.01:-0.5") == Init("unequal", 0.01, -0.5)
    assert str(Init.parse("unequal:0.01:-0.5")) == "unequal:0.01:-0.5"
    for text in ("unequal", "unequal:0.01", "unequal:0.01:x", "unequal:0.01:0", "balanced:0.01:1"):
        with pytest.raises(WorkbenchError, match="balanced:"):
            Init.parse(text)
    with pytest.raises(ConditionError, match="depth 2"):
        network(TREE, 4, "unequal:0.01:1", depth=3)


def test_a_comparison_from_unequal_layers_nears_its_prediction_linearly_in_the_learning_rate():
    errors = []
    for eta in (0.02, 0.01):
        settings = workbench.Settings(
            init="unequal:0.02:0.5", hidden=6, checkpoints=5, t_max=8.0, eta=eta, measures=("trajectory_derivative",)
        )
        ds = workbench.compare(TREE, settings).dataset
        gap = ds["trajectory_derivative_simulated"].values - ds["trajectory_derivative_analytic"].values
        errors.append(float(np.abs(gap).max()))
    assert ds.attrs["predicted_by"] == "closed form of every mode of unequal layers"
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)

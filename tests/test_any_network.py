"""One comparison for every network: closed forms where they hold, else the simulated side alone, with the reason."""

from __future__ import annotations

import json

import numpy as np
import pytest

import workbench
from workbench.agreement import Ruling
from workbench.comparison import Settings, compare
from workbench.comparison.training import init_of
from workbench.errors import ConditionError, WorkbenchError
from workbench.influence import MEASURES
from workbench.networks import network
from workbench.semantics import task_from_spec

TASK = task_from_spec("tree:2,2")
QUICK = {"checkpoints": 6, "hidden": 6, "t_max": 9.0}
THROUGH = ("gradient_kernel", "leave_one_out", "trajectory_derivative")


def off_diagonal_errors(ds) -> dict[str, float]:
    off = ~np.eye(ds.sizes["source"], dtype=bool)
    errors = {}
    for name in THROUGH:
        theory, trained = (ds[f"{name}_{side}"].values[:, off] for side in ("analytic", "simulated"))
        errors[name] = float(np.linalg.norm(trained - theory) / np.linalg.norm(theory))
    return errors


@pytest.mark.parametrize("init", ["balanced:0.05", "gaussian:0.3"])
def test_three_layers_approach_their_prediction_linearly_in_the_learning_rate(init):
    coarse, fine = (
        off_diagonal_errors(compare(TASK, Settings(**QUICK, depth=3, init=init, eta=eta, measures=THROUGH)).dataset)
        for eta in (0.02, 0.01)
    )
    for name in THROUGH:
        # First order in eta, with the next order beside it.
        assert coarse[name] / fine[name] == pytest.approx(2, rel=0.2), name


def test_a_deep_aligned_network_is_predicted_by_every_measure_and_every_prediction_is_judged():
    through = tuple(name for name in MEASURES if name != "local_bif")
    done = compare(TASK, Settings(**QUICK, depth=3, eta=0.02, measures=through))
    assert all(f"{name}_analytic" in done.dataset for name in through)
    assert "a0" not in done.dataset.attrs and done.dataset.attrs["initial_strength"] == 0.01
    judged = {v.key: v for v in done.verdicts()}
    assert {"mode_strengths", "loss", *through} <= set(judged)
    assert all(judged[key].ruling is Ruling.HOLDS and judged[key].power < 0.1 for key in through)
    assert done.events()["closed_form"].isna().all()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_other_activations_have_the_simulated_side_alone_and_say_why(activation):
    settings = Settings(**QUICK, activation=activation, eta=0.02, draws=80, measures=tuple(MEASURES))
    done = compare(TASK, settings)
    ds = done.dataset
    assert not [name for name in ds.data_vars if str(name).endswith("_analytic")]
    assert all(f"{name}_simulated" in ds for name in MEASURES)
    reasons = json.loads(ds.attrs["not_predicted"])
    assert set(reasons) == set(MEASURES) and all(activation in reason for reason in reasons.values())
    judged = {v.key: v for v in done.verdicts()}
    assert all(judged[name].ruling is Ruling.NOT_CLAIMED and activation in judged[name].reason for name in MEASURES)
    # What is not predicted is measured: tanh is odd and nearly linear where weights are small.
    assert float(ds["loss_simulated"][-1]) < 0.9 * float(ds["loss_simulated"][0])


def test_a_tanh_network_approaches_the_linear_one_quadratically_in_the_size_of_its_weights():
    differences = []
    for sigma in (0.02, 0.01):
        begin = QUICK | {"t_max": 0.5, "init": f"gaussian:{sigma}", "eta": 0.01, "measures": ("gradient_kernel",)}
        linear, curved = (compare(TASK, Settings(**begin, activation=kind)).dataset for kind in ("linear", "tanh"))
        a, b = (ds["gradient_kernel_simulated"].values for ds in (linear, curved))
        differences.append(float(np.linalg.norm(b - a) / np.linalg.norm(a)))
    # tanh x = x (1 - x^2 / 3 + ...).
    assert differences[0] / differences[1] == pytest.approx(4, rel=0.05)


def test_adam_follows_no_flow_and_is_not_predicted():
    done = compare(TASK, Settings(checkpoints=6, hidden=6, optimizer="adam", measures=("gradient_kernel",)))
    assert "gradient_kernel_analytic" not in done.dataset
    assert any("Adam follow no gradient flow" in note for note in done.notes)
    assert float(done.dataset["loss_simulated"][-1]) < 1e-3 * float(done.dataset["loss_simulated"][0])


@pytest.mark.parametrize("changes", [{"optimizer": "momentum"}, {"train_batch": 2}])
def test_momentum_and_mini_batches_approach_the_flow_and_claim_no_error_bar(changes):
    errors = []
    for eta in (0.01, 0.005):
        done = compare(TASK, Settings(**QUICK, **changes, eta=eta, measures=THROUGH))
        errors.append(off_diagonal_errors(done.dataset)["gradient_kernel"])
        assert all(v.ruling is Ruling.NOT_CLAIMED for v in done.verdicts())
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.35)


def test_chains_around_a_network_trained_by_momentum_are_judged_by_their_agreement_alone():
    done = compare(TASK, Settings(**QUICK, optimizer="momentum", eta=0.02, draws=80, measures=("local_bif",)))
    rulings = {v.key: v.ruling for v in done.verdicts()}
    assert rulings.pop("chains_agree") is Ruling.HOLDS
    assert len(rulings) > 2 and set(rulings.values()) == {Ruling.NOT_CLAIMED}


def test_leave_one_out_is_retrained_by_the_rule_of_the_training():
    settings = Settings(**QUICK, optimizer="momentum", train_batch=2, eta=0.02, measures=("leave_one_out",))
    ds = compare(TASK, settings).dataset
    from workbench.simulation import Momentum, Recipe, Schedule, leave_one_out_weights, retrained_losses

    recipe = Recipe(Schedule.at(ds["time"].values, ds.attrs["eta"]), Momentum(), 2, 0)
    start = network(TASK, 6, "balanced:0.01")
    runs = np.vstack([np.ones(4), leave_one_out_weights(4, "unnormalised")])
    losses = retrained_losses(start, recipe, runs)
    np.testing.assert_array_equal(ds["leave_one_out_simulated"].values, losses[:, :1] - losses[:, 1:])


def test_the_automatic_start_of_other_activations_has_a_map_of_the_usual_strength():
    settings = Settings(activation="tanh", depth=3, hidden=64)
    start = network(TASK, 64, init_of(TASK, settings), depth=3)
    final = float(start.modes.s[0] / start.modes.c)
    strength = workbench.theory.initial_strengths(start)[0]
    assert 0.001 < strength < 0.05 < final


def test_a_measure_called_where_theory_does_not_know_it_says_so():
    deep = network(TASK, 40, "gaussian:0.1", depth=3)
    predicted = workbench.predict(deep, [0.0, 1.0])
    assert workbench.gradient_kernel(predicted).shape == (2, 4, 4)
    with pytest.raises(ConditionError, match="known for aligned networks"):
        workbench.local_bif(predicted)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 0}, "`depth` 0; a network has at least 1 layer"),
        ({"train_batch": 0}, "`train_batch` 0; give 1 item or more"),
        ({"activation": "gelu"}, "activation 'gelu' is unknown; use linear, relu, tanh"),
        ({"optimizer": "sgd"}, "optimizer 'sgd' is unknown; use gd, momentum, adam"),
    ],
)
def test_impossible_networks_are_refused_in_one_line(settings, message):
    with pytest.raises(WorkbenchError, match=message):
        Settings(**settings)


def test_a_balanced_start_of_a_relu_network_and_a_batch_of_too_many_items_are_refused():
    with pytest.raises(WorkbenchError, match="use gaussian:sigma"):
        compare(TASK, Settings(activation="relu", init="balanced:0.01"))
    with pytest.raises(WorkbenchError, match="`train_batch` 9 for 4 items; give 1 to 4"):
        compare(TASK, Settings(**QUICK, train_batch=9, measures=("gradient_kernel",)))


def test_a_comparison_is_saved_and_loaded_as_it_was(tmp_path):
    done = compare(TASK, Settings(**QUICK, eta=0.02, activation="tanh", measures=("gradient_kernel",)))
    done.save(tmp_path / "tanh.nc")
    again = workbench.load(tmp_path / "tanh.nc")
    assert again.notes == done.notes and again.summary() == done.summary()
    for name in done.dataset.data_vars:
        np.testing.assert_array_equal(again.dataset[name].values, done.dataset[name].values)
    assert "two tanh layers, 6 hidden units" in again._repr_html_()


def test_loading_what_is_no_comparison_is_refused_in_one_line(tmp_path):
    (tmp_path / "text.nc").write_text("no netCDF")
    with pytest.raises(WorkbenchError, match="no netCDF file"):
        workbench.load(tmp_path / "text.nc")
    with pytest.raises(WorkbenchError, match="no such file"):
        workbench.load(tmp_path)


@pytest.mark.parametrize(
    ("init", "words"), [("balanced:0.01", "closed form of every mode"), ("gaussian:0.1", "gradient flow of all layers")]
)
def test_the_result_says_by_which_route_it_was_predicted(init, words):
    settings = Settings(init=init, measures=("gradient_kernel",), checkpoints=8)
    dataset = compare(task_from_spec("tree:2,2"), settings).dataset
    assert words in dataset.attrs["predicted_by"]

"""What makes large tables affordable: extrapolated retraining, and draws that resolve."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import workbench
from workbench import dataset, theory
from workbench.agreement import Ruling
from workbench.agreement.resolution import unresolved
from workbench.agreement.slopes import left_out
from workbench.comparison import planning
from workbench.comparison.planning import planned_schedules
from workbench.influence import Work, leave_one_out, predict
from workbench.simulation import Recipe, Schedule, train
from workbench.simulation.network import in_modes
from workbench.simulation.network.in_modes import ModesModel
from workbench.simulation.network.model import NetworkModel
from workbench.simulation.sampling import sgld
from workbench.simulation.sampling.posterior import LocalPosterior
from workbench.theory.posterior.loss_off import loss_off_covariance

TASK = workbench.task_from_spec("tree:2,2")
START = workbench.network(TASK, 6)


def extrapolated_error(steps):
    """Largest difference to the flow of what is extrapolated from ``steps`` and twice as many steps."""
    twice = Schedule.even(10.0, 6, 10.0 / steps)
    once = twice.finer(2)
    run = train(START, once)
    work = Work(recipe=Recipe(once), twice=Recipe(twice))
    found = leave_one_out.measure(run, leave_one_out.resolve(run, {}), work)
    return float(np.abs(found.values - theory.leave_one_out(START, once.times)).max())


def test_extrapolated_retraining_errs_with_the_square_of_the_learning_rate():
    errors = [extrapolated_error(steps) for steps in (100, 200, 400)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.2)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


def test_only_long_retraining_is_extrapolated_and_a_wrong_prediction_of_it_fails(monkeypatch):
    settings = workbench.Settings(checkpoints=10, hidden=6, measures=("leave_one_out",))
    assert planned_schedules(START, settings).twice is None
    monkeypatch.setattr(planning, "_WORTH_EXTRAPOLATING", 0.0)
    chosen = planned_schedules(START, settings)
    assert chosen.twice is not None and chosen.twice.finer(2) == chosen.retraining
    assert planned_schedules(START, replace(settings, optimizer="momentum")).twice is None
    result = workbench.compare(TASK, settings)
    assert any("extrapolated" in note for note in result.notes)
    (verdict,) = (v for v in result.verdicts() if v.key == "leave_one_out")
    assert verdict.ruling is Ruling.HOLDS and verdict.power < 0.01
    wrong = result.dataset.assign(leave_one_out_analytic=lambda ds: ds["leave_one_out_analytic"] * 1.01)
    (verdict,) = (v for v in workbench.verdicts(wrong) if v.key == "leave_one_out")
    assert verdict.ruling is Ruling.FAILS


def test_draws_left_to_us_are_enough(monkeypatch):
    monkeypatch.setattr("workbench.influence.posterior_options.DRAWS", 60)
    settings = workbench.Settings(
        checkpoints=4, t_max=6.0, eta=0.1, hidden=4, measures=("local_bif",), chains=2, force_short=True, draws=60
    )
    assert unresolved(workbench.compare(TASK, settings).dataset)
    ds = workbench.compare(TASK, replace(settings, draws=None)).dataset
    assert ds["local_bif_simulated"].attrs["draws"] > 60
    # The second look is as noisy as the first one said it would be: errors of errors are 10% here.
    assert all(noise < 1.2 / 3 for noise, _ in unresolved(ds).values())


def random_model(items, outputs, hidden):
    """A network on random targets of one-hot items, and five sets of weights."""
    rng = np.random.default_rng(items)
    names = tuple(f"item {k}" for k in range(items)), tuple(f"property {k}" for k in range(outputs))
    task = workbench.SemanticTask("random", *names, rng.normal(size=(outputs, items)))
    plain = NetworkModel.of(workbench.network(task, hidden))
    return plain, torch.from_numpy(rng.normal(size=(5, plain.n_weights)))


@pytest.mark.parametrize("sizes", [(9, 5, 3), (5, 9, 3), (6, 6, 8)])
def test_in_the_basis_of_modes_losses_are_the_same_and_gradients_rotate(sizes):
    plain, w = random_model(*sizes)
    modes, here = ModesModel.of(plain), plain.batch(w)
    here.refresh()
    there = modes.batch(modes.rotated(w))
    torch.testing.assert_close(there.losses(), here.losses(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(there.gradient(), modes.rotated(here.gradient()), rtol=1e-12, atol=1e-12)


def test_a_chain_in_the_basis_of_modes_is_the_same_chain_with_rotated_noise():
    plain, star = random_model(9, 5, 3)
    modes, rng = ModesModel.of(plain), np.random.default_rng(1)
    here, there = LocalPosterior(plain, star, 9.0, 20.0), LocalPosterior(modes, modes.rotated(star), 9.0, 20.0)
    states = [sgld.SGLDState(target.at_checkpoint(), 1e-3) for target in (here, there)]
    for step in range(100):
        noise = torch.from_numpy(rng.normal(size=star.shape))
        for state, target, xi in zip(states, (here, there), (noise, modes.rotated(noise)), strict=True):
            sgld.update(state, target, xi, noise[:, :0], step)
    assert not torch.allclose(states[0].batch.w, star)
    torch.testing.assert_close(states[1].batch.losses(), states[0].batch.losses(), rtol=1e-10, atol=1e-10)


@pytest.fixture(scope="module")
def in_modes_sampled():
    """A small comparison, sampled as large ones are."""
    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_modes, "_OPERATIONS", 0.0)
        patch.setattr(in_modes, "_WORTH", 0.0)
        patch.setattr(ModesModel, "batch", lambda model, w: made.append(w) or in_modes.ModesBatch(model, w))
        settings = workbench.Settings(
            checkpoints=4, t_max=8.0, eta=0.02, hidden=3, measures=("local_bif",), chains=4, draws=400
        )
        result = workbench.compare(TASK, settings)
    assert made
    return result


def test_large_tables_are_sampled_in_the_basis_of_modes_and_agree_with_the_prediction(in_modes_sampled):
    verdicts = {verdict.key: verdict for verdict in in_modes_sampled.verdicts()}
    # The slope of an item on itself is known to 1.5% here, and the bias of the step is 2.6%.
    assert verdicts["local_bif_slope/item on itself"].ruling is Ruling.HOLDS
    assert verdicts["local_bif_entries"].ruling is Ruling.HOLDS


def test_of_large_arrays_only_sampled_ones_are_rounded_and_that_far_below_their_errors(
    in_modes_sampled, tmp_path, monkeypatch
):
    monkeypatch.setattr(dataset, "_LARGE", 0)
    ds = in_modes_sampled.dataset
    dataset.write(ds, tmp_path / "a.nc")
    dataset.write(ds, tmp_path / "b.nc")
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()
    back = dataset.read(tmp_path / "a.nc")
    rounded = {name for name in ds if not ds[name].equals(back[name])}
    sampled = ("local_bif_simulated", "learning_coefficient_simulated")
    assert rounded and all(name.startswith(sampled) for name in rounded)
    error, stderr = back["local_bif_simulated"] - ds["local_bif_simulated"], ds["local_bif_simulated_stderr"]
    assert float((abs(error) / stderr).max()) < 1e-4  # 6e-8 of numbers that are at most 100 errors large


def test_what_the_prediction_leaves_out_is_known_up_to_third_order():
    """Against the covariance that is exact where the loss is off: the remainder falls with the third power of gamma."""
    remainders = []
    for gamma in (1e3, 2e3, 4e3):
        settings = workbench.Settings(
            checkpoints=6, t_max=8.0, eta=0.05, hidden=6, measures=("local_bif",), n_beta=0, gamma=gamma
        )
        ds = workbench.compare(TASK, settings, sides=("analytic",)).dataset
        exact = loss_off_covariance(predict(START, ds["time"].values), gamma)
        missing = exact + ds["local_bif_analytic"].values
        remainders.append(np.abs(missing - left_out(ds)).max())
        assert remainders[-1] < 0.05 * np.abs(missing).max()
    assert remainders[0] / remainders[1] == pytest.approx(8, rel=0.05)
    assert remainders[1] / remainders[2] == pytest.approx(8, rel=0.02)

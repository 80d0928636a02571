"""Comparing the two sides: flips, peaks, groups, and verdicts that can fail."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import xarray as xr

from workbench.agreement import (
    Ruling,
    error_table,
    event_table,
    extreme_times,
    measures_in,
    pair_groups,
    relative_l2,
    sign_agreement,
    sign_flips,
    verdicts,
)
from workbench.agreement.differences import same_sign
from workbench.agreement.event_table import side_by_side
from workbench.agreement.events import curve_events, event_floor, visible_flips
from workbench.comparison import Settings, compare
from workbench.errors import ConditionError, WorkbenchError
from workbench.semantics import SemanticTask, task_from_spec

QUICK = Settings(checkpoints=24, draws=60, hidden=8, chains=3)


@pytest.fixture(scope="module")
def tree():
    return compare(task_from_spec("tree"), QUICK).dataset


@pytest.fixture(scope="module")
def unstructured():
    Y = np.random.default_rng(4).integers(0, 2, (9, 7)).astype(float)
    Y[:, 6] = Y[:, 0]
    task = SemanticTask("unstructured", tuple("abcdefg"), tuple(f"p{k}" for k in range(9)), Y)
    return compare(task, Settings(checkpoints=24, measures=("gradient_kernel", "leave_one_out"), hidden=4))


def failed(ds):
    return {v.key for v in verdicts(ds) if v.ruling is Ruling.FAILS}


def test_sign_flips_of_a_smooth_curve_are_exact_to_the_spline():
    errors = []
    for n in (20, 40):
        t = np.linspace(0, 10, n)
        errors.append(np.abs(sign_flips(t, np.cos(t)) - np.pi * np.array([0.5, 1.5, 2.5])).max())
    # Cubic splines: fourth order in the spacing.
    assert errors[1] < errors[0] / 8 and errors[1] < 1e-3


def test_flips_inside_the_noise_are_not_counted():
    t = np.linspace(0, 1, 6)
    wobble = np.array([1.0, 0.1, -0.1, 0.1, -1.0, -1.0])
    assert len(sign_flips(t, wobble)) == 3
    assert len(sign_flips(t, wobble, noise=0.2)) == 1


def test_extremes_are_those_of_the_curve_and_nan_where_there_is_none():
    t = np.linspace(0, 2 * np.pi, 50)
    low, high = extreme_times(t, np.sin(t))
    assert high == pytest.approx(np.pi / 2, abs=1e-3) and low == pytest.approx(3 * np.pi / 2, abs=1e-3)
    assert np.isnan(extreme_times(t, np.sin(t) + 2)[0])


def test_every_pair_is_in_exactly_one_group(tree, unstructured):
    for ds in (tree, unstructured.dataset):
        total = sum(mask.astype(int) for mask in pair_groups(ds).values())
        np.testing.assert_array_equal(total, 1 - np.eye(ds.sizes["source"], dtype=int))


@pytest.mark.parametrize(
    ("rows", "sizes"),
    [
        ([[1, 0], [1, 2]], {"all others": 2}),  # one pair is no third
        ([[1, 1, 1]], {"all others": 6}),
        ([[1, 2, 3, -1]], {"most alike pairs": 6, "least alike pairs": 6}),  # cosines 1 and -1 alone
        ([[1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [1, 1, 0, 0, 1]], {"most alike pairs": 6, "least alike pairs": 14}),
    ],
)
def test_pairs_that_are_equally_alike_stay_together_and_no_group_of_another_size_is_a_third(rows, sizes):
    Y = np.array(rows, dtype=float)
    names = [tuple(f"{kind}{k}" for k in range(n)) for kind, n in zip("pi", Y.shape, strict=True)]
    groups = pair_groups(SemanticTask("ties", names[1], names[0], Y))
    assert {name: int(mask.sum()) for name, mask in groups.items()} == sizes


def test_relative_errors_of_vanishing_curves():
    assert relative_l2(np.zeros(3), np.zeros(3)) == 0
    assert relative_l2(np.zeros(3), np.ones(3)) == np.inf
    assert relative_l2(np.array([3.0, 4.0]), np.array([3.0, 5.0])) == pytest.approx(0.2)


def test_all_claims_hold_on_the_default_tree(tree):
    judged = {v.key: v for v in verdicts(tree)}
    assert all(v.ruling == "holds" for key, v in judged.items() if key != "local_bif_slope/ancestor on level 0 (root)")
    assert {"mode_strengths", "loss", "gradient_kernel", "kernel_flips", "leave_one_out"} < set(judged)
    assert {"local_bif_entries", "chains_agree", "local_bif_slope/item on itself"} < set(judged)


@pytest.mark.parametrize(
    ("variable", "spoil", "key"),
    [
        ("mode_strength_simulated", lambda x: x * 1.01, "mode_strengths"),
        ("loss_simulated", lambda x: x + 0.01 * x[0], "loss"),
        ("gradient_kernel_simulated", lambda x: np.roll(x, 1, axis=0), "gradient_kernel"),
        ("leave_one_out_simulated", lambda x: 1.01 * x, "leave_one_out"),
        ("local_bif_simulated", lambda x: 1.5 * x, "local_bif_entries"),
        ("local_bif_simulated_parts", lambda x: 1.1 * x, "local_bif_slope/item on itself"),
        ("local_bif_rhat", lambda x: x + 0.2, "chains_agree"),
    ],
)
def test_a_wrong_simulation_fails_its_claim(tree, variable, spoil, key):
    wrong = tree.copy()
    wrong[variable] = (tree[variable].dims, spoil(tree[variable].values), tree[variable].attrs)
    assert key in failed(wrong)


@pytest.mark.parametrize(("times_the_bias", "ruling"), [(0.9, "holds"), (3.0, "fails")])
def test_many_chains_may_show_the_stated_bias_of_the_steps_but_no_more(tree, times_the_bias, ruling):
    precise = tree.copy(deep=True)
    bias = precise["local_bif_simulated"].attrs["expected_step_size_bias"]
    assert 0.02 < bias < 0.03
    precise["local_bif_simulated_stderr"] *= 1e-3
    attrs = precise["local_bif_simulated"].attrs
    precise["local_bif_simulated"] = precise["local_bif_analytic"] * ((1 + bias * times_the_bias) ** 2)
    precise["local_bif_simulated"].attrs.update(attrs)
    (found,) = (v for v in verdicts(precise) if v.key == "local_bif_entries")
    assert found.ruling == ruling
    # The same differences from a sampler without bias are none that it may show.
    precise["local_bif_simulated"].attrs["expected_step_size_bias"] = 0.0
    (found,) = (v for v in verdicts(precise) if v.key == "local_bif_entries")
    assert (found.ruling, "no bias" in found.reason) == ("fails", True)


def test_a_shifted_kernel_fails_the_claim_on_flip_times(tree):
    wrong = tree.copy()
    times = tree["time"].values
    values = tree["gradient_kernel_simulated"].values
    late = np.stack([np.interp(times - 0.2, times, values[:, i, j]) for i in range(8) for j in range(8)], axis=1)
    wrong["gradient_kernel_simulated"] = (("time", "source", "target"), late.reshape(values.shape))
    assert "kernel_flips" in failed(wrong)


def test_a_small_gamma_is_not_claimed(tree):
    weak = tree.copy()
    weak["gamma_needed"] = weak["gamma_needed"] * 5
    claims = [v for v in verdicts(weak) if v.key.startswith("local_bif")]
    assert {v.ruling for v in claims} == {"holds", "not claimed"}
    assert any("times its bound" in v.reason for v in claims if v.key == "local_bif_entries/gamma")


def test_the_closed_form_flips_stand_beside_both_sides():
    # 60 checkpoints, the default: fewer leave a spline error of more than half a percent.
    events = event_table(compare(task_from_spec("tree"), Settings(measures=("gradient_kernel",))).dataset)
    flips = events[(events["measure"] == "gradient_kernel") & (events["event"] == "flip 1")]
    np.testing.assert_allclose(flips["closed_form"], [5.819262, 7.092165, 10.196517], atol=1e-6)
    np.testing.assert_allclose(flips["simulated"], flips["closed_form"], rtol=5e-3)


def test_leave_one_out_flips_are_the_published_ones(tree):
    events = event_table(tree)
    flips = events[(events["measure"] == "leave_one_out") & events["event"].str.startswith("flip")]
    # Reference values: 24 checkpoints leave a spline error of a few hundredths.
    np.testing.assert_allclose(flips["simulated"], [6.69, 10.02, 8.58, 14.69, 13.76], atol=0.06)


def test_errors_come_by_measure_and_group(tree):
    table = error_table(tree)
    assert set(table["measure"]) == set(measures_in(tree)) == {"gradient_kernel", "local_bif", "leave_one_out"}
    assert {"all pairs", "item on itself", "all others", "ancestor on level 2 (siblings)"} <= set(table["pairs"])
    assert table.loc[table["measure"] == "local_bif", "within_4_se"].min() > 0.95


def test_tasks_without_structure_and_with_repeated_rows_work(unstructured):
    assert all(v.ruling == "holds" for v in verdicts(unstructured.dataset))
    assert any("4 hidden units for 6 modes" in note for note in unstructured.notes)
    assert any("repeated or dependent rows" in note for note in unstructured.notes)


def test_the_unaligned_start_is_predicted_by_the_exact_solution():
    settings = Settings(init="gaussian:0.01", hidden=6, checkpoints=16, measures=("gradient_kernel", "leave_one_out"))
    ds = compare(task_from_spec("tree:2,2"), settings).dataset
    errors = error_table(ds).set_index(["measure", "pairs"])["relative_l2"]
    # The imbalance of the start is of order sigma^2 = 1e-4, the learning rate adds 1e-3.
    assert errors.loc[("gradient_kernel", "all pairs")] < 2e-3
    assert errors.loc[("leave_one_out", "all others")] < 2e-3
    judged = verdicts(ds)
    assert {"mode_strengths", "loss", "gradient_kernel", "leave_one_out"} == {v.key for v in judged}
    # The bound is the first-order effect itself: a hundredth of the prediction would be seen.
    assert all(v.ruling is Ruling.HOLDS and v.power < 0.01 for v in judged)
    # A coarse learning rate leaves nothing to be claimed.
    coarse = ds.assign_attrs(step_errors='{"mode_strengths": 0.3, "loss": 0.1}')
    assert all(v.ruling is Ruling.NOT_CLAIMED and "coarse" in v.reason for v in verdicts(coarse))


def test_identical_settings_give_identical_results():
    settings = Settings(checkpoints=6, draws=40, hidden=5, chains=2, t_max=12.0, eta=0.01)
    first, second = (compare(task_from_spec("tree:2,2"), settings).dataset for _ in range(2))
    assert first.identical(second)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"measures": ("hessian",)}, "measure hessian is unknown"),
        ({"measures": ()}, "is unknown; choose from"),
        ({"checkpoints": 2}, "give at least 4"),
        ({"hidden": 0}, "at least 1 hidden unit"),
        ({"gamma": -1.0}, "`gamma` -1; give a positive number"),
        ({"n_beta": 1e300}, r"`n_beta` 1e\+300; give a positive number from 1e-60 to 1e\+60"),
        ({"dtype": "float16"}, "dtype"),
        ({"seed": -1}, "`seed` -1"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(settings, message):
    with pytest.raises(WorkbenchError, match=message) as caught:
        Settings(**settings)
    assert "\n" not in str(caught.value)


def test_a_gamma_without_posterior_is_refused_before_training():
    with pytest.raises(ConditionError, match="use gamma above 48"):
        compare(task_from_spec("tree"), Settings(gamma=30.0, eta=1e-6))


def test_no_damping_is_refused_before_training_with_the_one_that_would_do():
    with pytest.raises(ConditionError, match=r"damping = 0 at t = 0, which needs more than 0\.48.*above 0\.48"):
        compare(task_from_spec("tree"), Settings(damping=0.0, measures=("damped_newton",), eta=1e-4))


def test_results_too_large_for_memory_are_refused_with_their_size():
    with pytest.raises(WorkbenchError, match="GB"):
        compare(task_from_spec("tree"), Settings(checkpoints=10_000_000))


@cache
def in_units_of(size):
    Y = size * np.random.default_rng(3).integers(0, 2, (9, 5)).astype(float)
    settings = Settings(measures=("gradient_kernel", "local_bif"), checkpoints=5, hidden=6, chains=4, draws=200)
    return compare(SemanticTask("t", tuple("abcde"), tuple("pqrstuvwx"), Y), settings).dataset


@pytest.mark.parametrize("size", [1e-5, 1e4])
def test_defaults_follow_the_units_of_a_table(size):
    Y = size * np.random.default_rng(3).integers(0, 2, (9, 5)).astype(float)
    a, b = in_units_of(1.0), in_units_of(size)
    assert a.attrs["n_beta"] == 100 and a.attrs["init"] == "balanced:0.01"
    assert b.attrs["n_beta"] * size**2 == pytest.approx(100, rel=1.0)
    assert 0.1 < b.attrs["gamma"] * size / a.attrs["gamma"] < 10
    assert {v.ruling for v in verdicts(b) if not v.key.startswith("local_bif_slope/")} == {"holds"}
    assert not failed(b)
    a0 = 0.01 if size > 1 else np.linalg.norm(Y, 2) / 500
    assert float(b.attrs["init"].split(":")[1]) == pytest.approx(a0, rel=0.5)


@pytest.mark.parametrize(
    ("predicted", "seen", "pairs"),
    [
        ([2.0, 7.0, 9.0], [7.2], [(2.0, np.nan), (7.0, 7.2), (9.0, np.nan)]),
        ([7.0], [1.0, 6.9], [(np.nan, 1.0), (7.0, 6.9)]),
        ([7.0], [], [(7.0, np.nan)]),
    ],
)
def test_a_flip_that_drowns_in_noise_leaves_a_gap_and_shifts_no_other(predicted, seen, pairs):
    np.testing.assert_array_equal(side_by_side(np.array(predicted), np.array(seen)), pairs)


def test_items_without_a_common_mode_have_no_influence_and_no_relative_error():
    settings = Settings(checkpoints=6, draws=200, hidden=5, measures=("gradient_kernel", "local_bif", "leave_one_out"))
    ds = compare(SemanticTask("one-hot", tuple("abc"), tuple("xyz"), np.eye(3)), settings).dataset
    assert {v.ruling for v in verdicts(ds)} <= {"holds", "not claimed"}
    assert any("no influence on each other" in v.claim for v in verdicts(ds))
    errors = error_table(ds).set_index(["measure", "pairs"])["relative_l2"]
    assert np.isnan(errors["leave_one_out", "all others"]) and errors["leave_one_out", "item on itself"] < 1e-3


def test_covariances_of_an_item_with_nothing_to_learn_are_not_claimed():
    Y = np.array([[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0]])
    settings = Settings(checkpoints=5, draws=400, hidden=8, measures=("local_bif",))
    ds = compare(SemanticTask("idle", tuple("abcd"), tuple("xyz"), Y), settings).dataset
    judged = {v.key: v for v in verdicts(ds)}
    left_out = judged["local_bif_entries/order"]
    # At the start: all covariances of d, 4 + 3 entries.
    assert left_out.ruling == "not claimed" and int(left_out.claim.split()[-2]) >= 7
    assert {v.ruling for v in judged.values()} == {"holds", "not claimed"}


def test_the_verdict_on_a_dataset_whose_measures_were_swapped_fails():
    measures = ("leave_one_out", "window_removal", "trajectory_derivative", "damped_newton")
    ds = compare(task_from_spec("tree:2,2"), Settings(checkpoints=8, hidden=5, eta=0.01, measures=measures)).dataset
    assert {v.ruling for v in verdicts(ds)} == {"holds"}
    for measure in measures:
        spoilt = ds.copy()
        spoilt[f"{measure}_simulated"] = ds[f"{measure}_simulated"].transpose("time", "target", "source").shift(time=1)
        spoilt[f"{measure}_simulated"] = spoilt[f"{measure}_simulated"].fillna(0.0)
        spoilt[f"{measure}_simulated"].attrs = ds[f"{measure}_simulated"].attrs
        assert [v.ruling for v in verdicts(spoilt)].count("fails") == 1


def test_nothing_but_the_chains_is_judged_where_the_learning_rate_is_coarse():
    settings = Settings(checkpoints=8, draws=40, hidden=5, chains=2, eta_fraction=0.9, force_short=True)
    judged = verdicts(compare(task_from_spec("tree:2,2"), settings).dataset)
    assert len(judged) > 4
    assert all("learning rate is coarse" in v.reason and v.allowed == "-" for v in judged if v.key != "chains_agree")


def test_a_table_that_may_lack_its_header_is_remarked_on():
    items, Y = tuple("abc"), np.array([[1.0, 0.0, 1.0], [0.0, 2.0, 1.0]])
    settings = Settings(checkpoints=4, hidden=3, measures=("gradient_kernel",))
    suspicious = compare(SemanticTask("t", items, ("0.5", "12"), Y), settings).notes
    assert any("no header" in note for note in suspicious)
    assert not any("no header" in note for note in compare(SemanticTask("t", items, ("0.5", "p"), Y), settings).notes)


def test_a_lobe_below_the_floor_is_no_event():
    t = np.linspace(0, 10, 200)
    curve = -np.exp(-((t - 2) ** 2)) + 0.5 * np.exp(-((t - 5) ** 2)) - 0.004 * np.exp(-((t - 8.5) ** 2))
    events = curve_events(t, curve)
    assert [event.kind for event in events] == ["flip", "most helpful", "most harmful"]
    assert events[0].time == pytest.approx(3.6, abs=0.1) and events[0].size == pytest.approx(0.5, rel=0.02)
    exact = sign_flips(t, curve)
    assert len(exact) == 2
    np.testing.assert_array_equal(visible_flips(exact, t, curve), exact[:1])
    # A small lobe between two large ones of one sign leaves no flip at all, between opposite ones a single one.
    between = np.exp(-((t - 2) ** 2)) + np.exp(-((t - 8) ** 2)) - 0.004 * np.exp(-((t - 5) ** 2))
    assert len(sign_flips(t, between)) == 2 and not len(visible_flips(sign_flips(t, between), t, between))
    assert not [event for event in curve_events(t, between) if event.kind != "most harmful"]


def test_events_below_the_error_of_their_side_or_of_nothing_are_none():
    t = np.linspace(0, 10, 100)
    assert not curve_events(t, 1e-10 * np.sin(t), event_floor(1e-10 * np.sin(t), largest=1.0))
    assert curve_events(t, 1e-8 * np.sin(t), event_floor(1e-8 * np.sin(t), largest=1.0))
    assert not curve_events(t, 1e-8 * np.sin(t), event_floor(1e-8 * np.sin(t), 1.0, "leave_one_out"))
    assert not curve_events(t, np.zeros(100))
    assert not curve_events(t, np.sin(t), noise=np.full(100, 1.1))


def test_the_second_order_flips_back_of_the_local_bif_are_too_small_to_be_events(tree):
    events = event_table(tree)
    flips = events[events["event"].str.startswith("flip")]
    assert (flips["size"] > 0.01).all()
    late = flips[(flips["measure"] == "local_bif") & (flips["analytic"] > 12)]
    assert late.empty


def test_an_event_says_what_the_network_learns_at_that_time(tree):
    events = event_table(tree).set_index(["measure", "pairs", "event"])["learning"]
    assert events["gradient_kernel", "ancestor on level 0 (root)", "flip 1"] == "level 0"
    assert events["gradient_kernel", "ancestor on level 2 (siblings)", "flip 1"] == "level 2"
    assert events["gradient_kernel", "ancestor on level 2 (siblings)", "most harmful"] == "level 3"


def test_signs_agree_or_not_level_by_level_whatever_the_correlation():
    task = task_from_spec("tree:2,2")
    items = list(task.items)
    truth = np.where(task.common_ancestor_level == 0, -1.0, 2.0)
    other = truth + np.where(task.common_ancestor_level == 0, 1.5, 1.0)
    arrays = [
        xr.DataArray([values, 0 * values], dims=("time", "source", "target"), coords=[[3.0, 4.0], items, items])
        for values in (truth, other)
    ]
    off = ~np.eye(4, dtype=bool)
    assert np.corrcoef(truth[off], other[off])[0, 1] > 0.99
    table = sign_agreement(*arrays, task)
    assert table.loc[3.0].tolist() == [0.0, 1.0] and table.loc[4.0].isna().all()
    swapped = sign_agreement(arrays[0], arrays[1].transpose("target", "source", "time"), task)
    assert swapped.equals(table)


def test_pairs_of_a_task_are_those_of_its_dataset(tree):
    groups, again = pair_groups(tree), pair_groups(task_from_spec("tree"))
    assert list(groups) == list(again)
    assert all((groups[name] == again[name]).all() for name in groups)


def test_the_share_of_right_signs_counts_by_size():
    assert same_sign(np.array([3.0, -1.0]), np.array([0.1, 5.0])) == 0.75
    assert np.isnan(same_sign(np.zeros(2), np.ones(2)))


def test_the_error_table_and_the_notes_say_where_single_entries_are_noise():
    result = compare(task_from_spec("tree"), replace(QUICK, measures=("local_bif",), checkpoints=8))
    table = error_table(result.dataset).set_index("pairs")
    root = table.loc["ancestor on level 0 (root)"]
    assert root["monte_carlo"] > 1 / 3 and root["draws_to_resolve"] > 60
    (note,) = (note for note in result.notes if "too few to read single entries" in note)
    assert f"ancestor on level 0 (root) ({root['draws_to_resolve']:g} draws)" in note

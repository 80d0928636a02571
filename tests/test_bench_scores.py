"""Scores of attribution methods: each sees the error it is there for, and nothing hides in a mean."""

import numpy as np
import pytest

from workbench.bench.scores import agreement, interval, level_masks, scores

TIMES = np.linspace(0.0, 10.0, 41)
#: Two items on either side of a root: level 1 pairs are siblings, level 0 pairs meet at the root.
LEVELS = np.array([[-1, 1, 0, 0], [1, -1, 0, 0], [0, 0, -1, 1], [0, 0, 1, -1]])


def truth(seeds=3):
    """Helps, then harms from t = 4 (root) and t = 7 (siblings); an item always helps itself."""
    rng = np.random.default_rng(0)
    size = 1 + 0.1 * rng.standard_normal((seeds, 1, 4, 4))
    flip = np.select([LEVELS == 0, LEVELS == 1], [4.0, 7.0], np.inf)
    curve = np.where(np.isfinite(flip), (TIMES[:, None, None] - np.minimum(flip, 100)) / 4, -3.0)
    return size * curve


def by(rows, score, level, time=None):
    (row,) = [r for r in rows if (r.score, r.level) == (score, level) and (time is None or r.time == time)]
    return row


def test_the_truth_itself_scores_full_marks_and_its_negative_none():
    y = truth()
    right, wrong = scores(y, y, TIMES, LEVELS), scores(-y, y, TIMES, LEVELS)
    for level in ("0", "1", "off_diagonal"):
        assert by(right, "agreement", level).value == pytest.approx(1)
        assert by(right, "slope", level, TIMES[2]).value == pytest.approx(1)
        assert by(right, "sign_agreement", level, TIMES[2]).value == 1
        assert by(right, "flip_error", level).value == pytest.approx(0)
        assert by(right, "flips_missed", level).value == by(right, "flips_invented", level).value == 0
        assert by(wrong, "agreement", level).value == pytest.approx(-1)
        assert by(wrong, "sign_agreement", level, TIMES[2]).value == 0


def test_agreement_is_blind_to_scale_and_the_slope_is_not():
    y = truth()
    rows = scores(7 * y, y, TIMES, LEVELS)
    assert by(rows, "agreement", "0").value == pytest.approx(1)
    assert by(rows, "slope", "0", TIMES[3]).value == pytest.approx(7)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_scores_of_numbers_whose_squares_overflow_are_those_of_any_other_scale(scale):
    y = truth()
    e = y + 0.3 * np.random.default_rng(1).standard_normal(y.shape)
    plain, scaled = scores(e, y, TIMES, LEVELS), scores(scale * e, y, TIMES, LEVELS)
    for a, b in zip(plain, scaled, strict=True):
        assert b.value == pytest.approx(scale * a.value if a.score == "slope" else a.value, rel=1e-9, nan_ok=True)


def test_the_error_of_a_flip_is_the_delay_of_the_curve():
    y = truth()
    late = np.where(LEVELS == 0, y + (-0.5) * y[:, -1:] / y[:, -1:].max(), y)  # a constant added moves the flip
    shift = by(scores(late, y, TIMES, LEVELS), "flip_error", "0").value
    curve, moved = y[0][:, LEVELS == 0].mean(axis=1), late[0][:, LEVELS == 0].mean(axis=1)
    expected = abs(np.interp(0, moved, TIMES) - np.interp(0, curve, TIMES))
    assert shift == pytest.approx(expected, rel=0.1)


def test_an_estimate_that_never_flips_misses_the_flip():
    y = truth()
    rows = scores(-np.ones_like(y), y, TIMES, LEVELS)
    assert by(rows, "flips_missed", "0").value == 1
    assert by(rows, "sign_agreement", "0", TIMES[-1]).value == 0


def test_the_diagonal_counts_only_in_all_pairs():
    y = truth()
    own = -np.broadcast_to(np.eye(4), y.shape)
    rows = scores(own, y, TIMES, LEVELS)
    assert by(rows, "agreement", "off_diagonal").value == 0
    assert by(rows, "agreement", "all").value > 0.5


def test_levels_partition_the_pairs_between_different_examples():
    masks = level_masks(LEVELS)
    assert (masks["0"].astype(int) + masks["1"] == masks["off_diagonal"]).all()
    assert masks["all"].all()


def test_a_zero_estimate_agrees_with_nothing():
    y = truth()[..., LEVELS >= 0]
    assert (agreement(np.zeros_like(y), y) == 0).all()


def test_the_interval_over_seeds_covers_as_often_as_it_says():
    rng = np.random.default_rng(1)
    samples = rng.standard_normal((4000, 5))
    inside = [low <= 0 <= high for _, low, high in map(interval, samples)]
    # 4000 repetitions: standard error .0034 of a coverage of .95.
    assert abs(np.mean(inside) - 0.95) < 4 * 0.0035


def test_a_change_of_sign_that_the_truth_lacks_is_invented_and_one_that_it_has_is_missed():
    times = np.linspace(0.0, 6.0, 121)
    once, thrice = np.cos(times / 2), np.cos(times / 2) - 1.2 * np.cos(3 * times / 2)
    crossings = [int((np.diff(np.sign(curve)) != 0).sum()) for curve in (once, thrice)]
    assert crossings == [1, 3]
    for estimate, truth, name in ((thrice, once, "flips_invented"), (once, thrice, "flips_missed")):
        rows = scores(estimate[None, :, None, None], truth[None, :, None, None], times, np.zeros((1, 1), dtype=int))
        found = {row.score: row.value for row in rows if row.level == "0"}
        assert {key: found[key] for key in ("flips_invented", "flips_missed")} == {
            "flips_invented": 0,
            "flips_missed": 0,
            name: 2,
        }

"""The abstract, sentence by sentence: verdicts follow the curves, and the page is written whole or not at all."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import workbench
from workbench.errors import WorkbenchError
from workbench.paper import PaperSettings, Sentence, paper, write_paper
from workbench.paper.curves import GroupCurve
from workbench.paper.page import _spoken, page
from workbench.paper.peaks import half_height_width, spacing, transitions
from workbench.paper.run import read_language
from workbench.paper.tokens import token_sentence
from workbench.paper.toy import toy_sentences, turn
from workbench.studies import StudyClaim


@pytest.fixture(scope="module")
def comparison():
    settings = workbench.Settings(measures=("gradient_kernel",), checkpoints=20, hidden=4)
    return workbench.compare(workbench.Hierarchy((2, 2)).indicator_task(), settings)


def language_model(shift: float = 0.0) -> xr.Dataset:
    """Three classes learned at steps 3, 10 and 30; each is strongest there, or ``shift`` e-folds later."""
    names, steps = ["word", "digit", "name"], np.array([0, 1, 3, 5, 10, 20, 30, 60, 120])
    learned = np.array([3.0, 10.0, 30.0])
    own = -0.3 * np.exp(-((np.log1p(steps)[:, None] - np.log1p(learned) - shift) ** 2) / 0.1)
    values = np.full((len(steps), 3, 3), -0.01)
    values[:, range(3), range(3)] = own
    pair = ("time", "source_class", "target_class")
    return xr.Dataset(
        {
            "group_correlation": (pair, values),
            "group_correlation_stderr": (pair, np.full_like(values, 0.005)),
            "control_correlation": (pair, np.zeros_like(values)),
            "learned_at": ("class", learned),
        },
        coords={"step": ("time", steps), "class": names},
        attrs={"chains": 12, "seed": 0, "config": "{}", "code_version": ""},
    )


def test_a_monotone_curve_does_not_turn_and_noise_does_not_turn_it():
    t = np.linspace(0, 1, 30)
    flat = np.zeros(30)
    assert turn(GroupCurve("gradient_kernel", "analytic", "g", t, t, flat))[1] <= 0
    wiggle = t + 0.03 * (-1.0) ** np.arange(30)
    assert turn(GroupCurve("gradient_kernel", "analytic", "g", t, wiggle, flat))[1] > 0
    assert turn(GroupCurve("gradient_kernel", "simulated", "g", t, wiggle, flat + 0.04))[1] < 0


def test_rise_times_are_those_of_the_sigmoid(comparison):
    """a = s/c / (1 + K e^{-2 s t}) rises from 10% to 90% in ln 81 / (2 s)."""
    ds = comparison.dataset
    halves, rises = transitions(ds)
    s = np.array([ds["singular_value"].values[ds["mode_level"].values == k].mean() for k in range(len(halves))])
    np.testing.assert_allclose(rises, np.log(81) / (2 * s), rtol=0.02)  # the spline through 20 checkpoints


def test_the_width_of_a_gaussian_is_its_own():
    t = np.linspace(-5, 5, 200)
    assert half_height_width(t, -np.exp(-(t**2) / 2), 0.0) == pytest.approx(2 * np.sqrt(2 * np.log(2)), rel=1e-3)
    assert spacing(np.array([1.0, 3.0, 7.0]), 4.0) == 4.0 and spacing(np.array([1.0, 3.0, 7.0]), 9.0) == 4.0


def test_the_first_flip_of_the_kernel_is_its_equations(comparison):
    flips = next(s for s in toy_sentences(comparison) if s.name == "flips").numbers
    kernel = flips[(flips["measure"] == "gradient_kernel") & flips["closed_form"].notna()]
    assert len(kernel) == 2
    np.testing.assert_allclose(kernel["analytic"], kernel["closed_form"], rtol=0.02)  # read off 20 checkpoints


def test_a_sentence_holds_in_part_where_a_check_fails_and_names_it():
    good, bad = (StudyClaim(name, value, "<=", 1.0, "") for name, value in (("a", 0.0), ("b", 2.0)))
    made = {checks: Sentence("x", "", "", pd.DataFrame(), "", checks) for checks in ((good,), (good, bad), (bad,))}
    assert [s.verdict for s in made.values()] == ["holds", "holds in part", "not here"]
    assert made[good, bad].missing == ("b",)


def test_stages_in_the_right_place_are_seen_and_shifted_ones_are_not():
    def own_stage(shift: float) -> bool:
        return token_sentence(language_model(shift)).checks[0].holds

    assert own_stage(0.0) and not own_stage(1.5)


def test_tables_on_the_page_name_measures_as_people_do_and_files_keep_the_names_of_the_code():
    numbers = pd.DataFrame(
        {"measure": ["local_bif", "leave-one-out"], "closed_form": [1.0, 2.0], "found": ["1 +- 2", ""]}
    )
    shown = _spoken(numbers)
    assert list(shown["measure"]) == ["local BIF", "leave-one-out"] and shown["found"][0] == "1 ± 2"
    assert "closed form" in shown and list(numbers["measure"]) == ["local_bif", "leave-one-out"]
    checks = (StudyClaim("c", 0.1, "<=", 0.25, "1 +- 2"),)
    written = page([Sentence("n", "claim", "asked", numbers, "note", checks, None, None)], {}, {})
    assert ">≤ 0.25<" in written and "&lt;=" not in written and "+-" not in written


@pytest.mark.slow
def test_the_page_holds_every_sentence_and_its_verdict(comparison, tmp_path):
    drawn = [s for s in toy_sentences(comparison) if s.name in ("hierarchy", "peaks")]
    sentences = [*drawn, token_sentence(language_model())]
    out = tmp_path / "paper"
    write_paper(sentences, comparison, language_model(), out, settings={"seed": 0})
    text = (out / "paper.html").read_text()
    for sentence in sentences:
        assert sentence.verdict in text and (out / f"{sentence.name}.csv").is_file()
    assert "<script" not in text and 'src="http' not in text
    held = pd.read_csv(out / "verdicts.csv").groupby("name")["holds"].all()
    assert {s.name: s.verdict == "holds" for s in sentences} == held.to_dict()


def test_a_directory_that_holds_no_language_model_is_refused_before_any_work(tmp_path):
    with pytest.raises(WorkbenchError, match="no result of a language model"):
        paper(PaperSettings(language=tmp_path))
    (tmp_path / "language.nc").write_bytes(b"no netcdf")
    with pytest.raises(WorkbenchError, match="no result of a language model"):
        read_language(tmp_path)


def test_a_table_is_asked_for_the_order_of_its_flips_and_not_for_stages_that_it_lacks():
    task = workbench.SemanticTask("uneven", ("a", "b", "c"), ("p", "q", "r"), np.diag([3.0, 2.0, 1.0]) + 0.5)
    settings = workbench.Settings(measures=("gradient_kernel",), checkpoints=16, hidden=3)
    hierarchy = next(s for s in toy_sentences(workbench.compare(task, settings)) if s.name == "hierarchy")
    assert not any("common ancestor" in check.sentence for check in hierarchy.checks)
    assert hierarchy.numbers["own level half learned"].isna().all()


def test_agreement_of_stages_and_peaks_is_spearmans_and_its_chance_that_of_all_permutations():
    from itertools import permutations

    from scipy.stats import spearmanr

    from workbench.paper.tokens import order_agreement

    learned, strongest = np.array([1.0, 2.0, 4.0, 8.0, 16.0]), np.array([2.0, 2.0, 4.0, 16.0, 8.0])
    rank, chance = order_agreement(learned, strongest)
    assert rank == pytest.approx(spearmanr(learned, strongest).statistic)
    every = [spearmanr(learned, one).statistic for one in permutations(strongest)]
    # Binomial noise of 20,000 permutations, four times.
    exact = float(np.mean(np.array(every) >= rank - 1e-9))
    assert chance == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 20_000) ** 0.5)
    assert order_agreement(learned, learned[::-1])[1] > 0.9 and order_agreement(learned, np.ones(5))[1] == 1

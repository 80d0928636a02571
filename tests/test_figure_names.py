"""Names in any script, and names that share a line."""

import numpy as np
import xarray as xr

from workbench.figures import fonts
from workbench.figures.hidden import marked_times
from workbench.figures.learning import _shared_name
from workbench.figures.reading import ModeGroup, cut, powers, texts
from workbench.figures.representation import HiddenMap
from workbench.figures.style import PAGE
from workbench.semantics import Hierarchy
from workbench.studies.item_colours import hues, item_colours


def test_letters_that_no_font_has_are_named_once(monkeypatch):
    monkeypatch.setattr(fonts, "_letters", lambda: frozenset(map(ord, "abc")))
    assert fonts.lacking(["a b", "cab", "a\u200d"]) == ""
    assert fonts.lacking(["aé", "é"]).startswith("names have é, and no font found here has that letter; a box")
    assert "q r s t u v and 2 more" in fonts.lacking(["qrstuvwx"])


def test_the_own_font_comes_first_and_has_the_letters_of_europe():
    assert fonts.families()[0] == fonts.OWN
    assert fonts.lacking(["Fähre", "søppel", "Ωmega", "кот", "–"]) == ""


def test_modes_that_end_together_share_a_name():
    one, two, three, five = (ModeGroup(f"mode {k}", (k - 1,), float(k)) for k in (1, 2, 3, 5))
    assert _shared_name([one]) == "mode 1"
    assert _shared_name([ModeGroup("level 2", (2, 3), 1.0)]) == "level 2 (×2)"
    assert _shared_name([one, two]) == "modes 1, 2"
    assert _shared_name([one, two, three]) == "modes 1–3"
    assert _shared_name([one, two, five]) == "modes 1, 2, 5"


def test_powers_of_ten_and_of_units_are_raised():
    assert powers("10^-12 loss^2 x time") == "10⁻¹² loss² × time"


def test_marked_times_are_spread_along_the_path():
    t = np.linspace(0, 10, 201)
    # A path that stands still until t = 4, runs until 6, and stands still again.
    x = np.clip((t - 4) / 2, 0, 1)
    positions = np.stack([np.stack([x, 0 * x], axis=-1)], axis=1)
    times = marked_times(HiddenMap(t, positions, 0, x[:, None], 1.0, ()))
    assert times and all(4 < each <= 6.5 for each in times)
    places = np.interp(times, t, x)
    assert np.diff(places, prepend=0.0).min() >= 0.1 - 1e-9


def test_long_names_that_begin_alike_show_what_tells_them_apart():
    names = [f"a property that is described in very many words, number {k} of this table" for k in (1, 2, 11)]
    assert all(len(short) <= 18 for short in texts(names, 18))
    assert len(set(texts(names, 18))) == 3 and "11" in texts(names, 18)[2]
    leaves = Hierarchy((2, 2, 2, 2, 2)).indicator_task().items
    assert len(set(texts(leaves, 12))) == 32
    # A name without a twin is cut at its end, as before; one that another continues is told from it, too.
    assert cut("a long enough name", 10, names) == "a long en…"
    assert len(set(texts(["a long enough name", "a long enough name, again"], 12))) == 2


def test_an_item_has_in_studies_the_colour_that_it_has_in_figures():
    task = Hierarchy((2, 2)).indicator_task()
    kept = xr.Dataset(hues(task))
    assert item_colours(PAGE, kept) == PAGE.item_colours(np.array([0, 0, 1, 1]), np.array([0.0, 1.0, 0.0, 1.0]))
    # Beside a larger network the items that are missing are nan.
    assert item_colours(PAGE, kept.astype(float).pad(item=(0, 2))) == item_colours(PAGE, kept)

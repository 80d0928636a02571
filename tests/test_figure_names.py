"""Names in any script, and names that share a line."""

import numpy as np

from workbench.figures import fonts
from workbench.figures.hidden import marked_times
from workbench.figures.learning import _shared_name
from workbench.figures.reading import ModeGroup, powers
from workbench.figures.representation import HiddenMap


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

"""The report is one complete, escaped, self-contained page."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sympy as sp
import xarray as xr
from figure_data import dataset

from workbench import figures
from workbench.agreement import Ruling, Verdict
from workbench.comparison import Settings, compare
from workbench.errors import WorkbenchError
from workbench.report import write_report
from workbench.report.conclusion import agreed, conclusion, helps, turning_times
from workbench.report.equations import equation, mathml, wrapped
from workbench.report.markup import Markup, element, slug
from workbench.report.page import CSS
from workbench.report.tables import MAX_ROWS, table, verdict_table
from workbench.report.wording import errors_for_people, events_for_people, typeset
from workbench.semantics import Hierarchy, SemanticTask
from workbench.theory.closed_form import ClosedForm, Step, Variable
from workbench.theory.influence.gradient_kernel import kernel_form
from workbench.theory.influence.tree_kernel import tree_kernel_form
from workbench.theory.modes.balanced import mode_strength_form
from workbench.theory.prose import pieces

HOSTILE = "<b>&\"'</script><script>alert(1)</script>"
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Elements, their nesting and the text of a page; unbalanced tags are errors."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def tree() -> xr.Dataset:
    return dataset(Hierarchy((2, 2, 2)).indicator_task(), checkpoints=30)


@pytest.fixture(scope="module")
def drawn(tree: xr.Dataset) -> tuple[dict[str, figures.Words], dict[str, figures.Rendered]]:
    return drawn_figures(tree)


def drawn_figures(
    ds: xr.Dataset, source: str | None = None
) -> tuple[dict[str, figures.Words], dict[str, figures.Rendered]]:
    """Words and images of the figures of a report."""
    subject, shown = figures.Subject(ds, source), figures.figure_set("report")
    words = {name: figure.words(subject) for name, figure in shown.items()}
    images = {name: figures.render(figure.draw(subject), {"code_version": "0.1.0"}) for name, figure in shown.items()}
    return words, images


@pytest.fixture(scope="module")
def page(tree: xr.Dataset, drawn: tuple, tmp_path_factory: pytest.TempPathFactory) -> str:
    gallery, images = drawn
    path = write_report(
        tmp_path_factory.mktemp("report") / "deep" / "report.html",
        tree,
        figures=gallery,
        drawn=images,
        tables=[("Errors by level", pd.DataFrame({"level": [0, 1], "error": [0.0123456, np.nan]}), "In percent.")],
        equations=[mode_strength_form(), kernel_form(), tree_kernel_form((8, 4, 2, 1), 1)],
        verdicts=[
            Verdict("flips", "flips in order", "7.092", "7.1", "learning rate", Ruling.HOLDS, "every time", 0.02),
            Verdict("late", "late posterior", "0.4", "0.1", "first order only", Ruling.FAILS),
            Verdict("depth", "depth", "2", "-", "two layers", Ruling.NOT_CLAIMED),
        ],
        warnings=["R-hat above 1.05 at 3 checkpoints", "n beta = 100, gamma = 2; `draws` auto takes more"],
        config={"task": "tree", "seed": 0},
    )
    return path.read_text(encoding="utf-8")


def test_every_figure_is_there_with_alternative_text_and_caption(page: str, drawn: tuple) -> None:
    gallery, images = drawn
    parsed = Page(page)
    shown = parsed.all("img")
    assert [image["alt"] for image in shown] == [illustration.alt for illustration in gallery.values()]
    for illustration in gallery.values():
        assert illustration.caption in parsed.text
        assert illustration.title in parsed.text
    for image, (name, rendered) in zip(shown, images.items(), strict=True):
        kind, data = re.fullmatch(r"data:(image/[a-z+]+);base64,(.*)", str(image["src"])).groups()
        expected = min(rendered.svg.encode(), rendered.png, key=len)
        assert base64.b64decode(data) == expected, name
        assert kind == ("image/svg+xml" if expected.startswith(b"<?xml") else "image/png")


def test_tables_verdicts_warnings_and_configuration_are_there(page: str) -> None:
    parsed = Page(page)
    for words in ("Errors by level", "0.01235", "In percent.", "flips in order", "7.092", "first order only"):
        assert words in parsed.text
    assert "1 held, 1 failed, 1 open" in parsed.text
    assert "R-hat above 1.05 at 3 checkpoints" in parsed.text
    assert '"seed": 0' in parsed.text
    badges = {a["class"] for a in parsed.all("span") if "verdict" in str(a.get("class"))}
    assert badges == {"verdict good", "verdict bad", "verdict open"}


def test_the_page_opens_with_what_was_found_and_notes_follow_in_words(page: str) -> None:
    assert page.index("<strong>Learned. </strong>") < page.index("Please note") < page.index('id="what-is-shown"')
    assert "nβ = 100, γ = 2; <code>draws</code> auto takes more" in page
    assert "`" not in Page(page).text


def test_the_page_loads_nothing_and_runs_nothing(page: str) -> None:
    parsed = Page(page)
    tags = {tag for tag, _ in parsed.found}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "form"}
    for tag, attributes in parsed.found:
        assert not [key for key in attributes if key.startswith("on")], tag
        for key in ("src", "href"):
            assert str(attributes.get(key, "#")).startswith(("#", "data:image/"))
    css = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    assert "url(" not in css and "@import" not in css and "http" not in css
    assert "prefers-color-scheme: dark" in css


def test_links_of_the_contents_lead_to_unique_places(page: str) -> None:
    parsed = Page(page)
    places = [attributes["id"] for _, attributes in parsed.found if "id" in attributes]
    assert len(places) == len(set(places))
    links = [str(attributes["href"]).removeprefix("#") for attributes in parsed.all("a")]
    assert len(links) == 13
    assert set(links) <= set(places)


def test_the_page_is_accessible(page: str) -> None:
    parsed = Page(page)
    assert parsed.all("html")[0]["lang"] == "en"
    assert len(parsed.all("h1")) == len(parsed.all("main")) == len(parsed.all("nav")) == 1
    assert all(attributes.get("scope") in ("col", "row") for attributes in parsed.all("th"))
    assert len(parsed.all("caption")) == len(parsed.all("table"))
    assert all(image["alt"] for image in parsed.all("img"))


def test_the_page_of_the_default_tree_is_small(page: str) -> None:
    # 6 MB is what the project allows; six figures of the tree stay far below a megabyte and a half.
    assert len(page.encode()) < 1.5e6


def test_equations_are_mathml_with_every_step_of_the_derivation(page: str) -> None:
    parsed = Page(page)
    steps = [
        step for form in (mode_strength_form(), kernel_form(), tree_kernel_form((8, 4, 2, 1), 1)) for step in form.steps
    ]
    assert page.count("✓ checked by sympy") == sum(step.residual is not None for step in steps)
    assert "check failed" not in page
    for step in steps:
        assert all(maths or piece in parsed.text for maths, piece in pieces(step.statement))
    assert len(parsed.all("math")) >= len(steps) + 3
    assert len(parsed.all("details")) == 3
    # Only entities that XML knows, so that the markup parses anywhere.
    assert set(re.findall(r"&[A-Za-z]+;", page)) <= {"&amp;", "&lt;", "&gt;", "&quot;"}


def test_a_step_that_is_wrong_is_shown_as_failed() -> None:
    x = sp.Symbol("x")
    form = ClosedForm(
        "wrong",
        "Wrong",
        sp.Symbol("y"),
        x,
        (Variable(x, "a number"),),
        (Step("one is", x, sp.Integer(1)),),
        "nobody",
    )
    assert "✗ check failed" in equation(form)
    assert "✓" not in equation(form)


def test_indices_deltas_and_functionals_are_written_as_such() -> None:
    i, j = sp.symbols("i j")
    assert "<mi>&#948;</mi><mrow><mi>i</mi><mi>j</mi></mrow>" in mathml(sp.KroneckerDelta(i, j))
    assert "<mi>v</mi><mrow><mi>i</mi><mi>j</mi></mrow>" in mathml(sp.IndexedBase("v")[i, j])
    functional = mathml(sp.Symbol("R_1[e^2]"))
    assert "<msub><mi>R</mi><mi>1</mi></msub><mo>[</mo><msup><mi>e</mi><mi>2</mi></msup><mo>]</mo>" in functional
    assert "<mo>−</mo>" in mathml(i - j)


def test_hostile_names_are_escaped_everywhere(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    items = (HOSTILE, "$x^", "_y", "quiet")
    task = SemanticTask(
        HOSTILE, items, tuple(f"{HOSTILE}{k}" for k in range(6)), rng.integers(0, 2, (6, 4)) + np.eye(6, 4)
    )
    ds = dataset(task, checkpoints=12)
    frame = pd.DataFrame({HOSTILE: [HOSTILE, 1.5]}, index=pd.Index([HOSTILE, "b"], name=HOSTILE))
    path = write_report(
        tmp_path / "report.html",
        ds,
        **dict(zip(("figures", "drawn"), drawn_figures(ds, HOSTILE), strict=True)),
        tables=[(HOSTILE, frame, HOSTILE)],
        verdicts=[Verdict("key", HOSTILE, HOSTILE, HOSTILE, HOSTILE, Ruling.HOLDS, HOSTILE, 0.5)],
        warnings=[HOSTILE],
        config={HOSTILE: HOSTILE},
    )
    html = path.read_text(encoding="utf-8")
    parsed = Page(html)
    assert not parsed.all("script") and not parsed.all("b")
    assert "<script>" not in html
    # Title twice, warning, five cells of a verdict, table title, note, two headers, one cell.
    assert parsed.text.count(HOSTILE) >= 11
    assert any(HOSTILE in str(image["alt"]) for image in parsed.all("img"))


def test_a_missing_measure_a_missing_side_and_no_tree_are_no_obstacle(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    task = SemanticTask("plain", tuple("abcdef"), tuple("uvwxyz"), rng.integers(0, 2, (6, 6)) + np.eye(6))
    ds = dataset(task, measures=("gradient_kernel", "local_bif"), checkpoints=12).drop_vars("local_bif_analytic")
    words, images = drawn_figures(ds)
    path = write_report(tmp_path / "report.html", ds, figures=words, drawn=images)
    parsed = Page(path.read_text(encoding="utf-8"))
    assert "Only the simulated side is present." in parsed.text
    assert "leave" not in parsed.text
    assert "hierarchical clustering" in parsed.text
    assert len(parsed.all("img")) == 6
    # Nothing was given for these, so there is no empty heading.
    assert "Verdicts" not in parsed.text and "Formulas" not in parsed.text


def test_an_svg_given_as_text_is_an_image_that_cannot_run_scripts(
    tree: xr.Dataset, drawn: tuple, tmp_path: Path
) -> None:
    shown = {"mine": replace(drawn[0]["loss"], title="Mine")}
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="72pt" height="72pt"><script>alert(1)</script></svg>'
    html = write_report(tmp_path / "r.html", tree, figures=shown, drawn={"mine": svg}).read_text()
    assert "alert(1)" not in html
    assert base64.b64encode(svg.encode()).decode() in html
    with pytest.raises(WorkbenchError, match="'mine' is text but no SVG"):
        write_report(tmp_path / "r.html", tree, figures=shown, drawn={"mine": "hello"})


def test_the_report_is_the_same_every_time(tree: xr.Dataset, drawn: tuple, tmp_path: Path) -> None:
    once, again = (
        write_report(
            tmp_path / name,
            tree,
            figures={"loss": drawn[0]["loss"]},
            drawn=drawn[1],
            config=json.loads(tree.attrs["config"]),
        )
        for name in ("a.html", "b.html")
    )
    assert once.read_bytes() == again.read_bytes()


def test_long_tables_say_how_many_rows_are_left_out() -> None:
    shown = table("Long", pd.DataFrame({"n": range(MAX_ROWS + 50)}), "")
    assert f"The first {MAX_ROWS} of {MAX_ROWS + 50} rows." in shown
    assert Page(shown).all("tr").__len__() == MAX_ROWS + 1


def test_a_verdict_shows_what_was_found_what_is_allowed_and_what_it_would_have_caught() -> None:
    shown = Page(
        verdict_table([Verdict("key", "a claim", "0.1", "0.2", "because", Ruling.HOLDS, "every entry", 0.031)])
    )
    assert all(
        word in shown.text
        for word in ("Found", "Allowed", "a claim", "0.1", "0.2", "holds", "because", "3.1% of every entry")
    )


def test_markup_escapes_text_and_attributes_and_leaves_markup_alone() -> None:
    inner = element("i", "<&")
    assert inner == "<i>&lt;&amp;</i>"
    assert element("p", inner, "<", title='"<') == '<p title="&quot;&lt;"><i>&lt;&amp;</i>&lt;</p>'
    assert isinstance(inner, Markup)
    assert slug("What is <shown>?") == "what-is-shown"


@pytest.fixture(scope="module")
def short(tree: xr.Dataset) -> str:
    """The conclusion of the tree, as text."""
    return Page(conclusion(tree, [])).text


def test_the_conclusion_says_what_is_learned_in_the_order_of_the_half_rise_times(tree: xr.Dataset, short: str) -> None:
    times = [f"half learned at t = {t:.3g}" for t in np.unique(tree["half_rise_time"].values.round(9))]
    places = [short.index(words) for words in times]
    assert places == sorted(places)
    assert "what all items share (level 0" in short
    assert "to tell dog, cat, … from oak, pine, … (level 1" in short


def test_the_conclusion_says_when_help_turns_into_harm(short: str) -> None:
    # Flip times of the 8-item tree from an ODE solver with explicit gradients.
    for pair, flip in (("dog and oak", 5.8193), ("dog and sparrow", 7.0922), ("dog and cat", 10.1965)):
        course = rf"{pair} \([a-z0-9 ]+\) help each other until t = ([0-9.]+) .*?, then harm to the end"
        told = re.search(course, short)
        assert told is not None
        # Read off 30 checkpoints, told with three digits.
        assert float(told[1]) == pytest.approx(flip, rel=0.01)


def test_two_items_stand_for_a_group_only_where_its_curves_are_one(tree: xr.Dataset) -> None:
    twins = SemanticTask(
        "twins", tuple("abcde"), tuple("pqr"), np.array([[1, 1, 0, 1, 1], [0, 0, 1, 1, 0], [1, 1, 1, 0, 0]])
    )
    settings = Settings(checkpoints=12, measures=("gradient_kernel",))
    ds = compare(twins, settings, sides=("analytic",)).dataset
    told = " ".join(helps(ds))
    assert "on average over the pairs of a group" in told and "(a and c among them)" in told
    assert "a and b (most alike pairs) help each other throughout" in told  # one item twice, in a group of its own
    assert "among them" not in " ".join(helps(tree))
    # Words begin a sentence with a capital, names as their owner writes them.
    assert all(line[0].isupper() or line.startswith("a and b ") for line in helps(ds))
    assert helps(tree)[1].startswith("dog ")


def test_turning_times_of_a_measure_are_where_its_mean_curve_turns_to_harm(tree: xr.Dataset) -> None:
    turns = turning_times(tree)
    assert list(turns.columns) == ["gradient kernel", "local BIF", "leave-one-out"]
    times = tree["time"].values
    for pair, j in (("dog and oak", "oak"), ("dog and cat", "cat")):
        curve = tree["gradient_kernel_analytic"].sel(source="dog", target=j).values
        k = int(np.flatnonzero((curve[:-1] < 0) & (curve[1:] > 0))[0])
        found = turns[turns.index.str.startswith(pair)]["gradient kernel"].iloc[0]
        assert times[k] < found < times[k + 1]


def test_the_conclusion_counts_claims_and_names_the_sharpest_the_weakest_and_the_failed() -> None:
    def claim(key: str, ruling: Ruling, power: float) -> Verdict:
        return Verdict(key, f"claim {key}", "0.5", "0.1", "because", ruling, altered="everything", power=power)

    told = " ".join(
        agreed([claim("a", Ruling.HOLDS, 0.3), claim("b", Ruling.HOLDS, 0.01), claim("c", Ruling.FAILS, 0)])
    )
    assert told.startswith("2 of 3 claims that could be tested hold.")
    assert "Sharpest: claim b; it would have caught 1% of everything." in told
    assert "Weakest: claim a; it would have caught only 30% of everything." in told
    assert "Fails: claim c (found 0.5, allowed 0.1)." in told
    assert "The one claim that could be tested holds." in agreed([claim("a", Ruling.HOLDS, 0.3)])[0]
    assert "Not claimed, for the reasons below: claim d." in agreed([claim("d", Ruling.NOT_CLAIMED, np.nan)])


def test_noise_is_called_noise_beside_every_large_relative_difference(tree: xr.Dataset) -> None:
    drowned = tree.copy()
    drowned["local_bif_simulated_stderr"] = 50 * tree["local_bif_simulated_stderr"]
    drowned["local_bif_simulated"].attrs["draws"] = 500
    told = Page(conclusion(drowned, [])).text
    assert "Noise." in told and told.count("are noise") == told.count("no verdict rests on it") == 1
    assert all(f"between dog and {other} (" in told.split("Noise.")[1] for other in ("cat", "sparrow", "oak"))
    errors = errors_for_people(drowned)
    others = errors[(errors["measure"] == "local BIF") & errors["items"].str.contains("dog and")]
    assert len(others) == 3 and (others["read as"] == "entries are noise").all()


def test_tables_speak_of_items_and_events_and_have_no_empty_columns(tree: xr.Dataset) -> None:
    for shown in (errors_for_people(tree), events_for_people(tree)):
        written = shown.to_string()
        for code in ("relative_l2", "within_4_se", "closed_form", "ancestor on level", "flip 1", "gradient_kernel"):
            assert code not in written
        assert not shown.isna().all().any()
    assert "first change of sign" in set(events_for_people(tree)["event"])


def test_one_side_alone_has_a_conclusion_of_its_own(tree: xr.Dataset) -> None:
    for side in ("analytic", "simulated"):
        names = [name for name in tree.data_vars if str(name).endswith(side) or "stderr" in str(name)]
        told = Page(conclusion(tree.drop_vars(names), [])).text
        assert "dog and cat (siblings) help each other until" in told
        assert "one of the sides is missing" in told


def test_formulas_in_plain_text_get_the_signs_of_mathematics() -> None:
    assert typeset("-g_i . g_j at the checkpoint, g_i = grad l_i") == "−gᵢ · gⱼ at the checkpoint, gᵢ = ∇lᵢ"
    assert typeset("held-out (H + damping)^{-1}") == "held-out (H + damping)⁻¹"


def test_a_long_sum_is_written_term_by_term_so_that_a_page_can_wrap_it() -> None:
    terms = sp.symbols("long_name_0:12")
    assert wrapped(sp.Add(*terms)).count('class="term"') == 12
    assert wrapped(sp.Add(*terms[:2])) == mathml(sp.Add(*terms[:2]))


def test_paper_unfolds_derivations_and_leaves_no_heading_alone() -> None:
    paper = CSS.split("@media print")[1]
    assert "details-content { content-visibility: visible" in paper
    assert re.search(r"h2, h3, dt, caption[^{]*{ break-after: avoid", paper)

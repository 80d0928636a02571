"""The catalogue holds every closed form, and `workbench derive` shows and writes them."""

import html.parser
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import sympy as sp

import workbench.theory
from workbench.errors import WorkbenchError
from workbench.report.derive import _display, as_html, as_latex
from workbench.report.equations import mathml
from workbench.report.sentences import sentence
from workbench.semantics import Hierarchy
from workbench.theory.catalogue import catalogue, find, listing
from workbench.theory.printing import LINE, breadth, latex, lines, plain
from workbench.theory.prose import pieces
from workbench.theory.sentences import escape, math_of, words

#: Forms whose derivation takes sympy longer than a second; their own tests check their steps.
SLOW = {"scalar_volume", *(f"nu_diffusion_k{k}" for k in range(4))}


def test_every_function_that_returns_a_closed_form_is_in_the_catalogue():
    sources = Path(workbench.theory.__file__).parent.rglob("*.py")
    public = {
        name
        for path in sources
        for name in re.findall(r"^def ([a-z]\w*)\([^)]*\) -> ClosedForm:", path.read_text(), re.M)
    }
    from workbench.theory import forms as module

    text = Path(module.__file__).read_text()
    helpers = {"derivation"}
    assert len(public) > 30
    assert {name for name in public - helpers if f'"{name}"' not in text} == set()


@pytest.mark.parametrize("name", sorted(set(catalogue()) - SLOW))
def test_a_form_builds_and_every_step_of_its_derivation_checks(name):
    form = find(name).build()
    results = form.self_check()
    assert results and all(step.passed for step in results), [step for step in results if not step.passed]
    text = form.text()
    assert text.endswith(f"Source: {form.source}") and "CHECK FAILED" not in text
    assert all(str(variable.symbol) in text for variable in form.variables)
    shown = form._repr_latex_()
    assert shown.startswith("$") and "=" in shown


def test_listing_the_names_builds_nothing():
    code = (
        "import workbench.theory.catalogue as c, workbench.theory.closed_form as f\n"
        "made = []\n"
        "f.ClosedForm.__post_init__ = lambda self: made.append(self.name)\n"
        "assert 'mode_strength' in c.listing() and not made, made\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_forms_on_a_tree_follow_its_branching():
    deep = catalogue(Hierarchy((3, 2, 2, 2)))
    assert {f"tree_kernel_m{m}" for m in range(4)} <= set(deep) and "tree_kernel_m4" not in deep
    assert {"tree_derivative_m4", "nu_indicator_k4"} <= set(deep)
    assert "flip_equation_m1" in listing(Hierarchy((2, 3)))
    symbols = {str(v.symbol) for v in find("tree_kernel_m1", Hierarchy((2, 3))).build().variables}
    assert symbols == {"a_0", "a_1", "a_2", "s_0", "s_1", "s_2", "c"}


def test_any_depth_can_be_asked_for():
    assert find("mode_time_depth_7").build().name == "mode_time_depth_7"
    with pytest.raises(WorkbenchError, match=r"D = 3 to 12; got 2"):
        find("mode_time_depth_2")
    with pytest.raises(WorkbenchError, match=r"D = 3 to 4; got 5"):
        find("phi_5")


def test_an_unknown_name_is_refused_in_one_line_with_near_matches(run_cli):
    ran = run_cli("derive", "mode_strenght")
    assert ran.code == 2 and ran.err.count("\n") == 1
    assert "mode_strength" in ran.err and "--list" in ran.err


@pytest.mark.parametrize("argv", [[], ["mode_loss", "--branching", "2;2"], ["mode_loss", "--html", "/nowhere/x.html"]])
def test_bad_input_is_refused_in_one_line(run_cli, argv):
    ran = run_cli("derive", *argv)
    assert ran.code == 2 and ran.err.count("\n") == 1 and not ran.out


def test_the_terminal_shows_steps_with_their_checks(run_cli):
    ran = run_cli("derive", "mode_strength", "flip_equation_m1")
    assert ran.code == 0
    assert ran.out.count("(checked)") >= 7 and "CHECK FAILED" not in ran.out
    assert "Solve for a:" in ran.out and "R_1[e^2]" in ran.out
    assert "tree_kernel_m2" in run_cli("derive", "--list").out


def test_a_step_that_is_not_true_is_marked_and_exits_1(run_cli, monkeypatch):
    from dataclasses import replace

    from workbench.theory import closed_form
    from workbench.theory.modes import balanced as mode_dynamics

    right = mode_dynamics.half_rise_form()
    wrong = replace(right, steps=(*right.steps, closed_form.Step("One is two:", right.expression, right.expression)))
    monkeypatch.setattr(mode_dynamics, "half_rise_form", lambda: wrong)
    ran = run_cli("derive", "half_rise_time")
    assert ran.code == 1 and ran.out.count("CHECK FAILED") == 1


class _Balance(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_balanced_and_unfolded_and_needs_no_script(run_cli, tmp_path):
    target = tmp_path / "page.html"
    assert run_cli("derive", "mode_strength", "gradient_kernel", "--html", target).code == 0
    text = target.read_text(encoding="utf-8")
    page = _Balance()
    page.feed(text)
    assert not page.open and page.seen.count("math") > 20 and "script" not in page.seen
    assert text.count("<details open") == 2 and "check failed" not in text
    assert "http" not in re.sub(r"xmlns=\"[^\"]*\"", "", text)


def test_the_latex_document_balances_braces_and_environments(run_cli, tmp_path):
    target = tmp_path / "forms.tex"
    assert run_cli("derive", "mode_response", "riccati_solution", "pair_curvature", "--latex", target).code == 0
    text = target.read_text(encoding="utf-8")
    bare = re.sub(r"\\[\\{}]|\\left\s*\\?[{}.]|\\right\s*\\?[{}.]", "", text)
    depth = 0
    for character in bare:
        depth += (character == "{") - (character == "}")
        assert depth >= 0
    assert depth == 0
    for name in set(re.findall(r"\\begin{(\w+)}", text)):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}")
    assert text.count(r"\left") == text.count(r"\right")
    assert text.count(r"\section*") == 3


def test_plain_text_survives_latex():
    assert escape("50% of a_0^2 & {x}") == r"50\% of a\_0\textasciicircum{}2 \& \{x\}"


def test_several_forms_make_one_document():
    forms = [find(name).build() for name in ("mode_loss", "half_rise_time")]
    assert as_html(forms).count("<article") == 2 and "<h1>Derivations</h1>" in as_html(forms)
    assert as_latex(forms).count(r"\begin{document}") == 1


@pytest.mark.parametrize("branching", [(2, 2, 2), (3, 2)])
def test_every_form_bears_the_name_by_which_the_catalogue_knows_it(branching):
    names = {name: entry.build().name for name, entry in catalogue(Hierarchy(branching)).items()}
    assert {name: other for name, other in names.items() if name != other} == {}


def test_the_strength_of_a_mode_is_written_as_people_write_it(run_cli):
    ran = run_cli("derive", "mode_strength")
    assert "a(t) = (s/c)/(1 + (s/(a0*c) - 1)*exp(-2*s*t))" in ran.out
    expected = r"\frac{s / c}{1 + \left(\frac{s}{a_{0} c} - 1\right) e^{- 2 s t}}"
    assert latex(find("mode_strength").build().expression) == expected


@pytest.mark.parametrize("name", sorted(set(catalogue()) - SLOW - {"mode_response"}))
def test_what_is_printed_means_what_is_derived(name):
    form = find(name).build()
    symbols = sorted(form.expression.free_symbols, key=str)
    if any(not re.fullmatch(r"[A-Za-z]\w*", str(symbol)) for symbol in symbols):
        pytest.skip("a symbol that is no Python name")
    rng = np.random.default_rng(0)
    values = {symbol: sp.Float(x, 30) for symbol, x in zip(symbols, rng.uniform(0.3, 0.7, len(symbols)), strict=True)}
    read = sp.sympify(plain(form.expression), locals={str(symbol): symbol for symbol in symbols}, rational=True)
    ours, theirs = (complex(sp.N(formula.subs(values), 25)) for formula in (read, form.expression))
    assert ours == pytest.approx(theirs, rel=1e-12) or (ours != ours and theirs != theirs)


def test_symbols_and_words_of_a_derivation_become_mathematics_and_upright_text():
    assert math_of("I++_ab") == "I_{a b}^{+ +}"
    assert math_of("R_1[e^2]") == "R_{1} [ e^{2} ]"
    assert math_of("dl_j/deps_i^(2)") == r"d l_{j} / d\epsilon_{i}^{2}"
    assert words("with kappa_a = k_a^2, 50%") == r"with $\kappa_{a} = k_{a}^{2}$, 50\%"
    assert words("d(w2^2 - w1^2)/dt is") == r"$d ( w_{2}^{2} - w_{1}^{2} ) / d t$ is"
    assert words("decays as e^{-2 mu t} as D -> oo") == r"decays as $e^{- 2 \mu t}$ as $D \to \infty$"


def test_the_letter_a_and_the_word_a_are_told_apart():
    assert pieces("the strength a = w1 w2 of a mode") == [
        (False, "the strength "),
        (True, "a = w1 w2"),
        (False, " of a mode"),
    ]
    assert words("item 1, a learning rate x step, one-step") == r"item 1, a learning rate $\times$ step, one-step"
    assert words("in the mode's basis, e = s - c a the rest") == "in the mode's basis, $e = s - c a$ the rest"


@pytest.mark.parametrize("name", ["mode_strength", "pair_blocks_depth_3", "four_measures", "riccati_solution"])
def test_sentences_lose_nothing_and_their_mathematics_is_well_formed(name):
    form = find(name).build()
    for text in (form.title, *(step.statement for step in form.steps), *(step.why for step in form.steps)):
        assert "".join(piece for _, piece in pieces(text)) == text
        root = ElementTree.fromstring(f"<p>{sentence(text)}</p>")
        for tag, count in {"msub": 2, "msup": 2, "msubsup": 3, "mfrac": 2}.items():
            assert all(len(node) == count for node in root.iter(tag)), text
        assert not re.search(r"[_^]|(?<![a-z])[a-z]*alpha", "".join(root.itertext())), text
    assert latex(sp.Symbol("t_half")) == r"t_{\mathrm{half}}"


def test_no_identifier_is_left_raw_in_a_document():
    names = ("mode_response", "tree_derivative_m2", "flip_equation_m1", "half_rise_time")
    text = as_latex([find(name).build() for name in names])
    for raw in ("ealpha", "I++", "I+-", "deps", r"\_", "[e}"):
        assert raw not in text.replace(r"\includegraphics", ""), raw


def test_a_negative_exponent_has_no_brackets():
    s, t = sp.symbols("s t", positive=True)
    assert "(" not in "".join(ElementTree.fromstring(mathml(sp.exp(-2 * s * t))).itertext())
    assert "(" in "".join(ElementTree.fromstring(mathml(sp.exp(-2 * (s + t) * t))).itertext())


def test_long_sums_are_broken_at_their_terms_and_lines_fit_the_page():
    terms = sp.symbols("alpha_0:40")
    broken = lines(sp.Add(*terms))
    assert len(broken) > 2 and max(map(breadth, broken)) <= LINE
    assert "".join(broken).count("alpha") == 40
    inside = lines(terms[0] * (sp.Add(*terms[1:])))
    assert inside[0].count(r"\Bigl(") == inside[-1].count(r"\Bigr)") == 1
    assert lines(terms[0]) == [latex(terms[0])]


def test_breadth_grows_with_what_is_seen_and_not_with_commands():
    assert breadth("b + c") < breadth(r"\frac{a}{b + c}") < breadth("a + b + c")
    assert breadth(r"\left(a\right)") == breadth("(a)")
    assert breadth("x^{2}") < breadth("x2")


def test_every_step_of_every_derivation_is_checked_by_sympy(run_cli):
    ran = run_cli("derive", "--check")
    assert ran.code == 0
    counted = re.search(r"^(\d+) closed forms: sympy confirms (\d+) of (\d+) steps$", ran.out, re.M)
    assert counted and counted[2] == counted[3] and int(counted[1]) == len(catalogue())


def test_every_step_says_why():
    for name, entry in catalogue().items():
        if name not in SLOW and not name.endswith(("_depth_4", "_depth_5")):
            assert all(step.why for step in entry.build().steps), name


def test_what_no_line_can_hold_is_set_term_by_term():
    one, other = (sp.Mul(*sp.symbols(f"{letter}_0:60")) for letter in "xy")
    assert breadth(latex(one)) > LINE
    first, second = _display(one - other, "a = ").splitlines()
    assert first.startswith(r"\fit{a = x_{0}") and second.startswith(r"\fit{- y_{0}")


def test_lines_of_a_long_formula_fit_the_page():
    text = as_latex([find("unbalanced_strength").build()])
    aligned = re.findall(r"^&(.*?)(?: \\\\)?$", text, re.M)
    assert aligned and max(map(breadth, aligned)) <= LINE


def test_what_divides_twice_is_read_as_it_is_meant():
    s, c, a0, t = sp.symbols("s c a_0 t", positive=True)
    late = 1 + sp.exp(-s * t)
    assert latex(s / (c * a0) / late).startswith(r"\frac{s / \left(a_{0} c\right)}")


def test_an_index_in_brackets_is_no_power():
    assert math_of("K^{(1)}") == "K^{( 1 )}" and math_of("a^(2/D)") == "a^{2 / D}"


def test_names_are_mathematics_in_mathml():
    t = sp.Symbol("t")
    written = {
        sp.Function("m_ab")(t): "m ab ( t )",
        sp.Function("F")(t): "F ( t )",
        sp.Symbol("eps_1"): "ε 1",
        sp.Symbol("I++_ab"): "I a b + +",
        sp.hyper((1, 2), (3,), t): "2 F 1 ( 1 , 2 , 3 , t )",
    }
    for expression, seen in written.items():
        assert " ".join(ElementTree.fromstring(mathml(expression)).itertext()) == seen
    assert "layers'" in words("the product of both layers' overlaps")


def test_signs_as_indices_are_signs_in_every_notation():
    text, page = (make([find("riccati_solution").build()]) for make in (as_latex, as_html))
    assert r"X_{+ +}" in text and r"q_{+}" in text and r"time}^{- 1 / 2}" in text
    assert "plus" not in page.replace("surplus", "") and "minus" not in page
    assert "time<sup>−1/2</sup>" in page
    assert re.search(r"<msub><mi>X</mi><mrow><mo>\+</mo><mo>\+</mo></mrow></msub>", page)


def test_a_minus_sign_stands_before_a_fraction():
    s = sp.Symbol("s")
    assert mathml(-s / 2).index("<mo>−</mo>") < mathml(-s / 2).index("<mfrac>")


def test_the_list_is_read_without_a_decoder():
    assert "+-" not in listing()


def test_a_notebook_breaks_a_formula_that_is_wider_than_a_page():
    wide, narrow = (find(name).build()._repr_markdown_() for name in ("mode_response", "mode_strength"))
    assert wide.count(r"\begin{aligned}") == wide.count(r"\end{aligned}") == 1 and r" \\ &" in wide
    assert "aligned" not in narrow

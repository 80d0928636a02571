"""The bench: truths equal independent computations, controls lose, and a bad method is one row."""

import sys
from argparse import Namespace
from dataclasses import replace
from functools import cache
from itertools import permutations
from math import factorial

import numpy as np
import pandas as pd
import pytest
import torch

from workbench.bench import METHODS, PROBLEMS, Method, Problem, bench, example_gradients, leaderboard, method_from_file
from workbench.bench.markdown import problem_table
from workbench.bench.methods.curvature import ByProducts, Diagonalised, hessian_products, mean_loss_hessian
from workbench.bench.problem import pair_levels, problem_of, queries_of
from workbench.bench.retraining import by_differentiation, derivative, training_of
from workbench.bench.run import ChainNetwork, Examples
from workbench.bench.runner import evaluate
from workbench.bench.setup import flat_starts, recipe_of, starts_of
from workbench.bench.summary import sign_warning
from workbench.bench.truth import lds_of, runs_of, truths_of, window_steps
from workbench.commands.bench import _methods, _split
from workbench.comparison import no_bar
from workbench.errors import WorkbenchError
from workbench.semantics import Hierarchy
from workbench.simulation import all_subsets, retrained_losses, trajectory_derivative
from workbench.store import NOWHERE

#: Small versions of the problems: the 2,2 tree, few checkpoints, coarse steps.
SMALL = {
    name: replace(
        PROBLEMS[name],
        task=Hierarchy((2, 2)).indicator_task,
        checkpoints=5,
        subsets=6,
        hidden=6,
        eta=4 * PROBLEMS[name].eta,
        batch_size=PROBLEMS[name].batch_size and 3,
        t_max=PROBLEMS[name].t_max / 2,
    )
    for name in ("tree", "relu", "adam", "deep", "cross_entropy")
}


@cache
def truths(name, seeds=1):
    return truths_of(SMALL[name], seeds, no_bar, NOWHERE)


@pytest.mark.parametrize("name", ["tree", "relu", "deep"])
def test_truths_by_hand_written_passes_equal_those_by_automatic_differentiation(name):
    """Queries included; neither side shares a line of arithmetic with the other."""
    problem, truth = SMALL[name], truths(name)
    P = truth.levels.shape[0]
    exact = training_of(problem).derivative(flat_starts(starts_of(problem, 1)))
    assert np.abs(truth.influence["derivative"] - exact).max() < 1e-8 * np.abs(exact).max()
    losses = by_differentiation(problem, 1, np.vstack([np.ones(P), 1 - np.eye(P), truth.subsets]))
    removed, scale = losses[:, :, :1] - losses[:, :, 1 : P + 1], losses.max()
    assert np.abs(truth.influence["leave_one_out"] - removed).max() < 1e-8 * scale
    assert np.abs(truth.subset_losses - losses[:, :, P + 1 :]).max() < 1e-8 * scale
    absent = losses[:, :, :1] - by_differentiation(problem, 1, 1 - np.eye(P), window_steps(problem))
    assert np.abs(truth.influence["window_removal"] - absent).max() < 1e-8 * scale


def test_truths_by_automatic_differentiation_equal_those_by_hand_written_passes():
    """Adam with mini-batches: the other way round, for the items."""
    problem, truth = SMALL["adam"], truths("adam")
    (start,), recipe, P = starts_of(problem, 1), recipe_of(problem), truth.levels.shape[0]
    losses = retrained_losses(start, recipe, np.vstack([np.ones(P), 1 - np.eye(P)]))
    removed = losses[:, :1] - losses[:, 1:]
    assert np.abs(truth.influence["leave_one_out"][0, ..., :P] - removed).max() < 1e-8 * losses.max()
    derivative = trajectory_derivative(start, recipe)
    assert np.abs(truth.influence["derivative"][0, ..., :P] - derivative).max() < 1e-8 * np.abs(derivative).max()


@pytest.mark.parametrize("name", ["tree", "cross_entropy"])
def test_shapley_values_are_the_mean_over_all_orders_of_what_an_item_adds(name):
    problem = replace(SMALL[name], checkpoints=3)
    truth = truths_of(problem, 1, no_bar, NOWHERE)
    P, N = truth.levels.shape
    losses = by_differentiation(problem, 1, all_subsets(P).astype(float))[0]  # (T, 2^P, N)
    mean = np.zeros((3, P, N))
    for order in permutations(range(P)):
        trained_on = 0
        for item in order:
            mean[:, item] += losses[:, trained_on | 1 << item] - losses[:, trained_on]
            trained_on |= 1 << item
    shapley = truth.influence["shapley"][0]
    assert np.abs(shapley - mean / factorial(P)).max() < 1e-8 * losses.max()
    # Efficiency: they share out what training on all items does.
    assert np.allclose(shapley.sum(axis=1), losses[:, -1] - losses[:, 0], atol=1e-10)


@pytest.mark.parametrize("name", ["tree", "deep"])
def test_the_closed_form_differs_from_the_derivative_by_the_size_of_the_steps(name):
    coarse, fine = (replace(SMALL[name], eta=PROBLEMS[name].eta * n) for n in (2, 1))
    errors = [truths_of(problem, 1, no_bar, NOWHERE).step_error for problem in (coarse, fine)]
    # Euler's method is of first order; the correction of second order is what is left at these steps.
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.15)
    assert errors[1] < 0.04
    table = problem_table({name: truths(name), "relu": truths("relu")}).set_index("problem")
    assert table.loc[name, "step error"] == truths(name).step_error and np.isnan(table.loc["relu", "step error"])


def test_the_derivative_of_cross_entropy_and_of_queries_is_the_limit_of_reweighting():
    problem = replace(SMALL["cross_entropy"], checkpoints=3, t_max=6.0)
    P = truths("cross_entropy").levels.shape[0]
    exact = derivative(problem, 1)
    error = []
    for eps in (1e-2, 5e-3):
        more, less = (by_differentiation(problem, 1, 1 + sign * eps * P * np.eye(P)) for sign in (1, -1))
        error.append(np.abs((more - less) / (2 * eps) - exact).max())
    # Central differences: the error falls with the square of eps.
    assert error[0] / error[1] == pytest.approx(4, rel=0.1)
    assert error[1] < 1e-2 * np.abs(exact).max()


@pytest.mark.parametrize(("activation", "loss"), [("tanh", "squared"), ("linear", "cross_entropy")])
def test_functions_of_a_hessian_by_its_products_are_those_by_its_eigenvectors(activation, loss):
    rng = np.random.default_rng(5)
    net = ChainNetwork([0.5 * rng.standard_normal((6, 5)), 0.5 * rng.standard_normal((4, 6))], activation)
    inputs, targets = (torch.tensor(rng.integers(0, 2, (7, n)), dtype=torch.float64) for n in (5, 4))
    items = Examples(tuple("abcdefg"), inputs, targets, loss)
    g = example_gradients(net, items).detach()
    H, products = mean_loss_hessian(net, items), hessian_products(net, items)
    assert torch.allclose(products(g), g @ H, atol=1e-12)
    exact, polynomials = Diagonalised(H), ByProducts(products, len(H))
    assert polynomials.low < exact.least and polynomials.least == pytest.approx(exact.least, rel=1e-2)
    for f in (lambda h: np.exp(-3 * h), lambda h: 1 / (h - 2 * exact.least + 0.1)):
        expected = exact.function(f, g)
        # Coefficients below 1e-8 are left out, and there are some dozens.
        assert (polynomials.function(f, g) - expected).abs().max() < 1e-6 * expected.abs().max()


def test_a_query_is_a_new_leaf_beside_its_siblings():
    task = Hierarchy((2, 2, 2)).indicator_task()
    queries = queries_of(task)
    assert len(queries.names) == 4
    assert queries.level[:, 0].tolist() == [2, 2, 1, 1, 0, 0, 0, 0]
    # It has its ancestors' properties (root, domain, class) and none of its siblings' own.
    assert queries.Y[:, 0].sum() == 3
    assert np.allclose(queries.X[:, 0], [0.5, 0.5, 0, 0, 0, 0, 0, 0])
    assert (np.diag(pair_levels(task)) == -1).all()


def test_membership_fools_the_pooled_datamodelling_score_and_not_the_one_given_the_target():
    tree = truths_of(replace(PROBLEMS["tree"], checkpoints=4, subsets=12, eta=0.2), 1, no_bar, NOWHERE)
    identity = np.broadcast_to(-np.eye(8), (1, len(tree.times), 8, 8))
    pooled, given = (lds_of(identity, tree, given_target=g)[:, 1:] for g in (False, True))
    assert pooled.mean() > 0.7
    # Within subsets that agree on the target it says the same of all: no rank, no score.
    assert np.isnan(given).all()


@cache
def scored():
    quick = [method for name, method in METHODS.items() if name != "local_bif"]
    return bench([replace(PROBLEMS["tree"], eta=0.1, subsets=8, hidden=8, checkpoints=13)], quick, seeds=2, limit=60)


@pytest.mark.slow
def test_every_control_loses_to_every_method():
    result = scored()
    board = leaderboard(result.table, result.costs, result.methods)
    ran = board[board["problems failed"] == 0]  # the adapters of libraries that are not installed are told apart below
    assert ran[ran.control].agreement.max() < ran[~ran.control].agreement.min()
    assert set(METHODS) - set(ran.method) <= {"local_bif"} | {
        name for name in METHODS if "adapters" in METHODS[name].function.__module__
    }
    assert board.method[0] == "segmentwise_unrolling"
    assert set(board[board.control].method) == {"zero", "random", "identity", "minus_kernel", "final_gradients"}


@pytest.mark.slow
def test_the_long_table_has_its_columns_and_levels():
    table = scored().table
    assert list(table.columns) == ["method", "problem", "truth", "time", "level", "score", "value", "low", "high"]
    assert {"0", "1", "2", "off_diagonal", "all"} <= set(table.level)
    known = table[table.score == "agreement"].dropna()
    assert (known.low <= known.value + 1e-12).all() and (known.value <= known.high + 1e-12).all()


@pytest.mark.slow
def test_the_same_bench_gives_the_same_scores_bit_by_bit():
    chosen = [METHODS[name] for name in ("local_bif", "random_projection", "random")]
    first, second = (bench([SMALL["tree"]], chosen, seeds=2).table for _ in range(2))
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_a_method_of_the_other_sign_is_told_so():
    def positive(network, examples):
        g = example_gradients(network, examples)
        return g @ g.T

    run = runs_of(SMALL["tree"], 1, truths("tree"))
    wrong = evaluate(Method("wrong", positive), SMALL["tree"], run, 60)
    assert "positive_helps" in sign_warning(wrong, truths("tree"))
    right = evaluate(Method("right", positive, sign="positive_helps"), SMALL["tree"], run, 60)
    assert sign_warning(right, truths("tree")) == ""
    assert np.allclose(right.influence, -wrong.influence)


def raising(network, examples):
    raise ValueError("no gradients\nhere")


def not_finite(network, examples):
    return np.full((4, 4), np.nan)


def complex_numbers(network, examples):
    return 1j * np.eye(len(examples))


def forgetful(network, examples):
    example_gradients(network, examples)


def leaving(network, examples):
    raise SystemExit(3)


def misshapen(network, examples):
    return np.zeros((3, 3))


def endless(network, examples):
    while True:
        pass


def dying(network, examples):
    import os

    os.kill(os.getpid(), 9)


@pytest.mark.parametrize(
    ("function", "limit", "reason"),
    [
        (raising, 60, "raised ValueError: no gradients here"),
        (not_finite, 60, "values that are not finite"),
        (misshapen, 60, "shape (5, 3, 3)"),
        (complex_numbers, 60, "complex numbers; give real ones"),
        (forgetful, 60, "it returned nothing"),
        (leaving, 60, "raised SystemExit: 3"),
        (endless, 0.5, "took longer than 0.5 s"),
        (dying, 60, "its process died (SIGKILL)"),
    ],
)
def test_a_method_that_fails_is_one_row_with_the_reason(function, limit, reason):
    run = runs_of(SMALL["tree"], 1, truths("tree"))
    found = evaluate(Method("bad", function), SMALL["tree"], run, limit)
    assert found.influence is None
    assert reason in found.failure and "\n" not in found.failure


def test_a_method_cannot_change_the_run_it_sees():
    def vandal(network, examples):
        for p in network.parameters():
            p.data.zero_()
        return np.zeros((4, 4))

    (run,) = runs_of(SMALL["tree"], 1, truths("tree"))
    before = [p.detach().clone() for p in run.checkpoints[3].parameters()]
    evaluate(Method("vandal", vandal), SMALL["tree"], [run], 60)
    assert all(torch.equal(a, b) for a, b in zip(before, run.checkpoints[3].parameters(), strict=True))


@pytest.mark.parametrize(
    "function",
    [lambda network, examples, damping: 0, lambda network, examples, *, damping: 0, lambda run, damping: 0],
)
def test_a_method_whose_options_have_no_default_is_refused_before_anything_is_trained(function):
    with pytest.raises(WorkbenchError, match="give every option a default"):
        Method("mine", function)
    assert Method("mine", lambda network, examples, damping=1.0: 0).of_one_checkpoint
    assert not Method("mine", lambda run, damping=1.0: 0).of_one_checkpoint


def test_names_in_place_of_problems_and_methods_are_refused():
    for problems, methods in (["tree"], [METHODS["zero"]]), ([PROBLEMS["tree"]], ["zero"]):
        with pytest.raises(WorkbenchError, match="give objects, such as"):
            bench(problems, methods)


@pytest.mark.parametrize("draw", [lambda n: np.random.standard_normal((n, n)), lambda n: torch.randn(n, n)])  # noqa: NPY002
def test_what_a_method_leaves_to_chance_differs_between_seeds_and_is_the_same_again(draw):
    """Without seeds of its own: intervals over seeds must hold its noise, and a second bench give the same scores."""

    def chance(network, examples):
        return draw(len(examples))

    runs = runs_of(SMALL["tree"], 2, truths("tree", seeds=2))
    first, again = (evaluate(Method("chance", chance), SMALL["tree"], runs, 60) for _ in range(2))
    assert np.array_equal(first.influence, again.influence)
    assert not np.allclose(first.influence[0], first.influence[1])


def test_what_a_method_prints_is_shown(capfd):
    def talking(network, examples):
        print("here I am")
        return np.zeros((4, 4))

    evaluate(Method("talking", talking), SMALL["tree"], runs_of(SMALL["tree"], 1, truths("tree")), 60)
    assert "here I am" in capfd.readouterr().out


def test_problems_are_split_at_commas_that_do_not_belong_to_a_tree():
    assert _split("tree:3,2,newick:((a,b),c);,my.csv", "--problems") == ["tree:3,2", "newick:((a,b),c);", "my.csv"]


def test_a_table_of_ones_own_is_a_problem(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("item,a,b,c\nx,1,0,1\ny,1,1,0\nz,0,1,1\nw,0,0,1\n")
    problem = problem_of(str(path))
    assert isinstance(problem, Problem) and problem.task().n_items == 4


def test_a_method_comes_from_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", list(sys.path))
    path = tmp_path / "mine.py"
    path.write_text("def score(network, examples):\n    return -(examples.inputs @ examples.inputs.T)\n")
    assert method_from_file(f"{path}:score").of_one_checkpoint
    (tmp_path / "helper_of_mine.py").write_text("SIGN = -1\n")
    (tmp_path / "two.py").write_text("from helper_of_mine import SIGN\ndef score(run):\n    return SIGN\n")
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit('bye')\n")
    assert not method_from_file(f"{tmp_path}/two.py:score").of_one_checkpoint
    for text, reason in (
        (f"{path}:other", "no function"),
        (f"{tmp_path}/leaves.py:score", "the file does not run .SystemExit: bye"),
        (f"{tmp_path}/no.py:score", "no file"),
        ("score", "FILE.py"),
    ):
        with pytest.raises(WorkbenchError, match=reason):
            method_from_file(text)


@pytest.mark.parametrize("library", ["captum", "dattri", "kronfluence", "devinterp", "bergson"])
def test_a_library_that_is_missing_is_a_row_that_says_so(library):
    from importlib import import_module, util

    module = import_module(f"workbench.bench.adapters.{library}_methods")
    if util.find_spec(library) is not None:
        pytest.skip(f"{library} is installed here")
    own = [m for m in METHODS.values() if m.function.__module__ == module.__name__]
    (run,) = runs_of(SMALL["tree"], 1, truths("tree"))
    assert own
    for method in own:
        assert "No module named" in evaluate(method, SMALL["tree"], [run], 60).failure


@pytest.mark.slow
def test_the_command_writes_its_files_and_rechecks_them(tmp_path, run_cli):
    mine = tmp_path / "mine.py"
    mine.write_text("def score(network, examples):\n    raise RuntimeError('broken')\n")
    out = tmp_path / "out"
    chosen = ("--problems", "tree:2,2", "--methods", "gradient_kernel", "--method", f"{mine}:score", "--seeds", 1)
    ran = run_cli("bench", *chosen, "--out", out, "--quiet")
    assert ran.code == 0, ran.err
    assert "raised RuntimeError: broken" in ran.out
    names = {path.name for path in out.iterdir()}
    assert {"leaderboard.html", "scores.csv", "scores.nc", "costs.csv", "truths", "config.json"} <= names
    page = (out / "leaderboard.html").read_text()
    # Blue would say that it helps; a name is not broken inside.
    assert "plum gradient_kernel, grey the truth" in page and "blue" not in page and 'class="method"' in page
    assert "raised RuntimeError: broken" in page and "http" not in page.replace("http://www.w3.org", "")
    again = run_cli("bench", "--recheck", out)
    assert again.code == 0 and "differ by" in again.out


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--out", "x", "--seeds", "0"),
        ("--out", "x", "--limit", "-1"),
        ("--out", "x", "--methods", "nonsense"),
        ("--out", "x", "--problems", "nonsense"),
        ("--out", "x", "--method", "nonsense"),
        ("--recheck", "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(arguments, tmp_path, monkeypatch, run_cli):
    monkeypatch.chdir(tmp_path)
    ran = run_cli("bench", *arguments)
    assert ran.code == 2 and len(ran.err.strip().splitlines()) == 1 and not list(tmp_path.iterdir())


@pytest.mark.parametrize("named", ["tracin", "tracin,captum_tracincp"])
def test_methods_of_other_libraries_stand_beside_those_that_are_named(named):
    chosen = {m.name for m in _methods(Namespace(peers=True, methods=named, method=[])) if not m.control}
    assert {"tracin", "captum_tracincp"} <= chosen
    assert ("dattri_tracin" in chosen) == ("captum" not in named), "all of them where none is named"

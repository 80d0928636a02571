"""The figures of a lecture show what the theory says, readably, in files that say where they come from."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.testing.compare import compare_images
from PIL import Image
from test_figures import assert_readable, hostile_task, table_task

from workbench import figures, simulation, theory
from workbench.comparison.prediction import prediction, start_of
from workbench.errors import WorkbenchError
from workbench.figures import registry
from workbench.figures.anatomy import anatomy
from workbench.figures.arrangement import arrange
from workbench.figures.complexity import gaussian_estimate, sampled_estimate
from workbench.figures.files import draw
from workbench.figures.film_files import FRAMES_PER_SECOND, HOLD, write_film
from workbench.figures.gallery import example, page, shown_figures
from workbench.figures.modes import mode_parts
from workbench.figures.phases import phases_of
from workbench.figures.reading import mode_groups
from workbench.figures.representation import PARTED, hidden_map, splits
from workbench.figures.timing import curves_of_pair, events
from workbench.figures.validity import curvatures
from workbench.report.directory import check_target
from workbench.semantics import Hierarchy, rumelhart_task
from workbench.simulation.network.curvature import hessian_products
from workbench.simulation.sampling.learning_coefficient import gaussian_expectation
from workbench.theory.posterior.mode_prior import ModePrior
from workbench.theory.posterior.scalar_posterior import scalar_posterior

BASELINE = Path(__file__).parent / "baseline"
NAMES = (
    "task",
    "singular_modes",
    "mode_strengths",
    "loss",
    "hidden_trajectories",
    "influence_of_item",
    "sign_flip_anatomy",
    "influence_matrices",
    "local_posterior_validity",
    "measures_compared",
    "phase_decomposition",
    "learning_coefficient",
)

#: The measures that the command shows unless told otherwise.
THREE = ("gradient_kernel", "local_bif", "leave_one_out")

#: Root mean square difference to the stored image, of 255. The same versions give the same image; other builds of
#: the font library and of libm shift antialiasing, by less than 1. A curve moved by a visible amount gives more than
#: this: see `test_the_tolerance_of_the_image_tests_tells_a_slightly_stronger_start`.
TOLERANCE = 2.0
DPI = 50


@pytest.fixture(scope="module")
def tree() -> xr.Dataset:
    return prediction(Hierarchy((2, 2, 2)).indicator_task())


@pytest.fixture(scope="module")
def table() -> xr.Dataset:
    return prediction(rumelhart_task())


@pytest.fixture(scope="module")
def treeless() -> xr.Dataset:
    return prediction(hostile_task(), times=60)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.mpl_image_compare(
    baseline_dir=str(BASELINE), tolerance=TOLERANCE, style="default", savefig_kwargs={"dpi": DPI}
)
def test_figure_looks_as_stored(tree: xr.Dataset, name: str) -> Figure:
    # Half of the figures dark, so that both themes are watched.
    style = figures.dark(figures.PAGE) if NAMES.index(name) % 2 else figures.PAGE
    return figures.FIGURES[name].draw(figures.Subject(tree, style=style, only=THREE))


@pytest.mark.parametrize("name", ["mode_strengths", "sign_flip_anatomy", "hidden_trajectories"])
def test_the_tolerance_of_the_image_tests_tells_a_slightly_stronger_start(name: str, tmp_path: Path) -> None:
    other = prediction(Hierarchy((2, 2, 2)).indicator_task(), a0=0.013)
    style = figures.dark(figures.PAGE) if NAMES.index(name) % 2 else figures.PAGE
    figures.FIGURES[name].draw(figures.Subject(other, style=style)).savefig(tmp_path / "other.png", dpi=DPI)
    stored = tmp_path / "stored.png"
    stored.write_bytes((BASELINE / f"test_figure_looks_as_stored_{name}.png").read_bytes())
    difference = compare_images(str(stored), str(tmp_path / "other.png"), TOLERANCE, in_decorator=True)
    assert difference is not None
    assert difference["rms"] > TOLERANCE


def test_every_figure_has_words_and_numbers(tree: xr.Dataset) -> None:
    subject = figures.Subject(tree)
    stills = [name for name, figure in figures.figure_set("lecture").items() if figure.film is None]
    assert tuple(stills) == NAMES
    for name, figure in figures.FIGURES.items():
        words = figure.words(subject)
        assert words.title and words.caption.endswith(".") and words.alt and figure.purpose, name
        assert "{" not in words.title + words.caption + words.alt, name
        numbers = figure.table(subject)
        again = pd.read_csv(io.StringIO(numbers.to_csv(index=False)))
        assert list(again.columns) == list(map(str, numbers.columns)), name
        # Agreement needs a simulated side.
        assert len(numbers) > 0 or name == "agreement", name


def pair(ds: xr.Dataset, source: str | None = None, target: str | None = None) -> tuple[int, int]:
    subject = figures.Subject(ds, source, target)
    return subject.i, subject.j


def mine() -> figures.Illustration:
    """A figure of a user's own."""

    def draw(subject: figures.Subject) -> Figure:
        with subject.style.context():
            figure = subject.style.figure(2.0)
            subject.style.tidy(figure.subplots()).plot(subject.ds["time"], subject.ds["loss_analytic"])
        return figure

    return figures.Illustration(
        name="mine",
        purpose="the loss once more",
        title="Mine",
        caption="The loss of {task} and its {items}.",
        alt="A falling curve.",
        draw=draw,
        table=lambda s: s.ds["loss_analytic"].to_dataframe().reset_index(),
        sets=("report", "lecture"),
        facts={"items": lambda s: ", ".join(s.items)},
    )


def test_a_figure_of_ones_own_is_listed_drawn_reported_and_in_the_gallery(
    run_cli, tree: xr.Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(figures.FIGURES, "mine", mine())
    assert re.search(r"^mine +report, lecture +the loss once more$", run_cli("figures", "--list").out, re.M)
    ran = run_cli("figures", "--task", "tree:2,2", "--only", "mine", "--out", tmp_path / "out", "--formats", "svg")
    assert ran.code == 0, ran.err
    words = json.loads((tmp_path / "out" / "config.json").read_text())["figures"]["mine"]
    assert words["caption"].startswith("The loss of tree 2,2 and its ")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"mine.svg", "mine.csv", "config.json"}
    assert list(figures.figure_set("report"))[-1] == "mine"
    assert "## mine\n\nThe loss once more.\n\n![A falling curve.](mine.png)" in page(figures.Subject(tree))


def test_every_file_of_the_package_that_ends_with_figures_is_registered() -> None:
    folder = Path(figures.__file__).parent
    ending = {path.stem for path in folder.glob("*.py") if re.search(r"^FIGURES = ", path.read_text(), re.M)}
    assert ending == set(registry.FILES)


def test_the_gallery_in_the_documentation_is_that_of_the_figures_there_are() -> None:
    stored = Path(__file__).parents[1] / "docs" / "gallery"
    assert (stored / "README.md").read_text() == page(example())
    assert {path.stem for path in stored.glob("*.png")} == set(shown_figures())


@pytest.mark.parametrize(
    ("which", "style"),
    [("tree", figures.COLUMN), ("treeless", figures.COLUMN)],
    ids=["tree-column", "hostile-column"],
)
def test_no_text_is_clipped_or_overlaps_another(
    which: str, style: figures.Style, request: pytest.FixtureRequest
) -> None:
    subject = figures.Subject(request.getfixturevalue(which), style=style, only=THREE)
    for figure in figures.figure_set("lecture").values():
        assert_readable(figure.draw(subject))


@pytest.fixture(scope="module")
def animals() -> xr.Dataset:
    """As large as the tables of animals that the literature uses."""
    return prediction(table_task(33, 102), times=40)


@pytest.fixture(scope="module")
def deep() -> xr.Dataset:
    return prediction(Hierarchy((2, 2, 2, 2)).indicator_task(), times=60)


@pytest.mark.parametrize("which", ["deep", "table", "animals"])
@pytest.mark.slow
def test_a_figure_for_a_slide_fits_a_slide_and_all_of_it_is_readable(
    which: str, request: pytest.FixtureRequest
) -> None:
    subject = figures.Subject(request.getfixturevalue(which), style=figures.SLIDE, only=THREE)
    for name, figure in figures.FIGURES.items():
        drawn = figure.draw(subject)
        width, height = drawn.get_size_inches()
        assert width <= 13.34 and height <= 7.5, name
        assert_readable(drawn)


@pytest.mark.parametrize("rows", [[[1, 0], [0, 2]], [[1, 0], [1, 0], [1, 0]]], ids=["two items", "equal items"])
def test_the_smallest_tables_are_drawn(rows: list[list[int]]) -> None:
    from workbench.semantics import SemanticTask

    items, properties = tuple(f"item {i}" for i in range(len(rows))), ("p", "q")
    ds = prediction(SemanticTask("small", items, properties, np.array(rows, dtype=float).T), times=24)
    subject = figures.Subject(ds, style=figures.COLUMN)
    for name, figure in figures.figure_set("lecture").items():
        drawn = figure.draw(subject)
        assert len(figure.table(subject)) > 0
        if name in ("task", "hidden_trajectories"):
            assert_readable(drawn)


# --- what the figures show --------------------------------------------------------------------------------------------


def test_a_table_in_other_units_has_the_same_stages_in_its_own() -> None:
    small = rumelhart_task()
    from workbench.semantics import SemanticTask

    ds = prediction(SemanticTask("small", small.items, small.properties, 1e-4 * small.Y), times=24)
    # A start of 0.01 would be above all that there is to learn.
    assert ds.attrs["a0"] < 0.01 * float((ds["singular_value"] / ds.attrs["input_scale"]).max())
    assert np.isfinite(ds["half_rise_time"]).all()
    for figure in figures.figure_set("lecture").values():
        figure.draw(figures.Subject(ds))


def test_parts_of_the_modes_sum_to_the_table(tree: xr.Dataset, table: xr.Dataset, treeless: xr.Dataset) -> None:
    for ds in (tree, table, treeless):
        parts = mode_parts(ds, mode_groups(ds))
        np.testing.assert_allclose(parts.sum(axis=0), ds["Y"].values, atol=1e-12)


def test_distances_are_those_of_the_hidden_activity_and_the_map_never_stretches_them(table: xr.Dataset) -> None:
    found = hidden_map(table, np.linspace(0, 20, 9))
    trajectory = theory.aligned_trajectory(start_of(table), found.times)
    true = np.linalg.norm(trajectory.W1[:, :, :, None] - trajectory.W1[:, :, None, :], axis=1)
    np.testing.assert_allclose(found.distances, true[:, found.source], atol=1e-12)
    shown = np.linalg.norm(found.positions[:, :, None] - found.positions[:, None], axis=-1)
    assert (shown <= true + 1e-12).all()
    assert found.share == pytest.approx((shown**2).sum() / (true**2).sum())


def test_the_map_is_one_for_all_times(tree: xr.Dataset) -> None:
    few, many = hidden_map(tree, np.linspace(0, 30, 31)), hidden_map(tree, np.linspace(0, 30, 301))
    # Had every time its own map, signs and angles would jump between neighbouring times.
    steps = np.linalg.norm(np.diff(many.positions, axis=0), axis=-1)
    assert steps.max() < 0.05 * np.ptp(many.positions)
    np.testing.assert_allclose(few.positions, many.positions[::10], atol=1e-9)


def test_branch_points_come_in_the_order_of_the_levels_where_a_quarter_of_the_distance_is_reached(
    tree: xr.Dataset,
) -> None:
    found = hidden_map(tree, np.linspace(0, 30, 3001))
    sizes = [sum(map(len, branch.groups)) for branch in found.branches]
    assert sizes == [8, 4, 4, 2, 2, 2, 2]
    # Two siblings differ in one mode alone, of strength a: their distance grows like its root. From the logistic:
    s, c, a0 = 0.125, 1 / 8, 0.01
    last = float((s / c) / (1 + (s / (c * a0) - 1) * np.exp(-2 * s * 30)))
    a = PARTED**2 * last
    expected = np.log(a * (s - c * a0) / (a0 * (s - c * a))) / (2 * s)
    assert found.branches[-1].time == pytest.approx(expected, abs=0.01)  # the spacing of the times


def test_splits_of_a_clustering_part_plants_from_animals_first(table: xr.Dataset) -> None:
    groups = splits(table.drop_vars("common_ancestor_level"))[0]
    assert {frozenset(map(int, group)) for group in groups} == {frozenset(range(4)), frozenset(range(4, 8))}


@pytest.mark.parametrize(("target", "flip"), [("oak", 5.8193), ("sparrow", 7.0922), ("cat", 10.1965)])
def test_the_anatomy_flips_when_integrated_gradients_do(tree: xr.Dataset, target: str, flip: float) -> None:
    # Flip times of the 8-item tree from an ODE solver with explicit gradients.
    found = anatomy(tree, *pair(tree, "dog", target))
    assert found.flips == pytest.approx([flip], abs=1e-4)
    assert (found.hidden[1:] > 0).all()  # at equal starts it is 0 at t = 0


def test_factors_multiply_to_the_influence_and_shares_add_up(table: xr.Dataset) -> None:
    i, j = pair(table, "Robin", "Oak")
    found = anatomy(table, i, j, table["time"].values)
    expected = table["gradient_kernel_analytic"].values[:, i, j]
    np.testing.assert_allclose(found.influence, expected, atol=1e-12 * np.abs(expected).max())
    np.testing.assert_allclose(found.shares.sum(axis=1), found.error, atol=1e-14)


def test_the_pair_shown_unless_named_changes_its_sign_and_wrong_names_are_refused(tree: xr.Dataset) -> None:
    i, j = pair(tree)
    values = tree["gradient_kernel_analytic"].values[:, i, j]
    assert i == 0 and values.min() < 0 < values.max()
    assert pair(tree, target="dog")[0] != 0
    with pytest.raises(WorkbenchError, match="two different items"):
        figures.Subject(tree, "dog", "dog")
    with pytest.raises(WorkbenchError, match="'unicorn'; the items are dog"):
        figures.Subject(tree, "dog", "unicorn")


def test_the_curvature_shown_is_the_smallest_of_the_whole_hessian() -> None:
    ds = prediction(Hierarchy((2, 2)).indicator_task(), hidden=3, times=24)
    t = ds["time"].values[[0, 9, 20]]
    trajectory = theory.aligned_trajectory(start_of(ds), t)
    low, bound = curvatures(ds, t)
    for k in range(3):
        dense = np.linalg.eigvalsh(hessian_products(trajectory.at(k), np.eye(trajectory.network.n_weights)))
        assert low[k] == pytest.approx(dense[0], abs=1e-10)
        assert low[k] >= bound[k] - 1e-12


def test_events_are_found_at_known_extremes_and_zeros(tree: xr.Dataset) -> None:
    t = tree["time"].values
    curve = -np.cos(2 * np.pi * (t - 2) / 40)
    found = events(tree, {"gradient_kernel": curve}).set_index("event")["time"]
    assert found["helps most"] == pytest.approx(2, abs=1e-3)
    assert found["sign changes"] == pytest.approx(12, abs=1e-3)
    assert found["harms most"] == pytest.approx(22, abs=1e-3)


def test_leave_one_out_is_shown_per_weight_as_the_derivative_is(tree: xr.Dataset) -> None:
    curves = curves_of_pair(tree, 0, 1)
    np.testing.assert_array_equal(curves["leave_one_out"], 8 * tree["leave_one_out_analytic"].values[:, 0, 1])
    # On this tree removing an item is no small change, but both help until well after the kernel has turned (10.2).
    helps = tree["time"].values < 10.2
    assert (curves["leave_one_out"][helps][1:] < 0).all() and (curves["trajectory_derivative"][helps][1:] < 0).all()


def test_phases_peak_where_the_exact_posterior_was_found_to() -> None:
    # gamma s/c = 30: measured by brute force for one mode, in units of the transition.
    shallow, posterior = phases_of(2)
    assert shallow.peak is not None
    assert shallow.peak / shallow.transition == pytest.approx(1.37, abs=0.01)
    assert shallow.equal_mass / shallow.transition == pytest.approx(2.07, abs=0.01)
    deep, _ = phases_of(3)
    assert deep.peak is not None
    assert deep.peak / deep.transition == pytest.approx(1.01, abs=0.01)
    np.testing.assert_allclose(posterior.within + posterior.between, posterior.variance, rtol=1e-9)


def test_phases_are_told_in_the_units_of_the_task(table: xr.Dataset) -> None:
    numbers = figures.FIGURES["phase_decomposition"].table(figures.Subject(table))
    s, c = float(table["singular_value"][0]), 1 / 8
    for depth in (2, 3):
        rows = numbers[numbers["depth"] == depth].iloc[[10, 80, 150]]
        gamma = float(rows["gamma"].iloc[0])
        direct = scalar_posterior(s, c, rows["n_beta"].values, ModePrior(gamma, depth), n_items=8)
        np.testing.assert_allclose(rows["variance"], direct.variance, rtol=1e-8)
        np.testing.assert_allclose(rows["mass_learned"], direct.mass_learned, rtol=1e-7, atol=1e-12)


def test_learning_coefficients_of_the_stages_are_the_published_ones(tree: xr.Dataset) -> None:
    table = figures.FIGURES["learning_coefficient"].table(figures.Subject(tree))
    steps = table.drop_duplicates("rank")[["rank", "learning_coefficient", "multiplicity"]]
    # Aoyagi & Watanabe (2005) for layers of 8, 16 and 15 units.
    expected = [(0, 54, 2), (1, 55.5, 1), (2, 57, 2), (4, 59, 2), (8, 60, 1)]
    assert [tuple(row) for row in steps.itertuples(index=False)] == expected


def test_the_local_estimate_is_that_of_the_whole_hessian_and_gradient() -> None:
    ds = prediction(Hierarchy((2, 2)).indicator_task(), hidden=6, times=24)
    t = ds["time"].values[[0, 7, 15, 23]]
    trajectory = theory.aligned_trajectory(start_of(ds), t)
    found = gaussian_estimate(ds, t, 100.0, 2000.0)
    for k in range(4):
        expected = gaussian_expectation(trajectory.at(k), 100.0, 2000.0)
        assert found[k] == pytest.approx(expected, rel=1e-9)


def test_chains_agree_with_the_predicted_estimate_up_to_their_step_size(tree: xr.Dataset) -> None:
    found = sampled_estimate(tree, checkpoints=3)
    assert found is not None
    predicted = gaussian_estimate(tree, found["time"].values, 100.0, 1000.0)
    # Variances are too large by up to 2.5% (the step size), on parts of both signs that sum to at most 3; the Gaussian
    # itself is good to about 1% of them.
    np.testing.assert_allclose(found["value"], predicted, atol=3 * 0.035 + 4 * float(found["stderr"].max()))


def test_colours_on_the_map_follow_the_place_in_the_tree(tree: xr.Dataset) -> None:
    from matplotlib.colors import to_hex

    collections = figures.hidden_trajectories(tree).axes[0].collections
    paths = next(c for c in collections if isinstance(c, LineCollection) and len(c.get_segments()) == 8)
    order = arrange(tree)
    expected = figures.PAGE.item_colours(order.branch, order.place)
    assert [to_hex(colour) for colour in paths.get_color()] == expected


#: What remains of linear sRGB without green or red cones (Machado, Oliveira & Fernandes 2009, severity 1).
DICHROMATS = {
    "deuteranope": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "protanope": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
}


def closest_pair(colours: list[str], seen: list[list[float]]) -> float:
    """Smallest CIELAB distance between colours as a dichromat sees them."""
    from matplotlib.colors import to_rgb

    rgb = np.array([to_rgb(colour) for colour in colours])
    linear = np.clip(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ np.array(seen).T, 0, 1)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    )
    x, y, z = np.cbrt(np.maximum(linear @ to_xyz.T / [0.95047, 1.0, 1.08883], 0.0089)).T
    lab = np.column_stack([116 * y, 500 * (x - y), 200 * (y - z)])
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    return float(apart[np.triu_indices(len(lab), 1)].min())


@pytest.mark.parametrize("who", DICHROMATS)
@pytest.mark.parametrize("style", [figures.PAGE, figures.dark(figures.PAGE)], ids=["light", "dark"])
def test_colours_are_told_apart_without_red_green_vision(style: figures.Style, who: str) -> None:
    seen = DICHROMATS[who]
    # About 2.3 is just noticeable side by side.
    items = style.item_colours(np.repeat([0, 1], 4), np.tile(np.linspace(0, 1, 4), 2))
    branches = style.item_colours(np.arange(6), np.full(6, 0.5))
    for colours in (items, branches, style.sequence(4), style.sequence(5)):
        assert closest_pair(colours, seen) > 8
    ends = [style.diverging()(end) for end in (0.0, 1.0)]
    assert closest_pair(ends, seen) > 50


def luminance(colour: str) -> float:
    from matplotlib.colors import to_rgb

    rgb = np.array(to_rgb(colour))
    return float(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("style", [figures.PAGE, figures.dark(figures.PAGE)], ids=["light", "dark"])
def test_every_colour_of_lines_and_names_stands_out_from_its_ground_as_text_must(style: figures.Style) -> None:
    items = style.item_colours(np.repeat(np.arange(6), 5), np.tile(np.linspace(0, 1, 5), 6))
    for colour in [*items, *style.sequence(4), *style.sequence(9), style.ink, style.muted]:
        low, high = sorted((luminance(colour), luminance(style.background)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, colour


def test_help_and_harm_sign_and_branches_have_no_colour_in_common() -> None:
    import colorsys

    from matplotlib.colors import to_rgb

    style = figures.PAGE
    branches = style.item_colours(np.arange(6), np.full(6, 0.5))
    ends = [style.diverging()(end)[:3] for end in (0.0, 1.0)] + [style.signed()(end)[:3] for end in (0.0, 1.0)]
    hues = [colorsys.rgb_to_hsv(*to_rgb(colour))[0] for colour in [*branches[:4], *ends]]
    apart = np.abs(np.subtract.outer(hues, hues))
    apart = np.minimum(apart, 1 - apart)[np.triu_indices(len(hues), 1)]
    assert apart.min() > 0.02


def test_an_item_has_the_same_colour_on_its_path_and_on_its_curve(tree: xr.Dataset) -> None:
    from matplotlib.colors import to_hex

    order = arrange(tree)
    expected = figures.PAGE.item_colours(order.branch, order.place)
    ax = figures.influence_of_item(tree, "dog").axes[0]
    cat = next(line for line in ax.lines if line.get_label() == "cat")
    assert to_hex(cat.get_color()) == expected[1]


@pytest.mark.parametrize("which", ["tree", "table"])
def test_on_the_map_the_first_split_is_seen_first(which: str, request: pytest.FixtureRequest) -> None:
    ds = request.getfixturevalue(which)
    paths = hidden_map(ds, np.linspace(0, float(ds["time"].values[-1]), 400))
    first, *others = splits(ds)

    def seen(groups: tuple, part: float) -> float:
        centres = np.stack([paths.positions[:, group].mean(axis=1) for group in groups])
        apart = np.linalg.norm(centres - centres.mean(axis=0), axis=-1).max(axis=0)
        return float(paths.times[np.argmax(apart >= part * np.ptp(paths.positions[-1, :, 0]))])

    # When the groups are apart on the page by a tenth of the map's width; never for splits that it cannot show.
    later = [seen(groups, 0.05) or np.inf for groups in others]
    assert seen(first, 0.05) < min(later)
    # It lies along x.
    centres = np.stack([paths.positions[-1, group].mean(axis=0) for group in first])
    assert abs(centres[0, 0] - centres[1, 0]) > 3 * abs(centres[0, 1] - centres[1, 1])


def test_every_item_is_named_on_the_map_of_a_table_of_33(animals: xr.Dataset) -> None:
    ax = figures.hidden_trajectories(animals, style=figures.SLIDE).axes[0]
    assert {str(name) for name in animals["item"].values} <= {label.get_text() for label in ax.texts}


def test_distances_start_from_the_source_asked_for(tree: xr.Dataset) -> None:
    ax = figures.hidden_trajectories(tree, "rose").axes[1]
    assert ax.get_title(loc="left") == "from rose to each"
    assert "distance_from_rose" in figures.FIGURES["hidden_trajectories"].table(figures.Subject(tree, "rose"))


@pytest.mark.parametrize("dpi", [60, 200])
def test_dots_per_inch_are_those_asked_for(tree: xr.Dataset, dpi: int) -> None:
    image = Image.open(io.BytesIO(draw(figures.loss(tree), {}, ("png",), dpi=dpi)["png"]))
    assert image.size[0] == round(7.2 * dpi)


def test_fonts_in_pdf_are_truetype(tree: xr.Dataset) -> None:
    written = draw(figures.sign_flip_anatomy(tree), {}, ("pdf",))["pdf"]
    assert b"/Type3" not in written.replace(b" ", b"")
    assert b"/CIDFontType2" in written.replace(b" ", b"")


def test_an_unaligned_start_is_refused_with_the_remedy(tree: xr.Dataset) -> None:
    other = tree.assign_attrs(init="gaussian:0.01")
    with pytest.raises(WorkbenchError, match=r"init gaussian.*`init` balanced"):
        figures.hidden_trajectories(other)


def test_a_prediction_has_the_numbers_of_the_simulated_comparison(tree: xr.Dataset) -> None:
    start = start_of(tree)
    schedule = simulation.Schedule.at(np.array([0.0, 8.0]), 0.01)
    trained = simulation.train(start, schedule)
    near = tree.interp(time=8.0)
    # Learning rate 0.01: mode strengths off by up to eta s ln(kappa)/2, 1.2%.
    np.testing.assert_allclose(near["mode_strength_analytic"], trained.mode_strengths[1], rtol=0.02)


# --- files ------------------------------------------------------------------------------------------------------------


def test_png_svg_and_pdf_carry_their_provenance_and_are_the_same_every_time(tree: xr.Dataset) -> None:
    facts = {"code_version": "1.2.3", "config": {"task": "tree é"}, "seed": 7}
    once, again = (draw(figures.loss(tree), facts, ("png", "svg", "pdf"), "Loss") for _ in range(2))
    assert once == again
    described = Image.open(io.BytesIO(once["png"])).info["Description"]
    assert json.loads(described) == {"code_version": "1.2.3", "config": '{"task": "tree \\u00e9"}', "seed": "7"}
    assert once["pdf"].startswith(b"%PDF") and b"CreationDate" not in once["pdf"]
    subject = re.search(rb"/Subject \((.*?)(?<!\\)\)", once["pdf"], re.S)
    assert subject is not None
    for fact in (b"1.2.3", b"tree", b"seed"):
        assert fact in subject[1]
    assert described.split('"seed"')[0][:20] in once["svg"].decode().replace("&quot;", '"')


def test_an_unknown_format_is_refused(tree: xr.Dataset) -> None:
    with pytest.raises(WorkbenchError, match="format bmp is unknown; use png, svg or pdf"):
        draw(figures.loss(tree), {}, ("png", "bmp"))


@pytest.mark.slow
def test_a_film_is_an_mp4_that_moves_prints_its_time_holds_its_end_and_says_what_made_it(
    tree: xr.Dataset, tmp_path: Path
) -> None:
    import imageio_ffmpeg

    for name in ("learning_the_hierarchy", "influence_over_time"):
        figure, subject = figures.FIGURES[name], figures.Subject(tree)
        assert figure.film is not None
        film = figure.film(subject, 6)
        path = write_film(film, tmp_path / f"{name}.mp4", figure.words(subject), {"code_version": "1.2.3"})
        assert film.figure.get_suptitle() == f"$t$ = {tree['time'].values[-1]:.1f}"
        assert b"1.2.3" in path.read_bytes()
        reader = imageio_ffmpeg.read_frames(str(path))
        facts = next(reader)
        assert facts["fps"] == FRAMES_PER_SECOND and facts["codec"] == "h264"
        shots = [np.frombuffer(shot, dtype=np.uint8).astype(np.int16) for shot in reader]
        assert len(shots) == 6 + round(HOLD * FRAMES_PER_SECOND)
        apart = np.abs(np.diff(shots[:7], axis=0)).max(axis=1)
        assert (apart[:5] > 50).all()
        # The pause: compression alone changes pixels there.
        assert np.abs(shots[-1] - shots[6]).mean() < 1


def test_a_film_that_cannot_be_written_is_one_clear_line_and_no_file(tree: xr.Dataset, tmp_path: Path) -> None:
    figure, subject = figures.FIGURES["influence_over_time"], figures.Subject(tree)
    assert figure.film is not None
    with pytest.raises(WorkbenchError, match=r"^film.mp4: the encoder .*; leave out animations$"):
        write_film(figure.film(subject, 2), tmp_path / "missing" / "film.mp4", figure.words(subject), {})
    assert not list(tmp_path.iterdir())


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(run_cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("figures") / "out"
    ran = run_cli("figures", "--task", "tree:2,2", "--out", out, "--formats", "svg", "--no-animations", "--seed", "3")
    assert ran.code == 0, ran.err
    assert f"wrote 25 files to {out}" in ran.out
    return out


def test_the_command_writes_every_figure_with_its_numbers_and_a_record(written: Path) -> None:
    expected = {f"{name}.{kind}" for name in NAMES for kind in ("svg", "csv")} | {"config.json"}
    assert {path.name for path in written.iterdir()} == expected
    config = json.loads((written / "config.json").read_text())
    assert config["settings"]["task"] == "tree:2,2" and config["settings"]["seed"] == 3
    assert set(config["figures"]) == set(NAMES) and set(config["files"]) == expected - {"config.json"}
    assert all(words["caption"] and words["alt"] for words in config["figures"].values())
    losses = pd.read_csv(written / "loss.csv")
    # L(0) of a network that answers almost nothing: half of the mean square of the table, 3 ones an item.
    assert losses["mean loss, analytic"][0] == pytest.approx(1.5, rel=0.02)


def test_earlier_figures_are_replaced_only_by_force_and_never_with_foreign_files(written: Path) -> None:
    with pytest.raises(WorkbenchError, match="add `force`"):
        check_target(written, force=False)
    check_target(written, force=True)
    foreign = written / "thesis.pdf"
    foreign.write_text("mine")
    try:
        with pytest.raises(WorkbenchError, match=r"thesis.pdf, which is no part"):
            check_target(written, force=True)
    finally:
        foreign.unlink()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--formats", "png,bmp"), "--formats 'png,bmp'; give one or more of png, svg, pdf"),
        (("--source", "unicorn"), "no item is called 'unicorn'"),
        (("--source", "dog", "--target", "dog"), "--source and --target are both 'dog'"),
        (("--a0", "99"), "above the strongest mode's final strength"),
        (("--a0", "-1"), "--a0 -1; give a positive number or auto"),
        (("--hidden", "0"), "at least 1 hidden unit"),
        (("--seed", "-1"), "seed -1; give a whole number"),
        (("--size", "poster"), "invalid choice: 'poster'"),
        (("--dpi", "5"), "--dpi 5; give a whole number from 20 to 1200"),
        (("--only", "task,nothing"), "no figure is called nothing; see --list"),
    ],
)
def test_bad_options_are_refused_in_one_line_and_nothing_is_written(
    run_cli, tmp_path: Path, argv: tuple[str, ...], message: str
) -> None:
    ran = run_cli("figures", "--out", tmp_path / "out", *argv)
    assert ran.code == 2
    assert message in ran.err
    assert ran.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_with_the_loss_off_nothing_is_estimated_and_any_localization_will_do() -> None:
    ds = prediction(Hierarchy((2, 2)).indicator_task(), hidden=4, n_beta=0.0, gamma=100.0, times=21)
    assert not gaussian_estimate(ds, ds["time"].values, 0.0, 0.0).any()
    labels = [text.get_text() for text in figures.local_posterior_validity(ds).legends[0].get_texts()]
    assert any("loss off" in label for label in labels)
    for name in ("local_posterior_validity", "learning_coefficient"):
        registry.FIGURES[name].draw(figures.Subject(ds))

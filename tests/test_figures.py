"""Figures show what the dataset holds, all of it readable, and are files that say where they come from."""

from __future__ import annotations

import io
import itertools
import json
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
import xarray as xr
from figure_data import MEASURES, dataset
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from workbench import figures
from workbench.errors import WorkbenchError
from workbench.figures.agreement import errors_over_time, standardised
from workbench.figures.arrangement import arrange, property_order
from workbench.figures.reading import measures, stage_columns, stages, text
from workbench.figures.style import oklch
from workbench.semantics import Hierarchy, SemanticTask, rumelhart_task

HOSTILE = ('<b>&"', "$x^", "_private", "a  b", r"\frac{", "ordinary")


def table_task(n_items: int, n_properties: int, seed: int = 3) -> SemanticTask:
    """A table without a tree, with a few latent kinds."""
    rng = np.random.default_rng(seed)
    kinds = rng.standard_normal((n_items, 5)) + 2 * np.eye(5)[rng.integers(0, 5, n_items)]
    Y = (rng.standard_normal((n_properties, 5)) @ kinds.T > 1).astype(float)
    items = tuple(f"species {k}" for k in range(n_items))
    return SemanticTask("table", items, tuple(f"has property {k}" for k in range(n_properties)), Y)


def hostile_task() -> SemanticTask:
    rng = np.random.default_rng(0)
    Y = rng.integers(0, 2, (9, len(HOSTILE))) + np.eye(9, len(HOSTILE))
    return SemanticTask("<i>&", HOSTILE, tuple(f"<p{k}>$" for k in range(9)), Y)


TASKS = {
    "tree": lambda: Hierarchy((2, 2, 2)).indicator_task(),
    "8x36": rumelhart_task,
    "33x102": lambda: table_task(33, 102),
    "hostile": hostile_task,
}


@pytest.fixture(scope="module")
def data() -> dict[str, xr.Dataset]:
    return {name: dataset(make()) for name, make in TASKS.items()}


@pytest.fixture
def tree(data: dict[str, xr.Dataset]) -> xr.Dataset:
    return data["tree"]


def report_figures(ds: xr.Dataset, style: figures.Style = figures.PAGE) -> list[Figure]:
    """The figures of a report, drawn."""
    subject = figures.Subject(ds, style=style)
    return [figure.draw(subject) for figure in figures.figure_set("report").values()]


def panels(figure: Figure) -> list[Axes]:
    return [ax for ax in figure.axes if ax.get_title(loc="left")]


def words(figure: Figure) -> list[tuple[str, Bbox]]:
    """Every text that is drawn, with its box in pixels."""
    figure.draw_without_rendering()
    found: list[Text] = list(figure.texts)
    for legend in figure.legends:
        found += [*legend.get_texts(), legend.get_title()]
    for ax in figure.axes:
        found += [ax.title, ax._left_title, ax._right_title, *ax.texts]
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            shown = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            found += [
                axis.label,
                axis.get_offset_text(),
                *(t.label1 for t in shown),
                *(t.label2 for t in shown),
            ]
        if ax.get_legend():
            found += ax.get_legend().get_texts()
    drawn = [label for label in found if label is not None and label.get_visible() and label.get_text().strip()]
    return [(label.get_text(), label.get_window_extent()) for label in drawn]


def assert_readable(figure: Figure) -> None:
    """No text leaves the figure, no two texts touch (a pixel of antialiasing aside)."""
    boxes = words(figure)
    assert boxes
    width, height = figure.bbox.width, figure.bbox.height
    for word, box in boxes:
        inside = box.x0 > -1 and box.y0 > -1 and box.x1 < width + 1 and box.y1 < height + 1
        assert inside, f"{word!r} is clipped: {box} in {width} x {height}"
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        apart = a.x1 < b.x0 + 1.5 or b.x1 < a.x0 + 1.5 or a.y1 < b.y0 + 1.5 or b.y1 < a.y0 + 1.5
        assert apart, f"{one!r} overlaps {other!r}"


def test_clipped_and_overlapping_texts_are_found() -> None:
    for places in ([(0.5, 0.5), (0.52, 0.5)], [(0.99, 0.5)], [(0.5, 0.999)]):
        figure = figures.PAGE.figure(2)
        for place in places:
            figure.text(*place, "long enough")
        with pytest.raises(AssertionError, match=r"clipped|overlaps"):
            assert_readable(figure)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.slow
def test_no_text_is_clipped_or_overlaps_another(data: dict[str, xr.Dataset], name: str) -> None:
    for figure in report_figures(data[name]):
        assert_readable(figure)


@pytest.mark.parametrize("style", [figures.COLUMN, figures.SLIDE], ids=["column", "slide"])
def test_text_stays_readable_at_column_and_slide_size(tree: xr.Dataset, style: figures.Style) -> None:
    for figure in report_figures(tree, style=style):
        assert_readable(figure)
        sizes = [label.get_fontsize() for label in figure.findobj(Text) if label.get_text()]
        assert min(sizes) >= 5  # points; smaller cannot be read in print


def test_150_items_and_800_properties_stay_readable() -> None:
    ds = dataset(table_task(150, 800), measures=("gradient_kernel",), checkpoints=20)
    for figure in (figures.task(ds), figures.influence_of_item(ds)):
        assert_readable(figure)


def test_task_figure_shows_the_matrix_in_the_order_of_the_tree(data: dict[str, xr.Dataset]) -> None:
    for name in ("tree", "33x102"):
        ds = data[name]
        matrix = next(ax for ax in figures.task(ds).axes if ax.get_title(loc="left").endswith("properties"))
        shown = np.asarray(matrix.images[0].get_array())
        expected = ds["Y"].values.T[arrange(ds).order]
        # Columns may be reordered; as a multiset they are the columns of Y.
        assert sorted(map(tuple, shown.T)) == sorted(map(tuple, expected.T))


def test_drawn_tree_joins_items_at_the_height_of_their_common_ancestor(tree: xr.Dataset) -> None:
    order = arrange(tree)
    parent_of = {tuple(edge[-1]): tuple(edge[0]) for edge in order.edges}
    rows = {item: (0.0, float(row)) for row, item in enumerate(order.order)}

    def ancestors(place: tuple[float, float]) -> list[tuple[float, float]]:
        line = [place]
        while line[-1] in parent_of:
            line.append(parent_of[line[-1]])
        return line

    levels = tree["common_ancestor_level"].values
    for i, j in itertools.combinations(range(8), 2):
        meeting = next(node for node in ancestors(rows[i]) if node in ancestors(rows[j]))
        assert 1 - meeting[0] == pytest.approx(levels[i, j] / 3)


def test_clustering_without_a_tree_separates_plants_from_animals() -> None:
    ds = dataset(rumelhart_task()).drop_vars("common_ancestor_level")
    order = arrange(ds)
    kingdoms = ["animal" if item >= 4 else "plant" for item in order.order]
    assert order.kind == "clustering"
    assert len(list(itertools.groupby(kingdoms))) == 2


@pytest.mark.filterwarnings("error")
def test_a_symmetric_table_with_a_zero_diagonal_is_arranged_by_its_rows() -> None:
    Y = np.kron(np.eye(2), np.ones((3, 3))) - np.eye(6)  # two cliques: who knows whom
    ds = dataset(SemanticTask("cliques", tuple("abcdef"), tuple("uvwxyz"), Y))
    assert {frozenset(arrange(ds).order[:3]), frozenset(property_order(ds)[:3])} <= {
        frozenset({0, 1, 2}),
        frozenset({3, 4, 5}),
    }


def test_item_colours_share_a_hue_within_a_branch_and_differ_in_lightness() -> None:
    style = figures.PAGE
    order = arrange(dataset(Hierarchy((2, 2, 2)).indicator_task()))
    colours = style.item_colours(order.branch, order.place)
    assert len(set(colours)) == 8
    # Independent of the code: luminance of sRGB must rise with the place within each branch.
    luminance = [
        sum(w * int(c[k : k + 2], 16) ** 2.2 for w, k in zip((0.21, 0.72, 0.07), (1, 3, 5), strict=True))
        for c in colours
    ]
    assert (np.diff(luminance[:4]) > 0).all()
    assert (np.diff(luminance[4:]) > 0).all()


def test_oklch_of_white_black_and_grey_is_without_colour() -> None:
    np.testing.assert_allclose(oklch([1.0, 0.0], 0.0, 0.0), [[1, 1, 1], [0, 0, 0]], atol=1e-3)
    grey = oklch(0.5, 0.0, 123.0)
    # The published matrices have 10 digits and map grey to grey within 1e-6.
    np.testing.assert_allclose(grey, grey[0], atol=1e-5)


def test_mode_lines_are_the_predicted_strengths_and_residuals_the_relative_difference(
    tree: xr.Dataset,
) -> None:
    upper, lower = figures.mode_strengths(tree).axes
    lines = next(c for c in upper.collections if isinstance(c, LineCollection)).get_segments()
    predicted, simulated = tree["mode_strength_analytic"].values, tree["mode_strength_simulated"].values
    # Levels 0..3 of the tree have 1, 1, 2, 4 modes with one curve each.
    assert len(lines) == 4
    for line, mode in zip(lines, (0, 1, 2, 4), strict=True):
        np.testing.assert_array_equal(line[:, 1], predicted[:, mode])
    residuals = next(c for c in lower.collections if isinstance(c, LineCollection)).get_segments()
    assert len(residuals) == 8
    np.testing.assert_allclose(residuals[0][:, 1], simulated[:, 0] / predicted[:, 0] - 1, atol=1e-12)


def test_loss_line_is_the_predicted_loss_with_a_mark_at_every_stage(tree: xr.Dataset) -> None:
    (ax,) = figures.loss(tree).axes
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), tree["loss_analytic"].values)
    marks = sorted(segment[0, 0] for c in ax.collections for segment in c.get_segments())
    np.testing.assert_allclose(marks, np.unique(tree["half_rise_time"].values.round(12)))


@pytest.mark.parametrize("kept", [MEASURES, ("local_bif",), ("gradient_kernel", "leave_one_out")])
def test_influence_has_one_panel_a_measure(kept: tuple[str, ...]) -> None:
    ds = dataset(Hierarchy((2, 2)).indicator_task(), measures=kept)
    figure = figures.influence_of_item(ds)
    assert len(figure.axes) == len(kept)
    rows = 2 * len(kept)
    matrices = [ax for ax in figures.influence_matrices(ds).axes if ax.images]
    assert len(matrices) == rows * len(stage_columns(ds, 5))


def test_theory_lines_of_influence_are_the_dataset_and_equal_curves_are_drawn_once(tree: xr.Dataset) -> None:
    figure = figures.influence_of_item(tree, "dog")
    for ax, name in zip(figure.axes, MEASURES, strict=True):
        lines = {line.get_label(): line.get_ydata() for line in ax.lines if not line.get_label().startswith("_")}
        values = tree[f"{name}_analytic"].sel(source="dog")
        assert set(lines) == {
            "4 items via root (oak, pine, …)",
            "2 items via level 1 (sparrow, robin)",
            "cat",
        }
        np.testing.assert_array_equal(lines["cat"], values.sel(target="cat"))
        for target in ("sparrow", "robin"):
            shown = lines["2 items via level 1 (sparrow, robin)"]
            np.testing.assert_allclose(shown, values.sel(target=target), atol=1e-9 * float(abs(values).max()))


def test_curves_that_differ_are_not_grouped_even_on_a_tree() -> None:
    figure = figures.influence_of_item(dataset(rumelhart_task()), "Pine")
    lines = [line for line in figure.axes[0].lines if not line.get_label().startswith("_")]
    assert [line.get_label() for line in lines] == list(rumelhart_task().items[1:])


def test_error_bars_are_two_standard_errors_and_only_where_there_are_some(tree: xr.Dataset) -> None:
    figure = figures.influence_of_item(tree, "dog")
    bars = [[c for c in ax.containers if isinstance(c, ErrorbarContainer) and c.has_yerr] for ax in figure.axes]
    assert [bool(found) for found in bars] == [False, True, False]
    stderr = float(tree["local_bif_simulated_stderr"].values[0, 0, 0])
    for container in bars[1]:
        ends = np.array(container.lines[2][0].get_segments())[:, :, 1]
        np.testing.assert_allclose(np.ptp(ends, axis=1), 4 * stderr)


def test_simulated_points_of_a_single_target_are_the_dataset(tree: xr.Dataset) -> None:
    ax = figures.influence_of_item(tree, "dog").axes[1]
    points = ax.containers[-1].lines[0]
    values = tree["local_bif_simulated"].sel(source="dog", target="cat")
    np.testing.assert_array_equal(points.get_ydata(), values.sel(time=points.get_xdata()))


def test_among_many_items_the_most_helped_and_most_harmed_are_named(data: dict[str, xr.Dataset]) -> None:
    ds = data["33x102"]
    ax = figures.influence_of_item(ds).axes[0]
    named = {line.get_label() for line in ax.lines if not line.get_label().startswith("_")}
    curves = ds["gradient_kernel_analytic"][:, 0].drop_sel(target=str(ds["source"].values[0]))
    assert 2 <= len(named) <= 6
    assert str(curves.min("time").idxmin().values) in named
    assert str(curves.max("time").idxmax().values) in named
    grey = next(c for c in ax.collections if isinstance(c, LineCollection))
    assert len(grey.get_segments()) == 32 - len(named)


def test_an_unknown_source_is_refused_with_the_names_there_are(tree: xr.Dataset) -> None:
    with pytest.raises(WorkbenchError, match=r"'unicorn'; the items are dog"):
        figures.influence_of_item(tree, "unicorn")


def test_matrices_share_one_scale_a_measure_set_off_the_diagonal_and_centred_at_zero(
    tree: xr.Dataset,
) -> None:
    columns = stage_columns(tree, 5)
    shown = [ax.images[0] for ax in figures.influence_matrices(tree).axes if ax.images]
    images = [image for image in shown if np.asarray(image.get_array()).shape == (8, 8)]
    assert len(images) == 6 * len(columns)
    off = ~np.eye(8, dtype=bool)
    for number, name in enumerate(MEASURES):
        both = [tree[f"{name}_{side}"].values[[k for k, _ in columns]] for side in ("analytic", "simulated")]
        largest = max(np.abs(values[:, off]).max() for values in both)
        block = images[2 * number * len(columns) : 2 * (number + 1) * len(columns)]
        for image, values in zip(block, np.concatenate(both), strict=True):
            assert image.get_clim() == (-largest, largest)
            drawn = np.ma.filled(np.ma.masked_invalid(image.get_array()), np.nan)
            assert np.isnan(np.diag(drawn)).all()
            np.testing.assert_array_equal(drawn[off], values[off])


def test_stage_columns_are_the_checkpoints_next_to_half_rise_times(tree: xr.Dataset) -> None:
    time = tree["time"].values
    chosen = [float(time[k]) for k, _ in stage_columns(tree, 5)]
    half_rise = np.unique(tree["half_rise_time"].values.round(12))
    assert [name for _, name in stage_columns(tree, 5)] == [f"level {k} half learned" for k in range(4)]
    assert np.abs(np.array(chosen) - half_rise).max() <= np.diff(time).max() / 2 + 1e-12


def test_modes_that_are_never_learned_mark_no_stage(tree: xr.Dataset) -> None:
    never = tree.copy()
    never["half_rise_time"] = tree["half_rise_time"].where(tree["mode"] < 2, np.inf)
    assert [group.label for group in stages(never)] == ["level 0", "level 1"]
    assert_readable(figures.loss(never))


def test_standardised_differences_of_exact_noise_are_standard_normal(tree: xr.Dataset) -> None:
    bif = next(measure for measure in measures(tree) if measure.name == "local_bif")
    z = standardised(bif)
    assert len(z) == tree.sizes["time"] * 28
    # The test data add normal noise of exactly the stated standard error; 1680 draws: s.e. of the mean 0.024.
    assert abs(z.mean()) < 0.1
    assert abs(z.std() - 1) < 0.07


def test_relative_errors_scale_with_the_difference_and_not_with_the_measure(tree: xr.Dataset) -> None:
    doubled = tree.copy()
    name = "leave_one_out"
    noise = tree[f"{name}_simulated"] - tree[f"{name}_analytic"]
    doubled[f"{name}_simulated"] = tree[f"{name}_analytic"] + 2 * noise
    scaled = tree.copy()
    for side in ("analytic", "simulated"):
        scaled[f"{name}_{side}"] = 7 * tree[f"{name}_{side}"]
    pairs = ~np.eye(8, dtype=bool)
    once, twice, same = (
        errors_over_time(next(m for m in measures(ds) if m.name == name), pairs) for ds in (tree, doubled, scaled)
    )
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-9)
    np.testing.assert_allclose(same, once, rtol=1e-9)


def test_figures_work_with_one_side_missing(tree: xr.Dataset) -> None:
    for side in ("analytic", "simulated"):
        names = [name for name in tree.data_vars if str(name).endswith(side) or "stderr" in str(name)]
        for figure in report_figures(tree.drop_vars(names)):
            assert_readable(figure)


def test_a_dataset_without_measures_is_refused(tree: xr.Dataset) -> None:
    bare = tree.drop_vars([name for name in tree.data_vars if "source" in tree[name].dims])
    with pytest.raises(WorkbenchError, match="no measure of influence"):
        figures.influence_of_item(bare)


def test_figures_are_remade_from_the_saved_file_alone(tree: xr.Dataset, tmp_path: object) -> None:
    path = f"{tmp_path}/influence.nc"
    tree.to_netcdf(path, engine="h5netcdf")
    again = xr.open_dataset(path, engine="h5netcdf")
    for draw in (figures.task, figures.influence_of_item):
        assert figures.files.draw(draw(again), {}, ["png"]) == figures.files.draw(draw(tree), {}, ["png"])


def test_saved_files_carry_their_provenance_and_are_the_same_every_time(tree: xr.Dataset, tmp_path: object) -> None:
    facts = {"code_version": "1.2.3", "config": {"task": "tree", "who": '<b>&"'}}
    once = figures.save(figures.loss(tree), f"{tmp_path}/a", "loss", facts)
    again = figures.save(figures.loss(tree), f"{tmp_path}/b", "loss", facts)
    assert once == again
    for folder in "ab":
        with open(f"{tmp_path}/{folder}/loss.png", "rb") as png, open(f"{tmp_path}/{folder}/loss.svg") as svg:
            assert (png.read(), svg.read()) == (once.png, once.svg)
    image = Image.open(io.BytesIO(once.png))
    assert image.info["dpi"][0] == pytest.approx(150, abs=0.1)
    described = json.loads(image.info["Description"])
    assert described["code_version"] == "1.2.3"
    assert json.loads(described["config"])["who"] == '<b>&"'
    assert "1.2.3" in image.info["Software"]
    root = ElementTree.fromstring(once.svg)
    found = [element.text for element in root.iter("{http://purl.org/dc/elements/1.1/}description")]
    assert json.loads(found[0]) == described
    assert not list(root.iter("{http://purl.org/dc/elements/1.1/}date"))


def test_names_from_the_data_are_never_read_as_formulas() -> None:
    assert text("$x^") == r"\$x^"
    assert text("a\nb  c") == "a b c"
    assert not text("_private").startswith("_")
    assert len(text("x" * 99)) == 24


def test_dark_style_changes_every_ground_and_keeps_the_data(tree: xr.Dataset) -> None:
    style = figures.dark(figures.PAGE)
    light, dark = figures.mode_strengths(tree), figures.mode_strengths(tree, style)
    assert dark.get_facecolor() != light.get_facecolor()
    for a, b in zip(light.axes, dark.axes, strict=True):
        assert a.get_facecolor() != b.get_facecolor()
        np.testing.assert_array_equal(a.dataLim.get_points(), b.dataLim.get_points())


def test_figures_never_touch_pyplot(monkeypatch: pytest.MonkeyPatch) -> None:
    # Importing it while a figure is drawn is an error now; that no module imports it, `test_measures` says.
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    report_figures(dataset(Hierarchy((2, 2)).indicator_task(), checkpoints=12))


def test_without_a_prediction_stages_are_read_off_the_trained_strengths(tree: xr.Dataset) -> None:
    alone = tree.drop_vars([name for name in tree.data_vars if str(name).endswith("analytic")])
    alone["half_rise_time"] = alone["half_rise_time"] * np.nan
    found = {group.label: group.half_rise for group in stages(alone)}
    predicted = {group.label: group.half_rise for group in stages(tree)}
    assert list(found) == list(predicted)
    # Chords between checkpoints half a unit of time apart, of strengths with noise of 0.2%.
    np.testing.assert_allclose(list(found.values()), list(predicted.values()), rtol=0.02)

"""What `workbench compare` writes: complete, labelled, reproducible, and readable by anyone."""

from __future__ import annotations

import json
import os
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
import xarray as xr

from workbench.comparison import Settings, compare
from workbench.semantics import task_from_spec

MEASURES = ("gradient_kernel", "local_bif", "leave_one_out")
FIGURES = ("agreement", "influence_matrices", "influence_of_item", "loss", "mode_strengths", "task")
SMALL = ("--checkpoints", 12, "--draws", 80, "--hidden", 6, "--eta", 0.01)


def arrays(folder) -> xr.Dataset:
    with xr.open_dataset(folder / "influence.nc") as ds:
        return ds.load()


@pytest.fixture(scope="session")
def result(run_cli, tmp_path_factory):
    """One complete run: the directory and what was printed."""
    folder = tmp_path_factory.mktemp("complete") / "new" / "parents" / "result"
    ran = run_cli("compare", "--task", "tree:2,2", "--out", folder, *SMALL)
    assert ran.code == 0, ran.err
    return folder, ran


@pytest.fixture
def quick(run_cli, tmp_path, no_figures):
    """Run without drawing figures (they take most of the time) and return the dataset and what was printed."""

    def run(*argv, out="result"):
        ran = run_cli("compare", "--out", tmp_path / out, *SMALL, *argv)
        assert ran.code == 0, ran.err
        assert ran.err == ""
        return arrays(tmp_path / out), ran.out

    return run


# --- what is there ----------------------------------------------------------------------------------------------


def test_every_variable_has_its_dimensions_and_is_finite(result):
    ds = arrays(result[0])
    expected = {
        f"{measure}_{side}": ("time", "source", "target") for measure in MEASURES for side in ("analytic", "simulated")
    } | {
        "local_bif_simulated_stderr": ("time", "source", "target"),
        "mode_strength_analytic": ("time", "mode"),
        "mode_strength_simulated": ("time", "mode"),
        "singular_value": ("mode",),
        "half_rise_time": ("mode",),
        "loss_analytic": ("time",),
        "loss_simulated": ("time",),
        "common_ancestor_level": ("source", "target"),
    }
    for name, dims in expected.items():
        assert ds[name].dims == dims, name
        assert np.isfinite(ds[name].values).all(), name
    assert dict(ds.sizes) == {"time": 12, "source": 4, "target": 4, "item": 4, "mode": 4, "property": 7, "part": 8}


def test_labels_are_the_names_of_the_task(result):
    ds, made = arrays(result[0]), task_from_spec("tree:2,2")
    for dim in ("source", "target", "item"):
        assert tuple(ds[dim].values) == made.items
    assert tuple(ds["property"].values) == made.properties
    np.testing.assert_array_equal(ds["Y"].values, made.Y)


def test_time_is_flow_time_from_zero_to_learning_rate_times_steps(result):
    ds = arrays(result[0])
    time = ds["time"].values
    assert time[0] == 0
    assert (np.diff(time) > 0).all()
    assert time[-1] == pytest.approx(ds.attrs["eta"] * ds.attrs["steps"], rel=1e-12)
    assert "flow time" in ds["time"].attrs["units"]


def test_every_measure_says_its_units_and_its_sign(result):
    ds = arrays(result[0])
    assert "negative helps" in ds.attrs["sign_convention"]
    for measure in MEASURES:
        for side in ("analytic", "simulated"):
            attrs = ds[f"{measure}_{side}"].attrs
            assert attrs["units"].startswith("loss"), (measure, side)
            assert "negative helps" in attrs["sign_convention"], (measure, side)


def test_an_item_helps_itself_from_the_first_checkpoint_on(result):
    # The diagonal of the kernel is minus a squared gradient norm: the sign convention, seen in the numbers.
    kernel = arrays(result[0])["gradient_kernel_analytic"].values
    assert (np.diagonal(kernel[0]) < 0).all()


def test_figures_are_pictures_and_the_report_is_a_page(result):
    folder, _ = result
    names = {f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")}
    assert {path.name for path in (folder / "figures").iterdir()} >= names
    for path in (folder / "figures").glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG"), path
    for path in (folder / "figures").glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg"), path
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert page.rstrip().endswith("</html>")


def test_nothing_but_the_result_is_left_and_it_is_as_readable_as_any_directory(result):
    folder, _ = result
    assert sorted(p.name for p in folder.iterdir()) == [
        "config.json",
        "figures",
        "influence.nc",
        "report.html",
    ]
    assert list(folder.parent.iterdir()) == [folder]
    assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777


def test_the_terminal_shows_task_agreement_claims_and_where_the_report_is(result):
    folder, ran = result
    assert ran.err == ""
    assert ran.out.startswith("tree 2,2: 4 items x 7 properties\n")
    for words in ("gradient_kernel", "Claims", "holds", str(folder / "report.html")):
        assert words in ran.out


# --- reproducibility --------------------------------------------------------------------------------------------


def test_the_settings_read_back_give_identical_arrays(result):
    folder, _ = result
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    settings = Settings(**config["settings"] | {"measures": tuple(config["settings"]["measures"])})
    again = compare(task_from_spec(settings.task, seed=settings.seed), settings).dataset
    stored = arrays(folder)
    assert set(again.data_vars) == set(stored.data_vars)
    for name in stored.data_vars:
        np.testing.assert_array_equal(again[name].values, stored[name].values, err_msg=name)
    assert config["resolved"]["task_digest"] == stored.attrs["task_digest"]
    assert json.loads(stored.attrs["config"]) == config["settings"]


def test_another_seed_changes_the_samples_and_no_prediction(result, quick):
    first, _ = arrays(result[0]), None
    other, _ = quick("--task", "tree:2,2", "--seed", 1)
    assert (first["local_bif_simulated"].values != other["local_bif_simulated"].values).all()
    for measure in MEASURES:
        name = f"{measure}_analytic"
        # Leave-one-out is integrated from the start's weights, which a seed rotates: equal up to rounding.
        scale = np.abs(first[name].values).max()
        np.testing.assert_allclose(other[name].values, first[name].values, atol=1e-8 * scale, err_msg=name)


def test_force_replaces_the_earlier_result_as_a_whole(quick, tmp_path):
    quick("--task", "tree:2,2", "--measures", "gradient_kernel,leave_one_out")
    ds, _ = quick("--task", "tree:3", "--measures", "gradient_kernel", "--force")
    assert ds.sizes["source"] == 3
    assert "leave_one_out_analytic" not in ds
    assert [p.name for p in tmp_path.iterdir()] == ["result"]


# --- other tasks and settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", MEASURES)
def test_one_measure_alone_is_written_alone(quick, measure):
    ds, out = quick("--task", "tree:2,2", "--measures", measure)
    assert {m for m in MEASURES if f"{m}_analytic" in ds} == {measure}
    assert f"{measure}_simulated" in ds
    assert measure in out


def test_fewer_hidden_units_than_modes_is_said_and_learns_the_strongest(quick):
    ds, out = quick("--task", "tree:2,2", "--hidden", 2, "--measures", "gradient_kernel")
    assert "note: 2 hidden units for 4 modes: the 2 weakest are never learned" in out
    final = ds["mode_strength_simulated"].values[-1] * ds.attrs["input_scale"] / ds["singular_value"].values
    np.testing.assert_allclose(final[:2], 1, atol=0.05)  # trained until 99.5% of the learnable loss is gone
    np.testing.assert_allclose(final[2:], 0, atol=1e-6)


def test_repeated_items_are_said_and_have_the_same_influence(quick, tmp_path):
    (tmp_path / "twins.csv").write_text("item,a,b,c\nx,1,0,1\ntwin,1,0,1\ny,1,1,0\n")
    ds, out = quick("--task", tmp_path / "twins.csv")
    assert "note: the 3 items span 2 modes (repeated or dependent rows)" in out
    assert dict(ds.sizes)["mode"] == 2
    kernel = ds["gradient_kernel_analytic"]
    twins = [kernel.sel(source=name, target="y").values for name in ("x", "twin")]
    np.testing.assert_allclose(*twins, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("table", ["item,a,b\nx,1,0\ny,0,-2\n", "item,a\nx,1\ny,0\n"])
def test_items_that_share_nothing_have_no_influence_on_each_other_and_nothing_breaks(quick, tmp_path, table):
    (tmp_path / "apart.csv").write_text(table)
    ds, _ = quick("--task", tmp_path / "apart.csv")
    assert np.abs(ds["gradient_kernel_analytic"].values[:, 0, 1]).max() == 0
    assert np.abs(ds["leave_one_out_simulated"].values[:, 0, 1]).max() < 1e-12


def test_a_gaussian_start_is_compared_with_the_integrated_flow(quick):
    ds, out = quick("--task", "tree:2,2", "--init", "gaussian:0.05", "--measures", "gradient_kernel,local_bif")
    assert "a0" not in ds.attrs
    assert "holds        mode strengths follow the flow" in out
    error = ds["mode_strength_simulated"] - ds["mode_strength_analytic"]
    # A learning rate of 0.01 adds its first-order shift; the balanced solution would be off by 2.7e-3 more.
    assert np.abs(error.values).max() < 0.05 * ds["mode_strength_analytic"].values.max()


@pytest.mark.parametrize("task", ["tree:2", "tree:2,1", "tree:1,2,1", "diffusion:2,2:0.1:5"])
def test_degenerate_trees_are_compared_like_any_other(quick, task):
    ds, _ = quick("--task", task, "--measures", "gradient_kernel,leave_one_out")
    assert ds.sizes["source"] == task_from_spec(task).n_items


def test_the_renormalised_convention_is_recorded(quick):
    ds, _ = quick("--task", "tree:2,2", "--convention", "renormalised", "--measures", "leave_one_out")
    for side in ("analytic", "simulated"):
        assert ds[f"leave_one_out_{side}"].attrs["convention"] == "renormalised"


# --- names ------------------------------------------------------------------------------------------------------

ODD_ITEMS = ("<b>dog</b> & co", "$\\frac{$ 50%", "a/b\\c:d*?", "größe é 'q' \"Q\"")


def test_odd_names_reach_every_file_unharmed(run_cli, tmp_path):
    rows = [f'"{name.replace(chr(34), chr(34) * 2)}",{k % 2},{int(k < 2)},1' for k, name in enumerate(ODD_ITEMS)]
    table = tmp_path / "odd <name>&$_$.csv"
    table.write_text("item,<i>p</i>,$x_$,^\n" + "\n".join(rows) + "\n", encoding="utf-8")
    out = tmp_path / "result & <more>"
    ran = run_cli(
        "compare",
        "--task",
        table,
        "--out",
        out,
        *SMALL,
        "--measures",
        "gradient_kernel",
        "--source",
        ODD_ITEMS[0],
    )
    assert ran.code == 0, ran.err
    assert tuple(arrays(out)["source"].values) == ODD_ITEMS
    page = (out / "report.html").read_text(encoding="utf-8")
    for raw in ("<b>dog</b>", "<i>p</i>", "<name>"):
        assert raw not in page
    assert "&lt;b&gt;dog&lt;/b&gt; &amp; co" in page
    for path in (out / "figures").glob("*.svg"):
        ElementTree.parse(path)


@pytest.mark.skipif(sys.platform != "linux", reason="paths are text on other systems")
def test_a_path_that_is_no_text_is_read_all_the_same(quick, tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.csv")
    with open(path, "w") as table:
        table.write("item,a,b\nx,1,0\ny,1,1\n")
    ds, _ = quick("--task", path, "--measures", "gradient_kernel")
    assert ds.attrs["task"].encode()  # plain text again

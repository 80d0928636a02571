"""Sweeps: a cell is a comparison, cells do not depend on who computed them, and nothing is computed twice."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

import workbench
from workbench.cli import main
from workbench.comparison.ensemble import shared_schedules
from workbench.errors import WorkbenchError
from workbench.semantics import Hierarchy
from workbench.sweeps import Zarr, axis_of_text, layout_of, load_sweep, plan_of, sweep, sweep_into
from workbench.sweeps import cells as cells_of_sweeps
from workbench.sweeps.figures import against, phase_map
from workbench.theory import flip_times, hierarchy_spectrum

#: So coarse that training takes no time.
FEW = {"measures": ("gradient_kernel",), "checkpoints": 8, "t_max": 8.0, "eta": 0.05}
SEEDS = {"sigma": (0.1, 0.2), "seed": range(3)}


@pytest.fixture(scope="module")
def seeds():
    return sweep("tree:2,2", workbench.Settings(**FEW), SEEDS)


@pytest.fixture
def store(tmp_path):
    plan = plan_of("tree:2,2", workbench.Settings(**FEW), {"a0": (1e-3, 1e-2, 100.0)}, ["analytic"])
    store = Zarr(tmp_path / "annex", plan, layout_of(plan))
    store.create()
    return store


def test_a_cell_is_the_comparison_of_its_settings(seeds):
    task, settings = workbench.task_from_spec("tree:2,2"), workbench.Settings(init="gaussian:0.2", **FEW)
    first = shared_schedules([workbench.network(task, 16, settings.init, seed=seed) for seed in range(3)], settings)
    alone = workbench.compare(task, replace(settings, seed=1), schedules=first)
    cell = seeds.sel(sigma=0.2, seed=1)
    for side in ("analytic", "simulated"):
        name = f"gradient_kernel_{side}"
        # Trained beside others the outputs are turned into another basis: the same up to rounding.
        np.testing.assert_allclose(cell[name].values, alone.dataset[name].values, rtol=0, atol=1e-12)
    np.testing.assert_allclose(cell["time"].values, alone.dataset["time"].values)
    flips = alone.events().query("event == 'flip 1' and pairs == 'ancestor on level 0 (root)'")
    chosen = cell["event_time"].sel(event="flip 1", pairs="ancestor on level 0 (root)", measure="gradient_kernel")
    expected = flips[["analytic", "simulated"]].to_numpy().ravel() if len(flips) else [np.nan, np.nan]
    np.testing.assert_allclose(chosen.sel(side=["analytic", "simulated"]).values, expected, rtol=1e-9)


def test_every_seed_starts_elsewhere_and_all_share_their_checkpoints(seeds):
    first = seeds["gradient_kernel_simulated"].isel(checkpoint=0)
    for a, b in itertools.combinations(range(3), 2):
        assert np.abs(first.sel(seed=a) - first.sel(seed=b)).max() > 1e-3
    free = sweep(
        "tree:2,2",
        workbench.Settings(**{**FEW, "t_max": None, "eta": None}),
        {"sigma": [0.2], "seed": range(3)},
        sides=["analytic"],
    )
    assert (free["time"] == free["time"].isel(seed=0)).all()


def test_flips_move_with_the_start_as_the_closed_form_says():
    starts = (1e-3, 1e-2)
    settings = workbench.Settings(measures=("gradient_kernel",), checkpoints=60)
    ds = sweep("tree:2,2", settings, {"a0": starts}, sides=["analytic"])
    tree = Hierarchy((2, 2))
    levels = hierarchy_spectrum(tree).singular_values(q0=1, q1=1, q2=1)
    for a0 in starts:
        found = ds["event_time"].sel(side="analytic", event="flip 1", pairs="ancestor on level 0 (root)", a0=a0)
        # A cubic spline over 60 checkpoints.
        assert float(found.squeeze()) == pytest.approx(flip_times(tree, levels, a0=a0)[0][0], rel=1e-3)


def test_tasks_of_other_sizes_have_room_and_the_rest_is_nan():
    ds = sweep(
        "tree",
        workbench.Settings(**FEW),
        {"branching": [(2,), (2, 2)], "flip_probability": [0.1, 0.2]},
        sides=["analytic"],
    )
    small = ds["gradient_kernel_analytic"].sel(branching="2")
    assert np.isfinite(small.isel(source=slice(2), target=slice(2))).all()
    assert np.isnan(small.isel(source=slice(2, None))).all()
    assert np.isfinite(ds["gradient_kernel_analytic"].sel(branching="2,2")).all()
    assert (ds["singular_value"].sel(flip_probability=0.1) != ds["singular_value"].sel(flip_probability=0.2)).any()


def test_a_cell_that_fails_says_why_and_the_rest_goes_on():
    ds = sweep("tree:2,2", workbench.Settings(**FEW), {"a0": (1e-3, 100.0)}, sides=["analytic"])
    (failure,) = json.loads(ds.attrs["failed"])
    assert failure["a0"] == 100.0 and "smaller a0" in failure["message"]
    assert np.isnan(ds["loss_analytic"].sel(a0=100.0)).all() and np.isfinite(ds["loss_analytic"].sel(a0=1e-3)).all()


def test_a_zarr_store_holds_what_memory_holds(store, tmp_path):
    failed = sweep_into(store)
    assert list(failed) == [2]
    store.pack(tmp_path / "all.zip", {"over": "[]"})
    kept, ds = (
        load_sweep(tmp_path / "all.zip"),
        sweep("tree:2,2", store.plan.settings, {"a0": (1e-3, 1e-2, 100.0)}, sides=["analytic"]),
    )
    for name in store.layout.variables:
        np.testing.assert_array_equal(kept[name].values, ds[name].values, err_msg=name)
    assert list(kept["pairs"].values) == list(ds["pairs"].values)


def test_only_what_is_missing_failed_or_damaged_is_computed_again(store, monkeypatch):
    sweep_into(store)
    (store.folder / "sweep.zarr" / "loss_analytic" / "1.0").write_bytes(b"torn")
    again = []
    original = cells_of_sweeps.computed
    monkeypatch.setattr(
        "workbench.sweeps.engines.computed",
        lambda plan, layout, block: again.append(block) or original(plan, layout, block),
    )
    sweep_into(store)
    assert again == [(1,), (2,)]
    again.clear()
    store.forget({0})
    sweep_into(store)
    assert again == [(0,), (2,)]


def test_the_same_cells_make_the_same_bytes_in_whatever_order(store, tmp_path):
    other = Zarr(tmp_path / "other", store.plan, store.layout)
    other.create()
    for place, order in ((store, [0, 1, 2]), (other, [2, 0, 1])):
        for number in order:
            for cell in cells_of_sweeps.computed(place.plan, place.layout, (number,)):
                place.put(cell)
        place.pack(tmp_path / f"{place.folder.name}.zip", {"over": "[]"})
    assert (tmp_path / "annex.zip").read_bytes() == (tmp_path / "other.zip").read_bytes()


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("seed=0:3", (0, 1, 2)),
        ("seed=0:10:5,7", (0, 5, 7)),
        ("a0=0.1,1e-3", (0.1, 1e-3)),
        ("n-beta=auto,30", (None, 30.0)),
        ("branching=2x2,3", ((2, 2), (3,))),
        ("centre=true,false", (True, False)),
        ("activation=linear,relu", ("linear", "relu")),
        ("task=tree:2,2;table:rumelhart", ("tree:2,2", "table:rumelhart")),
    ],
)
def test_values_are_read_from_text(text, values):
    assert axis_of_text(text)[1] == values


@pytest.mark.parametrize(
    "over",
    [
        {},
        {"nonsense": [1]},
        {"depth": []},
        {"depth": [2, 2]},
        {"depth": [2.5]},
        {"gamma": [-1.0]},
        {"a0": [0.0]},
        {"a0": [0.1], "sigma": [0.1]},
        {"measures": ["gradient_kernel"]},
        {"seed": range(10**6), "depth": range(1, 10)},
        {"branching": [(2, 2)]},
        {"activation": ["no such"]},
    ],
)
def test_a_sweep_over_nonsense_is_refused_in_one_line(over):
    task = workbench.task_from_spec("tree:2,2") if "branching" in over else "tree:2,2"
    with pytest.raises(WorkbenchError) as refused:
        sweep(task, workbench.Settings(**FEW), over)
    assert "\n" not in str(refused.value)


ANALYTIC = ("--side", "analytic", "--measures", "gradient_kernel", "--checkpoints", "8", "--workers", "0", "--quiet")


def run(tmp_path, *arguments):
    return main(["sweep", "--task", "tree:2,2", "--out", str(tmp_path / "out"), *arguments])


def test_the_command_writes_a_directory_that_can_be_replaced(tmp_path, capsys):
    arguments = ("--over", "a0=0.001,0.01", *ANALYTIC)
    assert run(tmp_path, *arguments) == 0
    assert load_sweep(tmp_path / "out").sizes["a0"] == 2
    assert not (tmp_path / "out.partial").exists()
    first = (tmp_path / "out" / "sweep.zarr.zip").read_bytes()
    assert run(tmp_path, *arguments) == 2
    assert run(tmp_path, *arguments, "--force") == 0
    assert (tmp_path / "out" / "sweep.zarr.zip").read_bytes() == first
    capsys.readouterr()


def test_the_command_ends_with_one_where_a_cell_failed(tmp_path, capsys):
    assert run(tmp_path, "--over", "a0=0.001,100", *ANALYTIC) == 1
    assert "cell a0 100.0 failed" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--over", "depth"),
        ("--over", "depth=two"),
        ("--over", "seed=0:"),
        ("--over", "depth=2", "--over", "depth=3"),
        ("--over", "a0=100,200"),
        ("--over", "activation=relu"),
        ("--over", "branching=0x2"),
        ("--over", "depth=2", "--workers", "-1"),
        ("--over", "depth=2", "--task", "no_such.csv"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, capsys, arguments):
    assert run(tmp_path, *ANALYTIC, *arguments) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def starts():
    settings = workbench.Settings(**{**FEW, "checkpoints": 30, "t_max": None})
    return sweep("tree:2,2", settings, {"a0": (1e-3, 1e-2, 1e-1), "hidden": (4, 6)})


def test_a_figure_shows_the_numbers_of_the_sweep(starts):
    figure = against(starts, "a0", ("flip 1", "relative_l2"))
    flips = starts["event_time"].sel(event="flip 1", side="analytic", hidden=4).squeeze("measure")
    (upper, *_) = figure.axes
    for line in upper.lines:
        if len(line.get_xdata()) == 3 and line.get_marker() == "None":
            assert any(np.allclose(line.get_ydata(), flips.sel(pairs=group)) for group in starts["pairs"].values)
    assert len(figure.axes) == 4


def test_a_map_shows_every_cell(starts):
    figure = phase_map(starts, "a0", "hidden", "flip 1")
    (picture,) = figure.axes[0].images
    group = "ancestor on level 0 (root)"
    shown = starts["event_time"].sel(event="flip 1", side="analytic", pairs=group).squeeze("measure")
    np.testing.assert_allclose(picture.get_array(), shown.transpose("hidden", "a0"))


def test_figures_of_what_is_not_there_are_refused(starts):
    for draw in (
        lambda: against(starts, "depth"),
        lambda: against(starts, "a0", ("no such",)),
        lambda: phase_map(starts, "a0", "a0"),
        lambda: phase_map(starts.drop_attrs(), "a0", "hidden"),
    ):
        with pytest.raises(WorkbenchError):
            draw()

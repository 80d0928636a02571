"""A comparison of several starts: each is the comparison of its seed, and their spread is that of the events."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import workbench
from workbench import dataset
from workbench.comparison.ensemble import shared_schedules
from workbench.errors import WorkbenchError
from workbench.figures import Subject
from workbench.figures.ensemble import SEEDS

SETTINGS = workbench.Settings(
    init="gaussian:0.2", seeds=3, seed=5, checkpoints=20, t_max=12.0, eta=0.02, measures=("gradient_kernel",)
)
TASK = workbench.task_from_spec("tree:2,2")


@pytest.fixture(scope="module")
def three():
    return workbench.compare(TASK, SETTINGS)


def test_every_start_is_the_comparison_of_its_seed(three):
    starts = [workbench.network(TASK, 16, SETTINGS.init, seed=seed) for seed in (5, 6, 7)]
    schedules = shared_schedules(starts, replace(SETTINGS, seeds=1))
    for k, seed in enumerate(three.dataset["seed"].values):
        alone = workbench.compare(TASK, replace(SETTINGS, seed=int(seed), seeds=1), schedules=schedules)
        mine = dataset.of_seed(three.dataset, k)
        for name in ("gradient_kernel_analytic", "gradient_kernel_simulated", "loss_simulated"):
            # Trained beside others the outputs are turned into another basis: the same up to rounding.
            np.testing.assert_allclose(mine[name].values, alone.dataset[name].values, rtol=0, atol=1e-12)


def test_the_spread_in_the_event_table_is_that_of_the_single_tables(three):
    tables = [workbench.event_table(dataset.of_seed(three.dataset, k)) for k in range(3)]
    keys = ["measure", "pairs", "event"]
    common = [row for _, row in three.events().iterrows() if row["seeds"] == 3]
    assert common
    for row in common:
        for side in ("analytic", "simulated"):
            times = [table.set_index(keys)[side][tuple(row[keys])] for table in tables]
            assert row[f"{side}_spread"] == pytest.approx(np.std(times, ddof=1))


def test_it_is_read_back_from_its_file_and_drawn(three, tmp_path):
    three.save(tmp_path / "three.nc")
    again = workbench.load(tmp_path / "three.nc")
    assert again.dataset["gradient_kernel_simulated_seeds"].dims == ("seed", "time", "source", "target")
    figure = SEEDS.draw(Subject(again.dataset))
    (upper, lower) = figure.axes
    assert len(upper.collections) == 2 and sum(len(line.get_xdata()) for line in lower.lines) > 0


def test_seeds_that_cannot_be_are_refused():
    for wrong in (0, -1, 10**6):
        with pytest.raises(WorkbenchError, match="seeds"):
            workbench.Settings(seeds=wrong)

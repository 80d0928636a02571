"""Studies that hold measures of influence against each other: one number of each, computed another way."""

import numpy as np
import pytest

from workbench.networks import network
from workbench.semantics import Hierarchy
from workbench.studies.ladders import predicted_rungs
from workbench.studies.pairs import events_of, groups_far_first
from workbench.theory import flip_times, hierarchy_spectrum, predict, settling_time


def test_the_ladders_of_measures_start_at_the_roots_of_the_kernels_flip_equation():
    tree = Hierarchy((2, 2))
    roots = flip_times(tree, hierarchy_spectrum(tree).singular_values(q0=1, q1=1, q2=1), a0=0.01)
    start = network(tree.indicator_task(), 4, "balanced:0.01")
    path = predict(start, np.linspace(0, settling_time(start), 61)[1:])
    rungs = (("memory", 0.0), ("curvature", np.inf), ("memory", 1 / 128))
    flips = [
        events_of(path.times, one, groups_far_first(start.task)[1])[:, 0] for _, one in predicted_rungs(path, rungs)
    ]
    # A spline of 60 points over the whole of training; a memory of 1/128 adds its square.
    assert np.array(flips) == pytest.approx(np.array([[float(times[0]) for times in roots]] * 3), rel=2e-3)

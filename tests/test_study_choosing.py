"""What a step does to variances, against its closed form on a posterior that gamma alone holds."""

import numpy as np
import pytest

import workbench
from workbench.studies.choosing import _chains
from workbench.studies.study import Inquiry
from workbench.theory import predict
from workbench.trajectory import Trajectory


def test_a_step_of_two_over_the_precision_doubles_variances_and_is_not_seen_in_the_trace():
    """Every direction has precision gamma, so SGLD multiplies its variance by 1 / (1 - eps gamma / 4)."""
    path = predict(workbench.network(workbench.task_from_spec("tree:2,2"), 4, "balanced:0.01"), np.array([4.0]))
    one, gamma = Trajectory(path.network, "trained", path.times, path.weights, 0.0), 1e5
    usual, large = (_chains(one, 1.0, gamma, (gamma, gamma), step / gamma, Inquiry(quick=True)) for step in (0.4, 2.0))
    assert usual is not None and large is not None
    # 800 draws each, some 20 and 5 steps apart in correlation: 10% of noise.
    assert (large[0] / usual[0]).mean() == pytest.approx((1 - 0.4 / 4) / (1 - 2.0 / 4), rel=0.25)
    assert large[2] < 1.1 and large[3]

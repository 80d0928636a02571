"""Measures of influence, one file each: what they are, their options, and both sides.

>>> from workbench.influence import MEASURES
>>> MEASURES["leave_one_out"].units
'loss'

A measure is called with a trajectory, predicted or trained, and answers on that side with an `xarray.DataArray` over
(time, source, target), negative where the source helps the target.
"""

from workbench.influence.damped_newton import damped_newton
from workbench.influence.frozen_input_derivative import frozen_input_derivative
from workbench.influence.gradient_kernel import gradient_kernel
from workbench.influence.leave_one_out import leave_one_out
from workbench.influence.local_bif import local_bif
from workbench.influence.measure import SIGN_CONVENTION, Measure, side_of
from workbench.influence.option import Option
from workbench.influence.quantities import Beside, Expectation, Measured, Request
from workbench.influence.trajectory_derivative import trajectory_derivative
from workbench.influence.window_removal import window_removal
from workbench.influence.work import Bar, Work, no_bar, schedule_of
from workbench.theory import predict

#: The measures by name, the plainest first: the one list of them that there is.
MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        gradient_kernel,
        local_bif,
        leave_one_out,
        window_removal,
        trajectory_derivative,
        damped_newton,
        frozen_input_derivative,
    )
}

#: What `workbench.compare` measures unless told otherwise.
DEFAULT_MEASURES = (gradient_kernel.name, local_bif.name, leave_one_out.name)

__all__ = [
    "DEFAULT_MEASURES",
    "MEASURES",
    "SIGN_CONVENTION",
    "Bar",
    "Beside",
    "Expectation",
    "Measure",
    "Measured",
    "Option",
    "Request",
    "Work",
    "damped_newton",
    "frozen_input_derivative",
    "gradient_kernel",
    "leave_one_out",
    "local_bif",
    "no_bar",
    "predict",
    "schedule_of",
    "side_of",
    "trajectory_derivative",
    "window_removal",
]

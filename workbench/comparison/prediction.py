"""The predicted half of a comparison: what `workbench compare` would save, without its simulation.

Every figure can be drawn from this dataset as from one that `compare` saved; the simulated points are then absent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench import dataset, influence, theory
from workbench.errors import ConditionError, WorkbenchError, human_bytes
from workbench.influence import Measure, Work
from workbench.influence.curvatures import curvatures
from workbench.networks import Init, Network, choose_init, network
from workbench.semantics import Hierarchy, SemanticTask, prepared
from workbench.trajectory import Trajectory

Array = NDArray[np.float64]

#: Times of a prediction; fewer where there are many items, as the local posterior takes P^4 operations a checkpoint.
TIMES = 181
_FEWEST = 24
_OPERATIONS = 3e10
#: A prediction of more bytes is refused.
_MOST_BYTES = 2e9


def prediction(
    task: SemanticTask,
    *,
    hidden: int = 16,
    depth: int = 2,
    a0: float | None = None,
    seed: int = 0,
    times: int = TIMES,
    n_beta: float | None = None,
    gamma: float | None = None,
    spec: str | None = None,
    centre: bool = False,
    standardise: bool = False,
) -> xr.Dataset:
    """Modes, losses and influence of a balanced aligned network, from closed forms and the gradient flow alone.

    Args:
        task: what is to be learned; its items must be one-hot.
        hidden: hidden units N_h of every hidden layer. depth: layers of weights D.
        a0: initial strength of every mode, weight^2; None: 0.01, smaller for a table in small numbers.
        seed: of the hidden directions (no figure shows them) and, for the record, of the task.
        times: checkpoints from 0 until 99.5% of the loss is gone, and a quarter more.
        n_beta, gamma: of the local posterior; None: from the size of the losses and the largest singular value.
        spec: the task as given by the user, for the record.
        centre, standardise: how the columns of the table are prepared; see `workbench.semantics.prepared`.

    Returns:
        The variables of a comparison's dataset whose names do not end in ``_simulated``.
    """
    task = prepared(task, centre=centre, standardise=standardise)
    _refuse_oversized(task, hidden)
    start = network(task, hidden, choose_init(task) if a0 is None else Init("balanced", a0), depth, seed=seed)
    assert start.active is not None and start.a0 is not None
    t = time_grid(start, max(_FEWEST, min(times, int(_OPERATIONS / task.n_items**4))))
    predicted = influence.predict(start, t)
    given = {"n_beta": n_beta, "gamma": gamma}
    chosen = {measure.name: _options(measure, predicted, given) for measure in influence.MEASURES.values()}
    variables = dataset.of_weights(predicted)
    for measure in influence.MEASURES.values():
        if measure.analytic is not None and task.n_items <= measure.quick_up_to:
            array = measure.measure(predicted, chosen[measure.name], Work())
            variables |= dataset.of_influence(array, measure)
    posterior = chosen[influence.local_bif.name]
    settings: dict[str, Any] = {"task": spec, "centre": centre, "standardise": standardise, "hidden": hidden}
    settings |= {"depth": depth}
    settings |= {"init": str(start.init), "seed": seed, "times": len(t)}
    settings |= {name: posterior[name] for name in ("n_beta", "gamma")}
    return dataset.labelled(
        start,
        t,
        variables,
        config=settings,
        lambda_min=curvatures(predicted)[:, 0],
        n_beta=settings["n_beta"],
        gamma=settings["gamma"],
        attrs={},
    )


def _refuse_oversized(task: SemanticTask, hidden: int) -> None:
    """Refuse what would not fit in memory, before anything is built."""
    measures = sum(task.n_items <= measure.quick_up_to for measure in influence.MEASURES.values())
    needed = 8.0 * _FEWEST * (measures * task.n_items**2 + hidden * (task.n_items + task.n_outputs)) + 24.0 * hidden**2
    if needed > _MOST_BYTES:
        raise WorkbenchError(
            f"{task.n_items} items, {task.n_outputs} properties and {hidden} hidden units take {human_bytes(needed)} "
            f"(limit {human_bytes(_MOST_BYTES)}); keep fewer items, or use a smaller `hidden`"
        )


def _options(measure: Measure, predicted: Trajectory, given: dict[str, Any]) -> dict[str, Any]:
    """The measure's options: those given that are its own, the others chosen."""
    return measure.resolve(predicted, {name: value for name, value in given.items() if name in measure.option_names})


def time_grid(start: Network, count: int) -> Array:
    """``(T,)`` times until the network has settled, denser early where the first stage is short."""
    end = theory.settling_time(start)
    first = float(theory.half_rise_times(start).min())
    fraction = np.linspace(0.0, 1.0, count)
    # The first stage gets at least an eighth of the times.
    power = np.log(first / end) / np.log(1 / 8) if first < end / 8 else 1.0
    return np.asarray(end * fraction ** min(power, 3.0))


def start_of(ds: xr.Dataset) -> Network:
    """The aligned network that a dataset describes, made again from what the dataset holds.

    Raises:
        ConditionError: if the network did not start aligned: the closed forms of the teaching figures need it.
    """
    init = Init.parse(str(ds.attrs.get("init", "unknown")))
    if init.kind != "balanced":
        raise ConditionError(
            "balanced aligned initial weights", f"init {init}", "make the dataset with `init` balanced:0.01"
        )
    # The text of the start has six digits, the number all of them.
    init = Init("balanced", float(ds.attrs.get("a0", ds.attrs.get("initial_strength", init.scale))))
    branching = ds.attrs.get("branching")
    task = SemanticTask(
        name=str(ds.attrs.get("task", "the task")),
        items=tuple(map(str, ds["item"].values)),
        properties=tuple(map(str, ds["property"].values)),
        Y=ds["Y"].transpose("property", "item").values,
        tree=None if branching is None else Hierarchy(tuple(int(b) for b in np.atleast_1d(branching))),
    )
    depth, hidden = int(ds.attrs.get("depth", 2)), int(ds.attrs["hidden"])
    return network(task, hidden, init, depth, seed=int(ds.attrs["seed"]))

"""Files of a bench: scores in long form, costs, leaderboard, figures, and the truths with their index sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench.bench.curves import draw_curves
from workbench.bench.markdown import bench_page, problem_table
from workbench.bench.page import leaderboard_page
from workbench.bench.problem import problem_of
from workbench.bench.retraining import retrained
from workbench.bench.runner import BenchResult, as_dataset
from workbench.bench.summary import leaderboard
from workbench.bench.truth import Truths
from workbench.errors import WorkbenchError
from workbench.figures.files import draw
from workbench.report.markup import slug
from workbench.store.files import netcdf_bytes, write_file

Array = NDArray[np.float64]

#: Losses trained again on another number of threads may differ by this fraction of the largest: rounding, carried
#: through thousands of steps.
RECHECK_TOLERANCE = 1e-8


def write_results(result: BenchResult, folder: Path, command: str = "workbench bench") -> None:
    """Write tables (``scores``, ``costs``, ``leaderboard``, ``problems``), pages, ``figures/`` and ``truths/``.

    Scores are the same bit for bit if the same is asked for again; costs are not.
    """
    (folder / "truths").mkdir(parents=True, exist_ok=True)
    (folder / "figures").mkdir(exist_ok=True)
    write_file(folder / "scores.csv", result.table.to_csv(index=False))
    write_file(folder / "scores.nc", netcdf_bytes(as_dataset(result.table)))
    write_file(folder / "costs.csv", result.costs.to_csv(index=False))
    board = leaderboard(result.table, result.costs, result.methods)
    write_file(folder / "leaderboard.csv", board.to_csv(index=False))
    write_file(folder / "problems.csv", problem_table(result.truths).to_csv(index=False))
    write_file(folder / "bench.md", bench_page(board, result, command))
    page = leaderboard_page(board, result.methods, result.truths, result.evaluations)
    write_file(folder / "leaderboard.html", page)
    for problem, truths in result.truths.items():
        write_file(folder / "truths" / f"{slug(problem)}.nc", netcdf_bytes(truth_dataset(truths)))
    for (method, problem), evaluation in result.evaluations.items():
        if evaluation.influence is not None:
            figure = draw_curves(evaluation, result.truths[problem])
            for kind, content in draw(figure, {"method": method, "problem": problem}, ("png", "svg")).items():
                write_file(folder / "figures" / f"{slug(method)}-on-{slug(problem)}.{kind}", content)


def truth_dataset(truths: Truths) -> xr.Dataset:
    """The truths of a problem as a labelled dataset; index sets stand beside the losses they belong to."""
    pair = ("seed", "time", "source", "target")
    units = {"units": "loss", "sign": "negative: more weight on the source lowers the target's loss"}
    P, form, flow = truths.subsets.shape[1], truths.closed_form, ("time", "source", "item")
    return xr.Dataset(
        {name: (pair, values, units) for name, values in truths.influence.items()}
        | ({} if form is None else {"derivative_closed_form": (flow, form, units)})
        | {
            "level": (("source", "target"), truths.levels, {"long_name": "level of the common ancestor, -1: itself"}),
            "subset": (("index_set", "source"), truths.subsets.astype(np.int8), {"long_name": "1: trained on"}),
            "subset_loss": (("seed", "time", "index_set", "target"), truths.subset_losses, {"units": "loss"}),
        },
        coords={"time": truths.times, "source": list(truths.targets[:P]), "target": list(truths.targets)},
        attrs={"problem": truths.problem.spec or truths.problem.name},
    )


def recheck(folder: Path, *, problems: Sequence[str] | None = None, subsets: int = 4) -> dict[str, float]:
    """Train some stored index sets again and compare with the stored losses, on every problem of a result.

    Args:
        folder: a result of `workbench bench`.
        problems: which; None: all there are.
        subsets: how many index sets of each problem.

    Returns:
        The largest difference by problem, as a fraction of the largest loss.

    Raises:
        WorkbenchError: if one exceeds `RECHECK_TOLERANCE`: the stored losses do not belong to the stored index sets.
    """
    files = sorted((folder / "truths").glob("*.nc"))
    if not files:
        raise WorkbenchError(f"{folder} holds no truths/ of a bench; give the DIR of an earlier `workbench bench`")
    differences = {}
    for file in files:
        name = file.stem
        if problems is not None and name not in problems:
            continue
        stored = xr.load_dataset(file, engine="h5netcdf")
        sets = stored["subset"].values[:subsets].astype(bool)
        again = retrained(problem_of(stored.attrs["problem"]), stored.sizes["seed"], sets.astype(float))
        kept = stored["subset_loss"].values[:, :, : len(sets)]
        differences[name] = float(np.abs(again - kept).max() / np.abs(kept).max())
        if not differences[name] <= RECHECK_TOLERANCE:
            raise WorkbenchError(
                f"{name}: losses trained again differ by {differences[name]:.2g} of the largest (allowed "
                f"{RECHECK_TOLERANCE:g}); the stored losses do not belong to the stored index sets, or the code changed"
            )
    return differences

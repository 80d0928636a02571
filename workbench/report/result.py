"""Write a comparison to a directory: data, figures, report and configuration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from workbench import dataset
from workbench.agreement import Verdict
from workbench.comparison import Comparison
from workbench.errors import WorkbenchError
from workbench.figures import Rendered, Subject, Words, figure_set, save
from workbench.figures.ensemble import SEEDS
from workbench.figures.fonts import lacking
from workbench.figures.reading import names_in
from workbench.influence import Bar, no_bar
from workbench.report.directory import MARKER, staged
from workbench.report.page import write_report
from workbench.report.wording import errors_for_people, events_for_people
from workbench.store.files import write_file
from workbench.theory.closed_form import ClosedForm
from workbench.theory.influence.flips import flip_equation_form
from workbench.theory.influence.gradient_kernel import kernel_form
from workbench.theory.influence.transport_forms import pair_transport_form
from workbench.theory.influence.tree_kernel import tree_kernel_form
from workbench.theory.modes.balanced import half_rise_form, mode_loss_form, mode_strength_form
from workbench.theory.modes.depth import depth_time_form, shallow_form
from workbench.theory.modes.step_size import step_size_form
from workbench.theory.posterior.deep_forms import deep_block_form, four_measures_form
from workbench.theory.posterior.hessian import pair_block_form

#: Layers up to which the formulas of one depth are short enough to be read.
_LONGEST = 5


def write_result(
    comparison: Comparison,
    target: Path,
    *,
    force: bool = False,
    source: str | None = None,
    bar: Bar = no_bar,
    within: Path | None = None,
) -> list[Verdict]:
    """Write ``influence.nc``, ``report.html``, ``figures/`` and ``config.json`` into ``target``.

    Args:
        comparison: what `compare` returned.
        target: directory to create; an earlier result there is replaced only with ``force``.
        source: item whose influence is drawn; the first one unless given.
        bar: opens progress bars.
        within: where it is put together, if not beside ``target``; see `staged`.

    Returns:
        The verdicts that the report states.
    """
    ds, judged = comparison.dataset, comparison.verdicts()
    config: dict[str, Any] = {
        "settings": json.loads(ds.attrs["config"]),
        "resolved": {
            key: _plain(ds.attrs[key])
            for key in (
                "task",
                "task_source",
                "task_digest",
                "n_beta",
                "gamma",
                "eta",
                "steps",
                "code_version",
            )
        }
        | {"t_max": float(ds["time"].values[-1])},
        "notes": comparison.notes,
    }
    with staged(target, force, within) as work:
        dataset.write(ds, work / dataset.RESULT)
        write_file(work / MARKER, json.dumps(config, indent=2) + "\n")
        (work / "figures").mkdir()
        words, drawn, missing = _figures(Subject(ds, source), work / "figures", bar)
        write_report(
            work / "report.html",
            ds,
            figures=words,
            tables=tables(ds),
            equations=equations(ds),
            verdicts=judged,
            drawn=drawn,
            warnings=[*comparison.notes, *missing, *filter(None, [lacking(names_in(ds))])],
            config=config,
        )
    return judged


def _figures(subject: Subject, folder: Path, bar: Bar) -> tuple[dict[str, Words], dict[str, Rendered], list[str]]:
    """Draw and write the figures of the report; also says which of them this dataset cannot have, and why."""
    provenance = {name: str(subject.ds.attrs[name]) for name in ("code_version", "config")}
    words, drawn, missing = {}, {}, []
    figures = figure_set("report") | ({SEEDS.name: SEEDS} if "seed" in subject.ds.dims else {})
    with bar("figures", len(figures)) as advance:
        for name, figure in figures.items():
            try:
                drawn[name] = save(figure.draw(subject), folder, name, provenance)
                words[name] = figure.words(subject)
            except WorkbenchError as error:
                missing.append(f"no figure {name}: {error}")
            advance(1)
    return words, drawn, missing


def tables(ds: xr.Dataset) -> Sequence[tuple[str, pd.DataFrame, str]]:
    """Title, table and note of every table in the report."""
    return (
        (
            "Differences between the sides",
            errors_for_people(ds),
            "Relative difference (L2) over all checkpoints, and the share of the predicted influence whose sign is "
            "right. For sampled measures, what chance alone explains of it, and the draws a chain that would bring "
            "that to a third: beyond a third single entries are noise, and a large relative difference says nothing. "
            "Pooled differences are dominated by an item's influence on itself: read the groups.",
        ),
        (
            "Sign flips and peaks",
            events_for_people(ds),
            "Flow times read off the mean curve of all pairs of a group, in the same way on both "
            "sides; closed form: the root of the flip equation. An event needs a size: 1% of its curve's largest "
            "value, more than the rounding or integration of its side, and 2 standard errors of a sampled curve; a "
            "dash stands where there is none near a predicted one. While learning: the level or mode whose loss falls "
            "fastest at that time.",
        ),
    )


def equations(ds: xr.Dataset) -> list[ClosedForm]:
    """The closed forms behind this comparison, with their derivations."""
    depth = int(ds.attrs.get("depth", 2))
    if depth != 2:
        return _of_depth(depth)
    forms = [mode_strength_form(), half_rise_form(), mode_loss_form(), step_size_form()]
    if "a0" not in ds.attrs:
        return forms
    branching = ds.attrs.get("branching")
    if branching is not None and (ds["mode_level"].values >= 0).all():
        from workbench.semantics import Hierarchy

        cover = Hierarchy(tuple(int(b) for b in branching)).cover
        parting = [m for m in range(len(cover) - 1) if cover[m] > cover[m + 1]]  # no pair parts where nothing branches
        for m in parting:
            forms += [tree_kernel_form(cover, m), flip_equation_form(cover, m)]
    else:
        forms.append(kernel_form())
    return [*forms, pair_block_form()]


def _of_depth(depth: int) -> list[ClosedForm]:
    """Closed forms of other depths than two; beyond five layers those that do not grow with them."""
    if depth == 1:
        return [shallow_form(), step_size_form()]
    if depth > _LONGEST:
        return [step_size_form(), deep_block_form(depth), four_measures_form()]
    forms = [depth_time_form(depth), step_size_form(), kernel_form(depth), deep_block_form(depth)]
    return [*forms, pair_transport_form(depth), four_measures_form()]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value

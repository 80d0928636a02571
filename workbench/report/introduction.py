"""What the report is about, in plain words."""

from __future__ import annotations

from typing import Any

import xarray as xr

from workbench.figures.reading import measures, powers
from workbench.report.markup import Markup, element, together
from workbench.report.tables import value_text

_MEANING = {
    "gradient_kernel": "What one small training step on item i does to the loss of item j: minus the inner "
    "product of the gradients of their losses.",
    "local_bif": "Minus the covariance of the losses of i and j when the weights fluctuate around the "
    "checkpoint, as in a posterior tied to it: items whose losses rise and fall together help each other.",
    "leave_one_out": "What training with item i, compared with training without it, does to the loss of j.",
    "damped_newton": "What one Newton step on item i, damped where the loss curves down, does to the loss of j: the "
    "classical influence function.",
}


def introduction(ds: xr.Dataset) -> Markup:
    """Task, question, measures with sign and unit, and how theory and simulation meet."""
    items, properties, modes = ds.sizes["item"], ds.sizes["property"], ds.sizes["mode"]
    task = str(ds.attrs.get("task", "this task"))
    return together(
        element(
            "p",
            f"A two-layer linear network learns which of {properties} properties each of {items} items has "
            f"(task: {task}). It does so in stages: one after another it picks up the {modes} singular modes "
            "of the data, the broadest distinctions first. The question is how the influence of one item on "
            "another changes meanwhile: does more weight on item i help or harm item j, and when?",
        ),
        element(
            "p",
            "The answer is given twice and independently: predicted by formulas (lines) and measured on "
            "simulated networks (points). Time is flow time t, the learning rate times the number of steps.",
        ),
        element(
            "p",
            element("strong", "Sign. "),
            "Influence of i on j is the change of the loss of j per unit of extra weight on i, or stands in "
            "for it. Negative means that i helps j (blue), positive that i harms j (orange).",
        ),
        _measures(ds),
    )


def _measures(ds: xr.Dataset) -> Markup:
    entries = []
    for measure in measures(ds):
        sides = [side for side in ("analytic", "simulated") if f"{measure.name}_{side}" in ds]
        facts = [ds[f"{measure.name}_{side}"].attrs for side in sides]
        described = [_MEANING.get(measure.name, "")]
        if "formula" in facts[0]:
            described.append(f"In symbols: {facts[0]['formula']}.")
        described += [
            f"{side.capitalize()}: {f['method']}." for side, f in zip(sides, facts, strict=True) if "method" in f
        ]
        if measure.units:
            described.append(f"Unit: {powers(measure.units)}.")
        if len(sides) == 1:
            described.append(f"Only the {sides[0]} side is present.")
        title = str(facts[0].get("long_name", measure.title))
        entries.append(together(element("dt", title), element("dd", " ".join(filter(None, described)))))
    return together(element("h3", "Measures of influence"), element("dl", *entries, class_="measures"))


def parameters(ds: xr.Dataset) -> list[tuple[str, Any]]:
    """Numbers and words in the dataset's attributes, other than the configuration."""
    return [(str(key), value_text(value)) for key, value in ds.attrs.items() if key != "config"]

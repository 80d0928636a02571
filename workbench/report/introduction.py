"""What the report is about, in plain words."""

from __future__ import annotations

import json
from typing import Any

import xarray as xr

from workbench import dataset
from workbench.errors import counted
from workbench.figures.reading import measures, powers
from workbench.influence import MEASURES
from workbench.report.markup import Markup, element, together
from workbench.report.tables import value_text
from workbench.report.wording import typeset

#: Attributes that the page shows in places of their own.
_LONG = ("config", "notes", "not_predicted")


def introduction(ds: xr.Dataset) -> Markup:
    """Task, question, measures with sign and unit, and how theory and simulation meet."""
    items, properties, modes = ds.sizes["item"], ds.sizes["property"], ds.sizes["mode"]
    task = str(ds.attrs.get("task", "this task"))
    return together(
        element(
            "p",
            f"A network of {dataset.network_words(ds)} learns {counted(properties, 'property', 'properties')} of each "
            f"of {items} items (task: {task}). {_in_stages(modes)} The question is how the influence of one item on "
            "another changes meanwhile: does more weight on item i help or harm item j, and when?",
        ),
        element("p", f"{_sides(ds)} Time is flow time t, the learning rate times the number of steps."),
        element(
            "p",
            element("strong", "Sign. "),
            "Influence of i on j is the change of the loss of j per unit of extra weight on i, or stands in "
            "for it. Negative means that i helps j (blue), positive that i harms j (orange).",
        ),
        _measures(ds),
    )


def _in_stages(modes: int) -> str:
    if modes == 1:
        return "The data have one singular mode, so it does so in one stage."
    return (
        f"It does so in stages: one after another it picks up the {modes} singular modes of the data, the broadest "
        "distinctions first."
    )


def _sides(ds: xr.Dataset) -> str:
    sides = {side for measure in measures(ds) for side in dataset.sides_of(ds, measure.name)}
    if len(sides) == 2:
        return (
            "The answer is given twice and independently: predicted by formulas (lines) and measured on simulated "
            "networks (points)."
        )
    if sides == {"analytic"}:
        return "The answer is predicted by formulas; nothing was simulated."
    reasons = sorted(set(json.loads(ds.attrs.get("not_predicted", "{}")).values()))
    return f"The answer is measured on simulated networks alone: {'; '.join(reasons) or 'nothing was predicted'}."


def _measures(ds: xr.Dataset) -> Markup:
    entries = []
    for measure in measures(ds):
        sides = dataset.sides_of(ds, measure.name)
        facts = [ds[dataset.variable(measure.name, side)].attrs for side in sides]
        known = MEASURES.get(measure.name)
        described = [str(facts[0].get("meaning", known.meaning if known else ""))]
        if "formula" in facts[0]:
            described.append(f"In symbols: {typeset(str(facts[0]['formula']))}.")
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
    return [(str(key), value_text(value)) for key, value in ds.attrs.items() if key not in _LONG]

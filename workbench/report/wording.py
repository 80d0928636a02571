"""The words of people for what datasets and tables name by identifiers: pairs of items, events, columns, formulas."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from workbench.agreement import ALL_OTHERS, error_table, event_table, pair_groups
from workbench.agreement.resolution import RESOLVED
from workbench.figures.reading import cut, measures
from workbench.report.markup import Markup, element, together

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
_EVENTS = {"most helpful": "helps most", "most harmful": "harms most"}
_COLUMNS = {
    "measure": "measure",
    "pairs": "items",
    "event": "event",
    "analytic": "predicted t",
    "simulated": "simulated t",
    "difference": "difference",
    "analytic_spread": "predicted, s.d. over seeds",
    "simulated_spread": "simulated, s.d. over seeds",
    "seeds": "seeds with it",
    "closed_form": "closed form t",
    "size": "size",
    "learning": "while learning",
    "relative_l2": "relative difference",
    "same_sign": "right sign",
    "monte_carlo": "by chance alone",
    "draws_to_resolve": "draws to read entries",
    "within_4_se": "within 4 s.e.",
}
#: Groups of pairs in the plural.
_MANY = {
    "most alike third": "the most alike third of pairs",
    "middle third": "the middle third of pairs",
    "least alike third": "the least alike third of pairs",
    "most alike pairs": "the most alike pairs",
    "middle pairs": "pairs neither most nor least alike",
    "least alike pairs": "the least alike pairs",
    ALL_OTHERS: "pairs of two items",
}
#: Curves that differ by less than this of the largest influence are one curve.
_ONE_CURVE = 1e-6
#: What plain text writes in ASCII, longest first.
_SYMBOLS = {
    "^{-1}": "⁻¹",
    "sum_i": "Σᵢ",
    "n beta": "nβ",
    "gamma": "γ",
    "grad ": "∇",
    "eps": "ε",
    " . ": " · ",
    "_i": "ᵢ",
    "_j": "ⱼ",
    "^2": "²",
    " d l": " dl",
    "-": "−",
}


def typeset(formula: str) -> str:
    """A formula in plain ASCII with the signs of mathematics; a hyphen inside a word stays one."""
    for plain, sign in _SYMBOLS.items():
        if plain != "-":
            formula = formula.replace(plain, sign)
    letters = list(formula)
    for k, letter in enumerate(letters):
        inside = 0 < k < len(letters) - 1 and letters[k - 1].isalpha() and letters[k + 1].isalpha()
        if letter == "-" and not inside:
            letters[k] = _SYMBOLS["-"]
    return "".join(letters)


def noted(note: str) -> Markup:
    """A note for the page: parameters between backticks as code, the rest with Greek letters."""
    parts = note.split("`")
    return together(*(element("code", part) if k % 2 else _greek(part) for k, part in enumerate(parts)))


def _greek(text: str) -> str:
    return re.sub(r"\bn beta\b", "nβ", re.sub(r"\bgamma\b", "γ", text)).replace("+-", "±")


def pair_words(ds: xr.Dataset) -> dict[str, str]:
    """For every group of pairs, two items that belong to it, and how they are related.

    Two items alone stand for a group only where all its curves are one, as symmetry makes them.
    """
    names = [cut(name, 40, ds["source"].values) for name in ds["source"].values]
    told = {}
    for group, mask in pair_groups(ds).items():
        i, j = np.argwhere(mask)[0]
        coincide = not averaged(ds, mask)
        told[group] = (
            f"{names[i]} and {names[j]} ({relation(group)})"
            if coincide
            else f"{_many(group)} ({names[i]} and {names[j]} among them)"
        )
    return told


def _many(group: str) -> str:
    """The pairs of a group, in words."""
    related = relation(group)
    return _MANY.get(group, f"pairs {related}" if related.startswith("meeting") else related)


def averaged(ds: xr.Dataset, mask: NDArray[np.bool_]) -> bool:
    """Whether the mean curve of the pairs in a ``(P, P)`` mask is of no pair, as their curves differ.

    By symmetry they are one where task and start have that of the tree; elsewhere the first measure's curves tell.
    """
    if (ds["mode_level"].values >= 0).all() and str(ds.attrs.get("init", "")).startswith(("balanced", "unequal")):
        return False
    curves = measures(ds)[0].sides[0][1][:, mask]
    return bool(np.ptp(curves, axis=1).max() > _ONE_CURVE * np.abs(curves).max())


def relation(group: str) -> str:
    """How the items of a group are related, from its name."""
    if group == ALL_OTHERS:
        return "two different items"
    where = group.removeprefix("ancestor on ")
    if where == group:
        return group
    level, _, kind = where.partition(" (")
    return {"root)": "meeting at the root", "siblings)": "siblings"}.get(kind, f"meeting on {level}")


def errors_for_people(ds: xr.Dataset) -> pd.DataFrame:
    """The error table in words; what chance alone explains beyond a third is called noise."""
    table = error_table(ds)
    if "monte_carlo" in table:
        share = table["monte_carlo"]
        table["read as"] = np.select([share.isna(), share <= RESOLVED], ["", "signal"], "entries are noise")
    return _in_words(ds, table)


def events_for_people(ds: xr.Dataset) -> pd.DataFrame:
    """The event table in words, without columns in which nothing stands."""
    table = event_table(ds)
    table["event"] = [_event(event) for event in table["event"]]
    return _in_words(ds, table)


def _event(event: str) -> str:
    kind, _, number = event.partition(" ")
    if kind == "flip" and number.isdigit():
        k = int(number)
        return f"{_ORDINALS[k - 1] if k <= len(_ORDINALS) else f'{k}th'} change of sign"
    return _EVENTS.get(event, event)


def _in_words(ds: xr.Dataset, table: pd.DataFrame) -> pd.DataFrame:
    titles = {measure.name: measure.title for measure in measures(ds)}
    table = table.assign(measure=table["measure"].replace(titles), pairs=table["pairs"].replace(pair_words(ds)))
    return table.dropna(axis="columns", how="all").rename(columns=_COLUMNS)

"""The theory as a chapter: every closed form rendered from the object itself, with the claims that could refute it."""

import re
from itertools import groupby

from workbench.report.equations import unfolding
from workbench.theory.catalogue import Entry, catalogue
from workbench.verification import all_claims
from workbench.verification.claims import Claim

#: What a family is about, before its formulas.
LEADS = {
    "Spectra of hierarchies": "A tree has one singular value a level. They fix the order in which levels are learned.",
    "Mode dynamics": "From an aligned start every singular mode of the task is learned by itself; here is when.",
    "Exact matrix solution": "From any balanced start all weights together have a closed form.",
    "Influence": "What more weight on one item does to the loss of another, in modes. Negative helps.",
    "Influence at any depth": "The same beyond two layers, and what four measures of influence have in common.",
    "Bayesian learning": "The same network as a posterior instead of a trajectory: phases and transitions.",
    "Learning coefficient": "How much volume of weights has almost no loss.",
}


def _claims_by_form(claims: list[Claim]) -> dict[str, list[Claim]]:
    by_form: dict[str, list[Claim]] = {}
    for claim in claims:
        for form in claim.forms:
            by_form.setdefault(form, []).append(claim)
    return by_form


def _family_name(name: str) -> str:
    """What claims call the family of ``tree_kernel_m1`` or ``phi_3``: ``tree_kernel``, ``phi``."""
    return re.sub(r"(_[mk])?_?\d+$", "", name)


def _of(name: str, by_form: dict[str, list[Claim]]) -> list[Claim]:
    """The claims about a form, or about the family it belongs to."""
    stem = _family_name(name)
    return [
        claim
        for form, claims in by_form.items()
        if form == name or form.rstrip("_") in (stem, re.sub(r"_?\d+$", "", name))
        for claim in claims
    ]


def _literal(text: str) -> str:
    """Plain words as Markdown: what looks like markup in a formula is not."""
    return re.sub(r"([\\*_`$|<>\[\]])", r"\\\1", text)


def _section(entry: Entry, by_form: dict[str, list[Claim]]) -> str:
    form = entry.build()
    parts = [f"(form-{entry.name})=\n## {_literal(form.title)}\n", f"```{{raw}} html\n{unfolding(form)}\n```\n"]
    claims = _of(entry.name, by_form)
    if claims:
        parts.append("**What could refute it**\n")
        parts += [
            f"- {_literal(claim.sentence[0].upper() + claim.sentence[1:])}. Against: {_literal(claim.against)}. "
            f"Allowed difference {claim.tolerance:.2g}: {_literal(claim.reason)}.\n"
            for claim in claims
        ]
    return "\n".join([*parts, f"\n`workbench derive {entry.name}`\n"])


def _slug(family: str) -> str:
    return family.lower().replace(" ", "-")


def pages() -> dict[str, str]:
    """Markdown by file name: a page a family, and their index."""
    by_form = _claims_by_form(all_claims())
    families: dict[str, list[Entry]] = {}
    for family, entries in groupby(catalogue().values(), key=lambda entry: entry.family):
        families.setdefault(family, []).extend(entries)
    written = {}
    for family, entries in families.items():
        sections = [_section(entry, by_form) for entry in entries]
        written[f"theory/{_slug(family)}.md"] = "\n".join([f"# {family}\n", LEADS.get(family, "") + "\n", *sections])
    return written | {"theory/forms.md": _index(families)}


def _index(families: dict[str, list[Entry]]) -> str:
    count = sum(map(len, families.values()))
    lines = [f"# All {count} closed forms\n"]
    for family, entries in families.items():
        lines += [f"## [{family}]({_slug(family)}.md)\n"]
        lines += [f"- [{_literal(entry.title)}](#form-{entry.name})" for entry in entries]
        lines += [""]
    toc = "\n".join(_slug(family) for family in families)
    return "\n".join([*lines, f"```{{toctree}}\n:hidden:\n\n{toc}\n```\n"])

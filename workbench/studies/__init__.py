"""Studies: what a solvable model can say about influence over training. One file a study, and its line here."""

from __future__ import annotations

import difflib
from importlib import import_module

from workbench.errors import WorkbenchError
from workbench.studies.study import Inquiry, Study, StudyClaim, StudyResult

#: Files of this package that end with ``STUDY``, in the order of lists.
FILES: tuple[str, ...] = (
    "stages_from_data",
    "branching",
    "windows",
    "why_peaks_differ",
    "frozen_input",
    "cancellation",
    "interventions",
    "symmetry_breaking",
    "tree_in_influence",
    "phase_transitions",
    "complexity",
    "loss_off",
    "choosing",
    "influence_on_quantity",
    "other_networks",
    "real_data",
)


def studies() -> dict[str, Study]:
    """All studies by name."""
    known = [import_module(f"{__name__}.{file}").STUDY for file in FILES]
    return {study.name: study for study in known}


def study_named(name: str) -> Study:
    """The study of that name.

    Raises:
        WorkbenchError: names the nearest ones.
    """
    known = studies()
    if name not in known:
        near = difflib.get_close_matches(name, known, 3) or list(known)
        raise WorkbenchError(f"no study {name!r}; perhaps {', '.join(near)}; `workbench study --list` shows all")
    return known[name]


__all__ = ["FILES", "Inquiry", "Study", "StudyClaim", "StudyResult", "studies", "study_named"]

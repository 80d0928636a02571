"""What is written about a study that was run, kept so that a run of many studies can go on where it was cut off."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from workbench import __version__
from workbench.errors import WorkbenchError
from workbench.figures.files import FORMATS, draw
from workbench.store import NOWHERE, Slot
from workbench.store.files import netcdf_bytes
from workbench.studies.study import Inquiry, Study, StudyClaim


@dataclass(frozen=True)
class Answer:
    """A study and what it found.

    Attributes:
        study, question: of the study.
        finding: its sentence, empty where the study was left out.
        claims: put to the test.
        caption, alt: of the figure.
        seconds: what it took.
        left_out: why it could not be asked of the task, in a line; empty where it was.
        files: by name, what goes into the directory: the numbers, and the figure drawn from them.
    """

    study: str
    question: str
    finding: str = ""
    claims: tuple[StudyClaim, ...] = ()
    caption: str = ""
    alt: str = ""
    seconds: float = 0.0
    left_out: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every claim does."""
        return all(claim.holds for claim in self.claims)

    def __str__(self) -> str:
        """The finding and the claims, one a line."""
        if self.left_out:
            return f"{self.study}: left out: {self.left_out}"
        lines = [f"{self.study} ({self.seconds:.0f} s)", f"  {self.finding}"]
        for claim in self.claims:
            word = "holds" if claim.holds else "FAILS"
            lines.append(f"  {word}: {claim}")
        return "\n".join(lines)


def answered(study: Study, inquiry: Inquiry, *, skip: bool = False, slot: Slot = NOWHERE) -> Answer:
    """Run a study, or take the answer that an earlier run kept.

    Args:
        study: the question.
        inquiry: how to ask it.
        skip: a study that cannot be asked of the task is left out with its reason, and is no error.
        slot: where to keep the answer.
    """
    kept = slot.load()
    if kept is not None:
        return _from_kept(kept)
    begin = time.monotonic()
    try:
        result = study.run(inquiry)
    except WorkbenchError as error:
        if not skip:
            raise
        return Answer(study.name, study.question, left_out=str(error))
    about = {"study": study.name, "finding": result.finding, "code_version": __version__}
    files = {f"{study.name}.nc": netcdf_bytes(result.dataset.assign_attrs(about))}
    facts = {"study": study.name, "seed": inquiry.seed, "quick": inquiry.quick, "code_version": __version__}
    for kind, content in draw(result.draw(result.dataset), facts, FORMATS, study.question).items():
        files[f"{study.name}.{kind}"] = content
    answer = Answer(
        study.name,
        study.question,
        result.finding,
        tuple(result.claims),
        result.caption,
        result.alt,
        time.monotonic() - begin,
        files=files,
    )
    slot.save(_kept(answer))
    return answer


def _kept(answer: Answer) -> dict[str, Any]:
    """Arrays of bytes: the files by number, and everything else as JSON."""
    record = {key: value for key, value in asdict(answer).items() if key != "files"} | {"names": list(answer.files)}
    contents = [json.dumps(record).encode(), *answer.files.values()]
    return {f"part{k}": np.frombuffer(content, dtype=np.uint8) for k, content in enumerate(contents)}


def _from_kept(parts: Mapping[str, Any]) -> Answer:
    record = json.loads(parts["part0"].tobytes())
    names = record.pop("names")
    files = {name: parts[f"part{k}"].tobytes() for k, name in enumerate(names, start=1)}
    claims = tuple(StudyClaim(**claim) for claim in record.pop("claims"))
    return Answer(**record, claims=claims, files=files)


def summary_table(answers: Sequence[Answer]) -> list[list[str]]:
    """A row a study: name, question, finding, how many of its claims hold."""
    rows = []
    for answer in answers:
        held = sum(claim.holds for claim in answer.claims)
        finding = f"left out: {answer.left_out}" if answer.left_out else answer.finding
        rows.append([answer.study, answer.question, finding, f"{held} of {len(answer.claims)}"])
    return rows

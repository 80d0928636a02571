"""Docstrings of the package as reStructuredText: formulas in them are plain text, not markup."""

import re
from collections.abc import Iterator

from sphinx.application import Sphinx

#: What stays as it is: literals, `names`, **bold**. Everything else that looks like markup is a formula.
_KEPT = re.compile(r"(``.+?``|`[^`]+`|\*\*[^*]+\*\*)", re.DOTALL)
#: Lines after which an indented one is no formula.
_OPENING = (" ", ">>>", ":", "..", "* ", "- ")
_FIELD = re.compile(r"^\s*:[a-z]+[^:]*:|^\s*\.\. ")


def _escaped(line: str) -> str:
    pieces = _KEPT.split(line)
    plain = re.compile(r"(?<!^)([*|])|(?<=\w)(_)(?!\w)")
    return "".join(piece if k % 2 else plain.sub(r"\\\1\2", piece) for k, piece in enumerate(pieces))


def _lines(lines: list[str]) -> Iterator[str]:
    """Formulas set off by indentation become blocks of their own, as they are written."""
    literal, previous = False, ""
    for line in lines:
        if literal and line.strip() and not line.startswith("    "):
            literal = False
            yield ""
        if not literal and line.startswith("    ") and previous and not previous.startswith(_OPENING):
            literal = True
            yield from ("", "::", "")
        example = line.lstrip().startswith((">>>", "..."))
        yield line if literal or example or _FIELD.match(line) else _escaped(line)
        previous = line or previous


def _process(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    lines[:] = list(_lines(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    """Run before napoleon reads the sections."""
    app.connect("autodoc-process-docstring", _process, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

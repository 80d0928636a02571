"""Names of items and properties: one line of characters that every file and figure can show."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from workbench.errors import WorkbenchError

#: Control characters, halves of surrogate pairs and noncharacters: XML, and so SVG, can hold none of them.
_NOT_SHOWABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + "]"
)


def tidy(name: object) -> str:
    """A name on one line, in the composed form NFC: what looks the same is the same name."""
    return unicodedata.normalize("NFC", " ".join(str(name).split()))


def showable(text: str) -> str:
    """Text of any origin, such as a path, with U+FFFD for what no file format can hold."""
    return _NOT_SHOWABLE.sub("\ufffd", text)


def checked_names(kind: str, names: Sequence[str], count: int) -> tuple[str, ...]:
    """The names in NFC; a `WorkbenchError` where one is missing, empty, not showable or there twice."""
    if len(names) != count:
        raise WorkbenchError(f"{len(names)} {kind} names for a task with {count}; give exactly one name each")
    seen: dict[str, int] = {}
    for position, given in enumerate(names, start=1):
        if not isinstance(given, str):
            raise WorkbenchError(f"{kind} {position} is named {given!r}, which is no text; use str({given!r})")
        name = unicodedata.normalize("NFC", given)
        if not name.strip():
            raise WorkbenchError(f"{kind} {position} has an empty name; give it one")
        if _NOT_SHOWABLE.search(name) or any(unicodedata.category(letter) == "Cc" for letter in name):
            raise WorkbenchError(f"the {kind} name {name!a} holds a character that cannot be shown; leave it out")
        if name in seen:
            raise WorkbenchError(
                f"the {kind} name {name!r} occurs twice ({kind}s {seen[name]} and {position}); rename one"
            )
        seen[name] = position
    return tuple(seen)

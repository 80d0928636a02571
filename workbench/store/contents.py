"""``run.json``, the list of a store's pieces: which run they belong to, and whether they are what was written."""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError

LIST, FORMAT = "run.json", "workbench run, format 2"
_FILE, _DIGEST = re.compile(r"[0-9]{1,12}\.nc"), re.compile(r"[0-9a-f]{64}")
REMEDY = "leave out `resume` and add `force` to start over, or choose another `out`"


def as_text(identity: Mapping[str, Any], pieces: Mapping[str, Any]) -> str:
    """The list, with its own checksum."""
    content = {"format": FORMAT, "saved": time.time(), "identity": identity, "pieces": pieces}
    return json.dumps({"sha256": _digest(content), **content}, indent=1) + "\n"


def read_list(folder: Path) -> dict[str, Any]:
    """``{"saved", "identity", "pieces", ...}``; a `WorkbenchError` where it is missing or not what was written."""
    path, remedy = folder / LIST, f"move {folder}, or choose another `out`"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        digest, written_as = content.pop("sha256"), content["format"]
    except FileNotFoundError:
        raise WorkbenchError(f"{folder} holds no {LIST}, so it is no run that was cut off; {REMEDY}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise WorkbenchError(f"{path} is damaged, or no list of the pieces of a run; {remedy}") from None
    if written_as != FORMAT:
        raise WorkbenchError(f"{path} is of format {str(written_as)[:60]!r}, expected {FORMAT!r}; {remedy}")
    if digest != _digest(content):
        raise WorkbenchError(f"{path} is damaged: its checksum differs; {remedy}")
    if not _is_list(content):
        raise WorkbenchError(f"{path} is damaged: it lists no pieces of a run; {remedy}")
    return dict(content)


def _is_list(content: Mapping[str, Any]) -> bool:
    """Whether everything has the type it is written with, and pieces are files of the store itself."""
    saved, identity, pieces = (content.get(key) for key in ("saved", "identity", "pieces"))
    return (
        isinstance(saved, int | float)
        and math.isfinite(saved)
        and abs(saved) < 1e11
        and isinstance(identity, dict)
        and isinstance(pieces, dict)
        and all(isinstance(piece, dict) and set(piece) == {"file", "sha256"} for piece in pieces.values())
        and all(_FILE.fullmatch(str(p["file"])) and _DIGEST.fullmatch(str(p["sha256"])) for p in pieces.values())
        and len({piece["file"] for piece in pieces.values()}) == len(pieces)
    )


def is_store(folder: Path) -> bool:
    """Whether the directory has a list that was written here and is whole."""
    try:
        read_list(folder)
    except WorkbenchError:
        return False
    return True


def check(folder: Path, content: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Refuse a list that belongs to another run, and pieces that are not what was written."""
    differs = difference(content["identity"], identity)
    if differs:
        raise WorkbenchError(f"{folder} belongs to another run: {differs}; {REMEDY}")
    for name, piece in content["pieces"].items():
        path = folder / piece["file"]
        if not path.is_file():
            raise WorkbenchError(f"{path} is missing from the run; {REMEDY}")
        if piece_digest(name, path.read_bytes()) != piece["sha256"]:
            raise WorkbenchError(f"{path} is damaged: its checksum differs; {REMEDY}")


def leftover(folder: Path, identity: Mapping[str, Any]) -> str:
    """What is in the way of a new run, and what to do about it."""
    try:
        content = read_list(folder)
    except WorkbenchError:
        return f"{folder} is in the way and holds no run that could be continued; move it, or choose another `out`"
    end = when(content["saved"])
    differs = difference(content["identity"], identity)
    if differs:
        return (
            f"{folder} holds another run, cut off at {end} ({differs}); "
            "add `force` to discard it, or choose another `out`"
        )
    return f"a run of this configuration was cut off at {end}; add `resume` to continue it, or `force` to start over"


def difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """The first thing that two runs differ in, in words; empty if there is none."""
    for key in [*here, *(key for key in there if key not in here)]:
        was, now = there.get(key), here.get(key)
        if isinstance(was, dict) and isinstance(now, dict):
            inside = difference(was, now)
            if inside:
                return inside
        elif was != now:
            return f"{key.replace('_', ' ')} {_word(was)} there, {_word(now)} here"
    return ""


def when(seconds: float) -> str:
    """Local date and time of a moment."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def piece_digest(name: str, content: bytes) -> str:
    """SHA-256 of a piece and of its name: one piece in the place of another is as wrong as a changed one."""
    return hashlib.sha256(name.encode() + b"\0" + content).hexdigest()


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _word(value: Any) -> str:
    return "auto" if value is None else ",".join(map(str, value)) if isinstance(value, list) else str(value)

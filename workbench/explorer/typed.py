"""Values of a state from text: from a link, or from JSON."""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from typing import Any

from workbench.errors import WorkbenchError

#: Characters a link may unpack to.
_LARGEST_TABLE = 10_000_000


def middle(low: float, high: float) -> float:
    """The power of ten in the middle of a slider, or just below it."""
    return float(10.0 ** math.floor(math.log10(low * high) / 2))


def typed(name: str, value: Any, default: Any) -> Any:
    """A value as its field wants it, of the type of its default."""
    if isinstance(default, tuple):
        return tuple(str(each) for each in ([value] if isinstance(value, str) else value))
    if isinstance(default, bool):
        if str(value) not in ("True", "False"):
            raise WorkbenchError(f"{name} = {value!r} is neither True nor False")
        return str(value) == "True"
    try:
        if isinstance(default, int):
            if float(value) != int(float(value)):
                raise ValueError
            return int(float(value))
        return type(default)(value)
    except (TypeError, ValueError, OverflowError):
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise WorkbenchError(f"{name} = {value!r} is not {kind}; give one such as {default}") from None


def packed(table: str) -> str:
    """A table for a link."""
    return base64.urlsafe_b64encode(zlib.compress(table.encode(), 9)).decode()


def unpacked(text: str) -> str:
    """Back from `packed`."""
    try:
        unpacking = zlib.decompressobj()
        table = unpacking.decompress(base64.b64decode(text, altchars=b"-_", validate=True), _LARGEST_TABLE)
        if not unpacking.eof:
            raise ValueError
        return table.decode()
    except (binascii.Error, zlib.error, ValueError):
        raise WorkbenchError("the table in the link is damaged; copy the whole link") from None

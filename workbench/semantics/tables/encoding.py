"""The bytes of a table as text: which encoding it is in, and what it is if it is no text."""

from __future__ import annotations

import codecs
import gzip
import zlib
from io import BytesIO
from pathlib import Path

from workbench.errors import WorkbenchError, human_bytes

#: A table of more bytes, as text, is refused: its cells would take ten times as much memory.
MOST_BYTES = 64_000_000

#: Longest first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_TEXT = (
    (b"PK\x03\x04", "a zip archive, as Excel and LibreOffice save workbooks", "save the sheet as CSV in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "save the sheet as CSV in UTF-8"),
    (b"BZh", "compressed (bzip2)", "decompress it first, or use gzip"),
    (b"\xfd7zXZ", "compressed (xz)", "decompress it first, or use gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed (zstd)", "decompress it first, or use gzip"),
    (b"%PDF", "a PDF", "export the table as CSV in UTF-8"),
    (b"PAR1", "a Parquet file", "write the frame with to_csv"),
    (b"\x89HDF", "an HDF5 or netCDF file", "write the table as CSV in UTF-8"),
)


def read_text(path: Path, where: str) -> str:
    """A text file, gzipped or not, as text; ``where`` names it in errors."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise WorkbenchError(f"cannot read {where}: {error.strerror or error}; check the path") from None
    return text_of(raw, where)


def text_of(raw: bytes, where: str) -> str:
    """As `read_text`, from the bytes."""
    if len(raw) <= MOST_BYTES and raw.startswith(b"\x1f\x8b"):
        try:
            raw = gzip.GzipFile(fileobj=BytesIO(raw)).read(MOST_BYTES + 1)
        except (OSError, EOFError, zlib.error):
            raise WorkbenchError(f"{where}: compressed with gzip, and damaged; compress it again") from None
    if len(raw) > MOST_BYTES:
        raise WorkbenchError(
            f"{where}: more than {human_bytes(MOST_BYTES)} of text, the limit for a table; "
            "keep fewer items or properties"
        )
    for mark, what, remedy in _NO_TEXT:
        if raw.startswith(mark):
            raise WorkbenchError(f"{where}: this is {what}, no text; {remedy}")
    encoding = _encoding(raw)
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-8" if encoding.startswith("utf-8") else encoding.upper()
        raise WorkbenchError(
            f"{where}: byte {error.start} is not {name} text; save the table as CSV in UTF-8"
        ) from None


def _encoding(raw: bytes) -> str:
    """By the mark in front; without one UTF-16 shows by the zeros in every other byte of what is mostly ASCII."""
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return encoding
    start = raw[:4096]
    even, odd = start[0::2].count(0), start[1::2].count(0)
    half = len(start) // 2
    if odd > 0.4 * half and not even:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 * half and not odd else "utf-8"

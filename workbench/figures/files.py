"""Figures as files: PNG, SVG and PDF that say which code and which configuration made them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from workbench.errors import WorkbenchError
from workbench.store.files import write_file

#: What a figure can be saved as.
FORMATS = ("png", "svg", "pdf")
DPI = 150


@dataclass(frozen=True)
class Rendered:
    """A drawn figure: the text of its SVG and the bytes of its PNG."""

    svg: str
    png: bytes


def render(figure: Figure, metadata: Mapping[str, Any], title: str = "") -> Rendered:
    """Draw as PNG (150 dpi) and SVG; the same figure always gives the same bytes.

    ``metadata`` (code version, configuration) goes into both files, as JSON where it is not text.
    """
    drawn = draw(figure, metadata, ("png", "svg"), title)
    return Rendered(drawn["svg"].decode(), drawn["png"])


def draw(
    figure: Figure, metadata: Mapping[str, Any], formats: Sequence[str], title: str = "", dpi: int = DPI
) -> dict[str, bytes]:
    """The bytes of the figure in each of ``formats``; nothing in them depends on the time of day."""
    description = describe(metadata)
    creator = f"workbench {metadata.get('code_version', '')}".strip()
    facts = {
        "png": {"Software": creator, "Title": title, "Description": description},
        "svg": {"Creator": creator, "Title": title, "Description": description, "Date": None},
        "pdf": {"Creator": creator, "Title": title, "Subject": description, "CreationDate": None},
    }
    unknown = [name for name in formats if name not in facts]
    if unknown or not formats:
        raise WorkbenchError(
            f"format {', '.join(unknown) or '(none)'} is unknown; use png, svg or pdf, separated by commas"
        )
    # Laid out once, then frozen: all files show the same figure, and the second costs no second layout.
    figure.set_dpi(dpi)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")
    drawn = {}
    with mpl.rc_context({"svg.hashsalt": "workbench", "svg.fonttype": "path", "pdf.fonttype": 42}):
        for name in formats:
            stream = io.BytesIO()
            figure.savefig(stream, format=name, dpi=dpi, facecolor=figure.get_facecolor(), metadata=facts[name])
            drawn[name] = stream.getvalue()
    return drawn


def describe(metadata: Mapping[str, Any]) -> str:
    """The facts as one line of JSON in ASCII, as every format can hold it."""
    facts = {
        key: value if isinstance(value, str) else json.dumps(value, default=str) for key, value in metadata.items()
    }
    return json.dumps(facts, sort_keys=True, ensure_ascii=True)


def save(figure: Figure, directory: str | Path, name: str, metadata: Mapping[str, Any]) -> Rendered:
    """Write ``name.png`` and ``name.svg`` into ``directory``; returns what was written."""
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = render(figure, metadata, title=name)
    write_file(folder / f"{name}.png", drawn.png)
    write_file(folder / f"{name}.svg", drawn.svg)
    return drawn

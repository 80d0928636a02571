"""Figures inside the page: each as a data URI, so that the file needs nothing else."""

from __future__ import annotations

import base64
import re

from workbench.errors import WorkbenchError
from workbench.figures import Rendered, Words
from workbench.report.markup import Markup, element, slug, void

#: CSS pixels on screen for an inch of the figure: a page-wide figure (7.2 in) fills the column.
PIXELS_PER_INCH = 136


def illustration(name: str, shown: Words, image: Rendered | str) -> Markup:
    """``<figure>`` with image (already drawn, or the text of an SVG), alternative text and caption.

    The image is the SVG or the PNG, whichever is smaller. As an image, not inline markup, an SVG can neither
    run scripts nor load anything, and its identifiers cannot clash with those of another figure.
    """
    svg = image.svg if isinstance(image, Rendered) else image
    vector = svg.encode()
    if isinstance(image, Rendered) and len(image.png) < len(vector):
        data, kind = image.png, "image/png"
    else:
        data, kind = vector, "image/svg+xml"
    source = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    width = f"width:min(100%,{_inches(name, svg) * PIXELS_PER_INCH:.0f}px)"
    return element(
        "figure",
        void("img", src=source, alt=shown.alt, style=width),
        element("figcaption", shown.caption),
        id=f"figure-{slug(name)}",
    )


def _inches(name: str, svg: str) -> float:
    match = re.search(r'<svg[^>]*?\swidth="([0-9.]+)(pt|px|in)?"', svg)
    if "<svg" not in svg:
        raise WorkbenchError(
            f"figure {name!r} is text but no SVG; give a Figure, a Rendered or the text of an SVG file"
        )
    if match is None:
        return 7.2
    return float(match[1]) / {"pt": 72, "in": 1}.get(match[2] or "px", 96)

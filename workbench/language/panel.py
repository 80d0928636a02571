"""A panel for notebooks and the explorer: the text, its colours, and a slider through the checkpoints."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.figures.style import PAGE, Style
from workbench.language.text import telling_token, text_html


def text_panel(ds: xr.Dataset, style: Style = PAGE) -> Any:
    """Checkpoints on a slider, a document and a token to choose, and the text coloured by influence on that token.

    It computes nothing but the colours of one text at a time (some milliseconds a move), draws no figure, opens no file
    and never imports torch, so that it can stand in any page of widgets.

    Args:
        ds: a study, as from `language_study`, or ``xarray.open_dataset("DIR/language.nc")``. Needed are
            ``step (time)``, ``class``, ``text`` and ``text_class (document, position)``, and with its ``_stderr``
            ``token_correlation (time, document, source_token, target_token)``.
        style: of the colours; a dark page gives its own.

    Returns:
        A box of ipywidgets; its three controls are ``children[0].children``, the text is ``children[1]``.

    Raises:
        WorkbenchError: if the dataset has no text.
    """
    if "token_correlation" not in ds:
        raise WorkbenchError("the dataset has no text; give one that `workbench language` wrote")
    steps, documents = ds["step"].values, ds.sizes["document"]
    time = widgets.SelectionSlider(
        options=[(f"{step:,}", k) for k, step in enumerate(steps)], description="step", continuous_update=True
    )
    document = widgets.Dropdown(options=[(str(d + 1), d) for d in range(documents)], description="document")
    token = widgets.Dropdown(options=_tokens(ds, 0), value=telling_token(ds), description="influence on")
    text = widgets.HTML()

    def write(_: object = None) -> None:
        text.value = text_html(ds, time.value, document.value, token.value, style)

    def other_document(_: object) -> None:
        token.options = _tokens(ds, document.value)
        token.value = telling_token(ds, document.value)
        write()

    time.observe(write, "value")
    token.observe(write, "value")
    document.observe(other_document, "value")
    write()
    note = widgets.HTML("blue helps the framed token, orange harms it; rest the pointer on a token for its number")
    return widgets.VBox([widgets.HBox([time, document, token]), text, note])


def _tokens(ds: xr.Dataset, document: int) -> list[tuple[str, int]]:
    words = ds["text"].values[document]
    return [(f"{position}: {word}", position) for position, word in enumerate(words) if position > 0]

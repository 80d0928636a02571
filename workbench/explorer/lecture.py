"""What the small widgets for lectures share: a few sliders, one figure that follows them, one line of numbers."""

from __future__ import annotations

import html
from dataclasses import replace
from typing import Any

import ipywidgets as widgets
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from workbench.errors import WorkbenchError
from workbench.explorer.canvas import BlittedImage, mimebundle
from workbench.figures.style import Style, dark

DAY = Style(width=9.6, font=10.5)
NIGHT = replace(dark(DAY), muted="#b4b4bf", lightness=(0.66, 0.93))
_DPI = 112
_NAMES = {"description_width": "172px"}
_WIDE = widgets.Layout(width="420px")


def control(kind: Any, description: str, **options: Any) -> Any:
    """A control with room for the name and the symbol of its quantity."""
    return kind(description=description, style=_NAMES, layout=_WIDE, **options)


class Lecture(widgets.VBox):  # type: ignore[misc]
    """A figure, and controls that move it; a control that asks for the impossible leaves the picture as it was.

    Attributes:
        figure: a matplotlib figure of its own; ``view.figure.savefig`` works.
        controls: the widgets, by the name of what they set.
        line: the numbers in words, plain text.
        look: colours, light or dark.
    """

    title = ""

    def __init__(
        self, height: float, controls: dict[str, Any], buttons: tuple[Any, ...] = (), *, night: bool = False
    ) -> None:
        self.look = look = NIGHT if night else DAY
        self.figure = Figure(figsize=(look.width, height), dpi=_DPI, facecolor=look.background)
        self.canvas = BlittedImage(self.figure)
        self.controls, self.line = controls, ""
        self.numbers, self.error = widgets.HTML(), widgets.HTML()
        with look.context():
            self.canvas.move(self._make())
        for widget in controls.values():
            widget.observe(self._moved, names="value")
        grid = widgets.Box(list(controls.values()), layout=widgets.Layout(flex_flow="row wrap", max_width="1200px"))
        row = [widgets.HBox(list(buttons))] if buttons else []
        super().__init__([grid, *row, self.error, self.canvas.widget, self.numbers])
        self.show()

    def _make(self) -> list[Artist]:
        """Make all artists once; returns those that move."""
        raise NotImplementedError

    def _follow(self) -> bool:
        """Give the artists the numbers of the controls, and set `line`; returns whether the background changed.

        Raises `WorkbenchError` before it touches any artist.
        """
        raise NotImplementedError

    def show(self) -> None:
        """Show what the controls say; a `WorkbenchError` where that cannot be."""
        if self._follow():
            self.canvas.invalidate()
        self.canvas.blit()
        self.numbers.value = f'<span class="workbench-numbers">{html.escape(self.line)}</span>'
        self.error.value = ""

    def _moved(self, _: Any) -> None:
        try:
            self.show()
        except WorkbenchError as error:
            line = html.escape(str(error))
            colour = "#ff9a8f" if self.look is NIGHT else "#a02000"
            self.error.value = f'<span class="workbench-error" style="color:{colour}">{line}</span>'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> Any:
        return mimebundle(self, f"{self.title}: {self.line}", self.canvas.png())

    _ipython_display_ = None  # see `mimebundle`

    def close(self) -> None:
        """Remove the widget and its parts."""
        for widget in (*self.controls.values(), self.numbers, self.error, self.canvas.widget):
            widget.close()
        super().close()

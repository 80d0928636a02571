"""The status line, the buttons, and what they bring out."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from workbench.errors import WorkbenchError
from workbench.explorer import save

if TYPE_CHECKING:
    from workbench.explorer.view import Explorer


class Tray:
    """Everything around the picture but the sliders.

    The status is one of ``stale`` (simulation waiting or running), ``fresh`` (points belong to the sliders) and
    ``stopped``; its element carries the class ``workbench-`` + that word.
    """

    def __init__(self, view: Explorer) -> None:
        self.view = view
        self.status = widgets.HTML()
        self.bar = widgets.FloatProgress(min=0.0, max=1.0, layout=widgets.Layout(width="100px", flex="0 0 auto"))
        self.cancel = self._button("cancel", "stop the simulation", view.cancel, "72px")
        self.again = self._button("simulate", "run the simulation of this state", view._simulate, "92px")
        self.error, self.numbers = widgets.HTML(), widgets.HTML()
        self._notice = widgets.HTML()
        understood = self._button("understood", "take this line away", lambda: self.notice(""))
        self.notice_row = widgets.HBox([understood, self._notice], layout=widgets.Layout(display="none"))
        # Room for the line about what cannot be shown: the picture stays where it is.
        self.status_row = widgets.VBox(
            [self.notice_row, widgets.HBox([self.bar, self.cancel, self.again, self.status]), self.error],
            layout=widgets.Layout(min_height="66px"),
        )
        self.figure_format = widgets.Dropdown(options=list(save.FIGURES), layout=widgets.Layout(width="76px"))
        self.data_format = widgets.Dropdown(options=list(save.TABLES), layout=widgets.Layout(width="90px"))
        self.output = widgets.VBox([])
        self._events: Any = None
        self.save_figure = self._button("save figure", "this picture as a file", self._save_figure)
        self.save_data = self._button("save data", "CSV: the curves in sight; netCDF: all pairs", self._save_data)
        self.copy_code = self._button("code", "Python that reproduces this picture", self._show_code, "70px")
        self.link = self._button("link", "this state as a link or a config", self._show_link, "70px")
        self.reset = self._button("reset", "back to the beginning", view.reset, "70px")
        self.buttons = widgets.HBox(
            [
                self.save_figure,
                self.figure_format,
                self.save_data,
                self.data_format,
                self.copy_code,
                self.link,
                self.reset,
            ],
            layout=widgets.Layout(flex_flow="row wrap"),
        )
        self.word = ""

    def _button(self, text: str, tip: str, action: Callable[[], None], width: str = "100px") -> Any:
        button = widgets.Button(description=text, tooltip=tip, layout=widgets.Layout(width=width, flex="0 0 auto"))

        def pressed(_: Any) -> None:
            try:
                action()
            except WorkbenchError as error:
                self.message(str(error))

        button.on_click(pressed)
        return button

    def around(self, image: Any) -> Any:
        """Status above the picture; numbers, buttons and what they bring out below."""
        layout = widgets.Layout(width="100%", min_width="560px")
        return widgets.VBox([self.status_row, image, self.numbers, self.buttons, self.output], layout=layout)

    # Status

    def _say(self, word: str, line: str) -> None:
        self.word = word
        colour = {"fresh": "#1b6e3c", "stale": "#8a5a00", "stopped": "#8a2f1b"}[word]
        style = f"color:{colour}; display:block; line-height:1.35"
        self.status.value = f'<span class="workbench-{word}" style="{style}">{html.escape(line)}</span>'

    def stale(self) -> None:
        """The simulation is of another state."""
        self.bar.value = 0.0
        self._say("stale", "simulating…")

    def progress(self, fraction: float) -> None:
        """So much of the simulation is done."""
        self.bar.value = fraction

    def fresh(self, line: str) -> None:
        """The simulation belongs to the state."""
        self.bar.value = 1.0
        self._say("fresh", f"simulated: {line}")

    def stopped(self, line: str) -> None:
        """There will be no simulation."""
        self.bar.value = 0.0
        self._say("stopped", line)

    def message(self, line: str) -> None:
        """One line about what cannot be shown; empty to take it away."""
        text = html.escape(" ".join(line.split()))
        style = "color:#a02000; display:block; line-height:1.35"
        value = f'<span class="workbench-error" style="{style}">{text}</span>' if line else ""
        if self.error.value != value:
            self.error.value = value

    def notice(self, line: str) -> None:
        """One line that stays until the user takes it away; empty to do so."""
        self._notice.value = f'<span class="workbench-notice" style="color:#a02000">{html.escape(line)}</span>'
        self.notice_row.layout.display = None if line else "none"

    # Mouse

    def clickable(self, image: Any, clicked: Callable[[float, float, bool], None]) -> None:
        """Tell of clicks in an image, where the package that reports them is installed; menus do the same."""
        try:
            from ipyevents import Event
        except ImportError:
            return
        self._events = Event(source=image, watched_events=["click"])

        def report(event: dict[str, Any]) -> None:
            if "dataX" in event:
                clicked(float(event["dataX"]), float(event["dataY"]), bool(event.get("shiftKey")))

        self._events.on_dom_event(report)

    def close(self) -> None:
        """Stop listening to the mouse."""
        if self._events is not None:
            self._events.close()

    # What the buttons bring out

    def _bring(self, *parts: Any) -> None:
        self.output.children = parts

    def put_away(self) -> None:
        """What the buttons brought out belongs to a state that is no longer shown."""
        if self.output.children:
            self.output.children = ()

    def _save_figure(self) -> None:
        kind = self.figure_format.value
        content = self.view.picture(kind)
        self._bring(widgets.HTML(save.download(f"explorer.{kind.lower()}", save.FIGURES[kind], content)))

    def _save_data(self) -> None:
        kind = self.data_format.value
        name = "explorer." + {"CSV": "csv", "netCDF": "nc"}[kind]
        self._bring(widgets.HTML(save.download(name, save.TABLES[kind], self.view.data(kind))))

    def _text(self, title: str, text: str) -> Any:
        lines = min(14, text.count("\n") + 2)
        box = widgets.Textarea(text, layout=widgets.Layout(width="98%", height=f"{18 * lines + 12}px"))
        return widgets.VBox([widgets.HTML(title), box])

    def _show_code(self) -> None:
        self._bring(self._text("select all (Ctrl-A) and copy (Ctrl-C):", self.view.code()))

    def _show_link(self) -> None:
        state = self.view.state
        config = self._text("this state as a config (for <code>explore(state=…)</code>):", json.dumps(state.config()))
        try:
            query = html.escape(f"?{state.query()}")
        except WorkbenchError:
            self._bring(config)
            raise
        if "QUERY_STRING" in os.environ:  # under Voila
            link = f'<a class="workbench-link" href="{query}" target="_blank"><u>link to this state</u></a>'
            self._bring(widgets.HTML(link), config)
        else:
            title = "as the end of a link to the app (<code>workbench explore</code>):"
            self._bring(self._text(title, html.unescape(query)), config)


def close_inside(box: Any) -> None:
    """Close everything in a box; ipywidgets keeps what is not closed for as long as the kernel runs."""
    for child in getattr(box, "children", ()):
        close_inside(child)
        for part in (child, child.layout, getattr(child, "style", None)):
            if part is not None:
                part.close()

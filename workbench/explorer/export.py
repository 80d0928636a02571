"""The row below the picture: save figure and data, show the code and the link."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from workbench.errors import WorkbenchError
from workbench.explorer import save
from workbench.explorer.toolbar import button

if TYPE_CHECKING:
    from workbench.explorer.view import Explorer


class Export:
    """Buttons, and below them what they bring out, which belongs to one state."""

    def __init__(self, view: Explorer) -> None:
        self.view = view
        say = view.status.message
        self.figure_format = widgets.Dropdown(options=list(save.FIGURES), layout=widgets.Layout(width="6em"))
        self.data_format = widgets.Dropdown(options=list(save.TABLES), layout=widgets.Layout(width="7em"))
        self.save_figure = button("save figure", "this picture as a file", self._save_figure, say)
        self.save_data = button("save data", "CSV: the curves in sight; netCDF: all pairs", self._save_data, say)
        self.code = button("code", "Python that reproduces this picture", self._show_code, say)
        self.link = button("link", "this state as a link or a config", self._show_link, say)
        row = widgets.HBox(
            [self.save_figure, self.figure_format, self.save_data, self.data_format, self.code, self.link]
        )
        row.add_class("workbench-row")
        row.add_class("workbench-export")
        self.output = widgets.VBox([])
        self.output.add_class("workbench-output")
        self.box = widgets.VBox([row, self.output])

    def _bring(self, *parts: Any) -> None:
        self.output.children = parts
        self.view.bridge.scroll_to(".workbench-output")

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
        copy = button("copy", "into the clipboard", lambda: self.view.bridge.send({"copy": text}))
        lines = widgets.HTML(f"<p>{title}</p><pre tabindex='0'>{html.escape(text)}</pre>")
        return widgets.VBox([lines, copy])

    def _show_code(self) -> None:
        self._bring(self._text("Python that makes this picture:", self.view.code()))

    def _show_link(self) -> None:
        state = self.view.state
        config = self._text("this state as a config, for explore(state=…):", json.dumps(state.config()))
        try:
            query = f"?{state.query()}"
        except WorkbenchError:
            self._bring(config)
            raise
        if self.view.bridge.app:
            link = f'<a class="workbench-link" href="{html.escape(query)}" target="_blank">link to this state</a>'
            self._bring(widgets.HTML(link), config)
        else:
            title = "as the end of a link to the app (workbench explore):"
            self._bring(self._text(title, query), config)

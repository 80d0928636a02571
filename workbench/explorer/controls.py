"""The controls: one widget a quantity, with its name, symbol, unit and a line of help; and the state they spell."""

from __future__ import annotations

import html
import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ipywidgets as widgets

from workbench import influence
from workbench.errors import WorkbenchError
from workbench.explorer.boxes import box, display, int_slider, log_slider, menu, option_slider
from workbench.explorer.guide import CONTROLS as HELP
from workbench.explorer.scene import Scene
from workbench.explorer.starts import STARTS
from workbench.explorer.state import ACTIVATIONS, GIVEN, MEASURES, OPTIONS, PANELS, PREPARED, RANGES, ExplorerState
from workbench.explorer.upload import uploaded_text
from workbench.figures.reading import text
from workbench.semantics import task_from_csv_text

#: Steps of the time slider from beginning to end.
TIME_STEPS = 400
_KINDS = {
    "tree": "tree",
    "branching diffusion": "diffusion",
    "8-item table": "table",
    "uploaded CSV": "csv",
}
_GROUPS = {
    "Task": ("kind", "branching", "flip", "upload", "prepare"),
    "Network and training": ("depth", "hidden", "a0", "start", "lam", "eta", "activation", "seed"),
    "Influence": ("measure", "source", "targets", *OPTIONS, "panels", "scale"),
}


class Controls:
    """The widgets that say what is shown; `state` reads them, `show` sets them without an echo.

    Attributes:
        on_change: called after any of them was moved by hand or by a program.
        on_error: called with one line about a file that cannot be read.
    """

    def __init__(self, given: bool, on_change: Callable[[], None], on_error: Callable[[str], None]) -> None:
        self.on_change, self.on_error = on_change, on_error
        self._exact: dict[str, Any] = {}
        kinds = ({"this task": GIVEN} if given else {}) | _KINDS
        self.kind = box(widgets.Dropdown, "task", options=list(kinds.items()))
        self.branching = box(widgets.Text, "branching", continuous_update=False)
        self.flip = box(
            widgets.FloatSlider, "flip probability ε", min=0.01, max=0.49, step=0.01, value=0.1, readout_format=".2f"
        )
        self.upload = widgets.FileUpload(accept=".csv,.tsv,.txt", multiple=False, description="choose a CSV file")
        self.prepare = box(widgets.Dropdown, "values", options=menu(PREPARED))
        self.depth = int_slider("depth D (layers)", "depth")
        self.hidden = int_slider("hidden width Nₕ (units)", "hidden")
        self.a0 = log_slider("initial scale a₀ (weightᴰ)", RANGES["a0"])
        self.start = box(widgets.Dropdown, "start", options=menu(STARTS))
        self.lam = box(widgets.FloatSlider, "balance λ (weight²)", min=-10.0, max=10.0, step=0.1, readout_format=".1f")
        self.eta = log_slider("step size η (time)", RANGES["eta"], math.log10(20) / 65)  # the default, 0.02, is a step
        self.seed = int_slider("seed", "seed")
        self.activation = box(widgets.Dropdown, "activation (simulated)", options=menu(ACTIVATIONS))
        self.source = box(widgets.Dropdown, "source item i")
        self.targets = box(widgets.SelectMultiple, "target items j", rows=4)
        self.measure = box(widgets.Dropdown, "measure", options=menu(MEASURES))
        self.panels = box(widgets.SelectMultiple, "panels", options=menu(PANELS), rows=4)
        self.scale = box(widgets.Dropdown, "matrix colours", options=[("this time", "now"), ("all times", "whole")])
        self.options = {name: option_slider(option) for name, option in OPTIONS.items()}
        self.time = box(widgets.FloatSlider, "flow time t", min=0.0, max=32.0, step=0.1, readout_format=".4g")
        self.time.add_class("workbench-time")
        self._table, self._table_name, self._other, self._quiet = "", "", "", False
        self._explained, self._hidden = False, set[str]()
        self._sent: deque[float] = deque(maxlen=40)
        self.help = {
            name: widgets.HTML(html.escape(line), layout=widgets.Layout(display="none")) for name, line in HELP.items()
        }
        for name, line in HELP.items():
            self[name].tooltip = line
            self.help[name].add_class("workbench-help")
        several = (self.source, self.targets, self.panels)
        for control in (self.kind, self.branching, self.flip, *self._plain.values(), *several):
            control.observe(self._moved, names="value")
        self.upload.observe(self._uploaded, names="value")

    def __getitem__(self, name: str) -> Any:
        """The control of a name."""
        return self.options[name] if name in self.options else getattr(self, name)

    @property
    def _plain(self) -> dict[str, Any]:
        """Controls whose value is the state's."""
        names = (*_GROUPS["Network and training"], "measure", "time", "prepare", "scale")
        return {name: getattr(self, name) for name in names} | self.options

    def state(self, shown: ExplorerState) -> ExplorerState:
        """What the controls say, and of ``shown`` what none of them says; a `WorkbenchError` where that is no state."""
        values = {name: self._value(name) for name in self._plain}
        options = tuple((name, values.pop(name)) for name in self.options)
        panels = set(self.panels.value)
        # Those shown keep their places; in the picture new ones come after them.
        order = [name for name in (*shown.panels, *PANELS) if name in panels]
        return replace(
            shown,
            panels=tuple(dict.fromkeys(order)),
            task=self._task(),
            table=self._table if self.kind.value == "csv" else "",
            source=self.source.value or "",
            targets=tuple(self.targets.value),
            options=options,
            **values,
        )

    def _value(self, name: str) -> Any:
        """What a control says; a browser puts its handle on the nearest step, which still means the value shown."""
        control, exact = self._plain[name], self._exact.get(name)
        if exact is None or not isinstance(control, (widgets.FloatSlider, widgets.FloatLogSlider)):
            return control.value
        place = math.log10 if isinstance(control, widgets.FloatLogSlider) else float
        low = float(control.min)
        step = low + round((place(exact) - low) / control.step) * control.step
        on_it = abs(place(control.value) - min(step, control.max)) < 1e-3 * control.step
        return exact if on_it else control.value

    def _task(self) -> str:
        kind = str(self.kind.value)
        if kind == "tree":
            return f"tree:{self.branching.value.replace(' ', '')}"
        if kind == "diffusion":
            return f"diffusion:{self.branching.value.replace(' ', '')}:{self.flip.value:.4g}"
        return {"table": "table:rumelhart", "csv": f"csv:{self._table_name}"}.get(kind, self._other or kind)

    def show(self, state: ExplorerState, scene: Scene, end: float) -> None:
        """Set every control to a state; names of items come from the scene, the last time from the curves."""
        self._quiet = True
        try:
            kind, _, rest = state.task.partition(":")
            if kind not in [value for _, value in self.kind.options]:
                self.kind.options = [*self.kind.options, (kind, kind)]
            self.kind.value = kind
            self._other = state.task if kind not in (*_KINDS.values(), GIVEN) else self._other
            if kind in ("tree", "diffusion"):
                branching, _, flip = rest.partition(":")
                self.branching.value = branching or "2,2,2"
                self.flip.value = float(flip.partition(":")[0] or 0.1)
            elif not self.branching.value:
                self.branching.value = "2,2,2"
            if kind == "csv":
                self._table, self._table_name = state.table, rest
                self.upload.description = f"{text(rest, 22)}: another" if rest else "choose a CSV file"
            with self.time.hold_sync():  # between them a browser would move the handle
                self.time.max, self.time.step = end, end / TIME_STEPS
                self.time.value = state.time
            values = state.config()
            for name, control in self._plain.items():
                control.value = self._exact[name] = values[name]
            items = scene.task.items
            if tuple(self.source.options) != items:
                self.targets.value = ()
                self.source.options = self.targets.options = items
                self.targets.rows = min(len(items), 5)
            self.source.value = items[scene.source_index(state)]
            self.targets.value = tuple(items[j] for j in scene.target_indices(state))
            self.panels.value = state.panels
            self._reveal(state)
        finally:
            self._quiet = False

    def _reveal(self, state: ExplorerState) -> None:
        """Show only the controls that have a meaning now."""
        kind = self.kind.value
        needed = {
            "branching": kind in ("tree", "diffusion"),
            "flip": kind == "diffusion",
            "upload": kind == "csv",
            **{name: name in influence.MEASURES[state.measure].option_names for name in OPTIONS},
        }
        self._hidden = {name for name, there in needed.items() if not there}
        for name in needed:
            display(self[name], name not in self._hidden)
        self.explain(self._explained)

    def explain(self, wanted: bool) -> None:
        """Show or hide a line of help below every control in sight."""
        self._explained = wanted
        for name, line in self.help.items():
            display(line, wanted and name not in self._hidden)

    def pending_upload(self) -> bool:
        """Whether "uploaded CSV" was chosen and no table is there yet."""
        display(self.upload, self.kind.value == "csv")
        return self.kind.value == "csv" and not self._table

    def set_time(self, time: float) -> None:
        """Move the time slider alone, while time plays or is dragged in the picture."""
        self._sent.append(time)
        self._exact["time"] = time
        self._quiet = True
        self.time.value = time
        self._quiet = False

    def rested(self, time: float) -> None:
        """No echo of `set_time` is under way any more; the last one may have taken the handle back with it."""
        if self._sent:
            self.set_time(time)
            self._sent.clear()
            self.time.send_state("value")  # even if it is the same here: the page may show another

    def _moved(self, change: Any) -> None:
        # A browser answers with the times it was sent, later than the next are there: that is no hand.
        echo = change["owner"] is self.time and any(
            abs(change["new"] - sent) < 1e-6 * self.time.max for sent in self._sent
        )
        if not (self._quiet or echo):
            self.on_change()

    def _uploaded(self, _: Any) -> None:
        if not self._quiet:
            self.receive(self.upload.value)

    def receive(self, value: Any) -> None:
        """Take the value of an upload widget; a table that cannot be used leaves the one before in place."""
        before = self._table_name, self._table
        try:
            name, text = uploaded_text(value)
            if text:
                task_from_csv_text(text, name=name, where=name)
                self._table_name, self._table = name, text
                self.on_change()
        except WorkbenchError as error:
            self._table_name, self._table = before
            self.on_error(str(error))

    def column(self) -> Any:
        """All of them but time, one above the other, under headings."""
        groups = []
        for name, members in _GROUPS.items():
            heading = widgets.HTML(f"<h2>{name}</h2>")
            heading.add_class("workbench-heading")
            parts = [widgets.VBox([self[each], *filter(None, [self.help.get(each)])]) for each in members]
            group = widgets.VBox([heading, *parts])
            group.add_class("workbench-group")
            groups.append(group)
        column = widgets.VBox(groups)
        column.add_class("workbench-controls")
        return column

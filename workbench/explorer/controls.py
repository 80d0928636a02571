"""The controls: one widget a quantity, with its name, symbol and unit; and the state they spell."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from workbench.errors import WorkbenchError
from workbench.explorer.scene import Scene
from workbench.explorer.state import GIVEN, MEASURES, RANGES, ExplorerState
from workbench.semantics import task_from_csv_text

_STYLE = {"description_width": "164px"}
_WIDE = "356px"
_KINDS = {
    "tree": "tree",
    "branching diffusion": "diffusion",
    "8-item table": "table",
    "uploaded CSV": "csv",
}


def _box(kind: Any, description: str, **options: Any) -> Any:
    layout = widgets.Layout(width=_WIDE, **options.pop("layout", {}))
    return kind(description=description, style=_STYLE, layout=layout, **options)


def _log_slider(description: str, name: str, step: float = 0.02) -> Any:
    low, high = (math.log10(x) for x in RANGES[name])
    return _box(widgets.FloatLogSlider, description, min=low, max=high, step=step, value=10**low, readout_format=".4g")


def _int_slider(description: str, name: str) -> Any:
    low, high = RANGES[name]
    return _box(widgets.IntSlider, description, min=int(low), max=int(high), value=int(low))


class Controls:
    """The widgets of the left column; `state` reads them, `show` sets them without an echo.

    Attributes:
        on_change: called after any of them was moved by hand or by a program.
        on_error: called with one line about a file that cannot be read.
    """

    def __init__(self, given: bool, on_change: Callable[[], None], on_error: Callable[[str], None]) -> None:
        self.on_change, self.on_error = on_change, on_error
        self._exact: dict[str, Any] = {}
        kinds = ({"this task": GIVEN} if given else {}) | _KINDS
        self.kind = _box(widgets.Dropdown, "task", options=list(kinds.items()))
        self.branching = _box(widgets.Text, "branching", continuous_update=False)
        self.flip = _box(
            widgets.FloatSlider, "flip probability ε", min=0.01, max=0.49, step=0.01, value=0.1, readout_format=".2f"
        )
        self.upload = widgets.FileUpload(
            accept=".csv,.tsv,.txt", multiple=False, description="choose a CSV", layout=widgets.Layout(width=_WIDE)
        )
        self.depth = _int_slider("depth D (layers)", "depth")
        self.hidden = _int_slider("hidden width Nₕ (units)", "hidden")
        self.a0 = _log_slider("initial scale a₀ (weightᴰ)", "a0")
        self.lam = _box(widgets.FloatSlider, "balance λ (weight²)", min=-10.0, max=10.0, step=0.1, readout_format=".1f")
        self.eta = _log_slider("step size η (time)", "eta", math.log10(20) / 65)  # the default, 0.02, is a step
        self.seed = _int_slider("seed", "seed")
        self.source = _box(widgets.Dropdown, "source item i")
        self.targets = _box(widgets.SelectMultiple, "target items j", rows=4)
        self.measure = _box(widgets.Dropdown, "measure", options=[(title, name) for name, title in MEASURES.items()])
        self.n_beta = _log_slider("nβ (1/loss)", "n_beta")
        self.gamma = _log_slider("localization γ (1/weight²)", "gamma")
        self.time = _box(widgets.FloatSlider, "flow time t", min=0.0, max=32.0, step=0.1, readout_format=".2f")
        self._table, self._table_name, self._quiet = "", "", False
        for control in (self.kind, self.branching, self.flip, *self._plain.values(), self.source, self.targets):
            control.observe(self._moved, names="value")
        self.upload.observe(self._uploaded, names="value")

    @property
    def _plain(self) -> dict[str, Any]:
        """Controls whose value is the state's."""
        names = ("depth", "hidden", "a0", "lam", "eta", "seed", "measure", "n_beta", "gamma", "time")
        return {name: getattr(self, name) for name in names}

    def state(self) -> ExplorerState:
        """What the controls say; a `WorkbenchError` where that is no state."""
        values = {name: self._value(name) for name in self._plain}
        return ExplorerState(
            task=self._task(),
            table=self._table if self.kind.value == "csv" else "",
            source=self.source.value or "",
            targets=tuple(self.targets.value),
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
        return {"table": "table:rumelhart", "csv": f"csv:{self._table_name}"}.get(kind, kind)

    def show(self, state: ExplorerState, scene: Scene, end: float) -> None:
        """Set every control to a state; names of items come from the scene, the last time from the curves."""
        self._quiet = True
        try:
            kind, _, rest = state.task.partition(":")
            self.kind.value = kind
            if kind in ("tree", "diffusion"):
                branching, _, flip = rest.partition(":")
                self.branching.value = branching or "2,2,2"
                self.flip.value = float(flip.partition(":")[0] or 0.1)
            elif not self.branching.value:
                self.branching.value = "2,2,2"
            if kind == "csv":
                self._table, self._table_name = state.table, rest
            with self.time.hold_sync():  # between them a browser would move the handle
                self.time.max, self.time.step = end, end / 400
                self.time.value = state.time
            for name, control in self._plain.items():
                control.value = self._exact[name] = getattr(state, name)
            items = scene.task.items
            if tuple(self.source.options) != items:
                self.targets.value = ()
                self.source.options = self.targets.options = items
                self.targets.rows = min(len(items), 5)
            self.source.value = items[scene.source_index(state)]
            self.targets.value = tuple(items[j] for j in scene.target_indices(state))
            self._reveal(state)
        finally:
            self._quiet = False

    def _reveal(self, state: ExplorerState) -> None:
        """Show only the controls that have a meaning now."""
        kind = self.kind.value
        for control, needed in (
            (self.branching, kind in ("tree", "diffusion")),
            (self.flip, kind == "diffusion"),
            (self.upload, kind == "csv"),
            (self.n_beta, state.measure == "local_bif"),
            (self.gamma, state.measure == "local_bif"),
        ):
            display = None if needed else "none"
            if control.layout.display != display:
                control.layout.display = display

    def pending_upload(self) -> bool:
        """Whether "uploaded CSV" was chosen and no table is there yet."""
        self.upload.layout.display = None if self.kind.value == "csv" else "none"
        return self.kind.value == "csv" and not self._table

    def _moved(self, _: Any) -> None:
        if not self._quiet:
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
        """All of them, one above the other, under headings."""

        def heading(text: str) -> Any:
            return widgets.HTML(f"<b>{text}</b>", layout=widgets.Layout(margin="0"))

        return widgets.VBox(
            [
                heading("Task"),
                self.kind,
                self.branching,
                self.flip,
                self.upload,
                heading("Network and training"),
                self.depth,
                self.hidden,
                self.a0,
                self.lam,
                self.eta,
                self.seed,
                heading("Influence"),
                self.measure,
                self.source,
                self.targets,
                self.n_beta,
                self.gamma,
                self.time,
            ],
            layout=widgets.Layout(min_width="362px"),
        )


def uploaded_text(value: Any) -> tuple[str, str]:
    """Name and text of an uploaded file; ipywidgets 7 hands over a dictionary by name, ipywidgets 8 a tuple."""
    if not value:
        return "", ""
    if isinstance(value, dict):
        name, entry = next(reversed(value.items()))
    else:
        entry = value[-1]
        name = entry["name"]
    try:
        text = bytes(entry["content"]).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WorkbenchError(f"{name}: byte {error.start} is not UTF-8 text; save the table as CSV in UTF-8") from None
    if not text.strip():
        raise WorkbenchError(f"{name}: the file is empty; expected a header and at least 2 items")
    return str(name), text

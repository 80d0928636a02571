"""The view: controls left, panels right, one line of status; what `explore` returns."""

from __future__ import annotations

import asyncio
import html
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from matplotlib.figure import Figure

from workbench.errors import WorkbenchError
from workbench.explorer import save
from workbench.explorer.canvas import BlittedImage, mimebundle
from workbench.explorer.controls import Controls
from workbench.explorer.maps import MAX_TARGETS
from workbench.explorer.model import Curves, curves, curves_key, slow
from workbench.explorer.panels import HEIGHT, LOOK, Panels
from workbench.explorer.picking import picked
from workbench.explorer.runner import REST, Runner, loop_running
from workbench.explorer.scene import Scene, scene_of
from workbench.explorer.simulate import Simulated, simulate, simulation_key, verdict
from workbench.explorer.state import ExplorerState
from workbench.explorer.tray import Tray, close_inside

_DPI = 112


class Explorer(widgets.VBox):  # type: ignore[misc]
    """Sliders and linked panels for one task; see `explore`.

    Attributes:
        state: what is shown.
        figure: a matplotlib figure of its own; ``view.figure.savefig`` works.
        curves: what theory predicts for the state.
        simulated: what simulation found for it, or for an earlier state while `stale`.
        settles: whether it is displayed with the simulation done, for notebooks that are saved; without, it is there
            a second earlier.
    """

    def __init__(self, state: ExplorerState, given: Scene | None = None) -> None:
        self._given, self._initial = given, state
        self.settles = True
        self._put_off: asyncio.TimerHandle | None = None
        self.scene = scene_of(state, given)
        self.curves: Curves = curves(state, self.scene)
        self.state = self._complete(state)
        self.simulated: Simulated | None = None
        self.figure = Figure(figsize=(LOOK.width, HEIGHT), dpi=_DPI)
        self.canvas = BlittedImage(self.figure)
        self.tray = Tray(self)
        self.runner = Runner(self.tray.progress, self._simulated, self._simulation_failed)
        self.controls = Controls(given is not None, self._changed, lambda line: self.tray.message(line))
        self._make_panels()
        self.controls.show(self.state, self.scene, self.curves.end)
        self._draw()
        self.tray.clickable(self.canvas.widget, self._clicked)
        super().__init__([widgets.HBox([self.controls.column(), self.tray.around(self.canvas.widget)])])
        self._simulate()

    # What the hand does

    def _changed(self) -> None:
        """A control has moved: theory follows at once, simulation when the hand rests."""
        if self.controls.pending_upload():
            self.tray.message("choose a CSV file: one row an item, one column a property, numbers in the cells")
            return
        if self._put_off is not None:
            self._put_off.cancel()
        try:
            state = self.controls.state()
            if slow(state, self.scene) and curves_key(state) != curves_key(self.state) and loop_running():
                self.tray.stale()
                self._put_off = asyncio.get_running_loop().call_later(REST, self._follow)
                return
        except WorkbenchError as error:
            self.tray.message(str(error))
            return
        self._follow()

    def _follow(self) -> None:
        """Go where the controls are."""
        try:
            self.show(self.controls.state(), echo=False)
        except WorkbenchError as error:
            self.tray.message(str(error))

    def show(self, state: ExplorerState, *, echo: bool = True) -> None:
        """Go to a state; a `WorkbenchError` leaves everything as it is.

        Args:
            state: where to go.
            echo: whether the controls are set too.
        """
        scene = scene_of(state, self._given)
        if scene is not self.scene:
            known = set(scene.task.items)
            kept = tuple(name for name in state.targets if name in known)
            state = replace(state, source=state.source if state.source in known else "", targets=kept)
        new_scene = scene is not self.scene
        known_curves = not new_scene and curves_key(state) == curves_key(self.state)
        found = self.curves if known_curves else curves(state, scene)
        resettled = new_scene or echo or found.end != self.curves.end
        self.scene, self.curves = scene, found
        self.state = self._complete(state)
        if new_scene:
            self.simulated = None
            self._make_panels()
        self.tray.message("")
        self.tray.put_away()
        if resettled or self.state.measure != state.measure:
            self.controls.show(self.state, scene, found.end)
        else:
            self.controls._reveal(self.state)
        self._draw()
        self._simulate()

    def _complete(self, state: ExplorerState) -> ExplorerState:
        """The state with source and targets named and the time inside the training."""
        items = self.scene.task.items
        return replace(
            state,
            source=items[self.scene.source_index(state)],
            targets=tuple(items[j] for j in self.scene.target_indices(state)[:MAX_TARGETS]),
            time=min(state.time, self.curves.end),
        )

    def _clicked(self, x: float, y: float, shift: bool) -> None:
        """A click at a pixel of the picture."""
        place = self.canvas.locate(x, y)
        if place is not None:
            state = picked(self.panels, self.state, self.curves, *place, shift)
            if state != self.state:
                self.show(state)

    def reset(self) -> None:
        """Back to the state of the beginning."""
        self.show(self._initial)

    # What the panels show

    def _make_panels(self) -> None:
        self.panels = Panels(self.figure, self.scene)
        self.canvas.forget()
        self.canvas.move(self.panels.moving)

    def _draw(self) -> None:
        if self.panels.show(self.state, self.curves, self.simulated, not self.stale):
            self.canvas.invalidate()
        self.canvas.blit()
        self.tray.numbers.value = html.escape(self.panels.numbers.get_text())

    @property
    def stale(self) -> bool:
        """Whether the simulated points are not (yet) those of the state."""
        return self.simulated is None or self.simulated.key != simulation_key(self.state)

    # What simulation does

    def _simulate(self, rest: float = REST) -> None:
        if not self.stale:
            self.runner.cancel()
            self.tray.fresh(self._verdict())
            self.runner.start(lambda _: None, rest)  # the picture is redrawn in order when the hand rests
            return
        self.tray.stale()
        self.runner.start(partial(simulate, self.state, self.scene, self.curves.end), rest)

    def settle(self) -> None:
        """Finish the simulation of the state now, whether or not an event loop is running."""
        if self.stale:
            self.runner.run_now(partial(simulate, self.state, self.scene, self.curves.end))

    def cancel(self) -> None:
        """Stop the simulation; the old points stay, faded."""
        if self.runner.cancel() and self.stale:
            self.tray.stopped("simulation cancelled; move any control, or press simulate, to start it again")

    def _simulated(self, found: Simulated | None) -> None:
        if found is not None:
            self.simulated = found
            if self.panels.show(self.state, self.curves, found, True):
                self.canvas.invalidate()
                self.canvas.blit()
        self.canvas.polish()
        if found is not None:  # said only once the picture shows it
            self.tray.fresh(self._verdict())

    def _simulation_failed(self, line: str) -> None:
        self.tray.stopped(f"no simulation: {line}")
        self.canvas.polish()

    def _verdict(self) -> str:
        return verdict(self.simulated, self.curves) if self.simulated is not None else ""

    # What can be taken away

    def save(self, path: str | Path) -> None:
        """Write the figure; the ending of the name (.png, .svg, .pdf) says how."""
        kind = Path(path).suffix.lstrip(".").upper()
        Path(path).write_bytes(self.picture(kind))

    def picture(self, kind: str = "PNG") -> bytes:
        """The figure as a PNG, SVG or PDF file, with the numbers of the equation and the state in its metadata."""
        with self.panels.captioned():
            return save.figure_bytes(self.figure, kind, self.state)

    def save_data(self, path: str | Path) -> None:
        """Write the data: ``.csv`` the curves in sight, ``.nc`` every pair of items."""
        kind = {"csv": "CSV", "nc": "netCDF"}.get(Path(path).suffix.lstrip("."), Path(path).suffix)
        Path(path).write_bytes(self.data(kind))

    def code(self) -> str:
        """Python that makes this picture again."""
        return save.code(self.state)

    def data(self, kind: str) -> bytes:
        """The data as CSV or netCDF."""
        return save.data_bytes(kind, self.state, self.scene, self.curves, None if self.stale else self.simulated)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> Any:
        if self.settles:
            self.settle()
        with self.panels.captioned():
            png = self.canvas.png()
        return mimebundle(self, f"explorer of {html.escape(self.scene.task.name)}: {self.state.measure}", png)

    _ipython_display_ = None  # see `mimebundle`

    def close(self) -> None:
        """Stop everything and remove the widgets, the inner ones too."""
        if self.comm is None:
            return
        self.runner.cancel()
        self.tray.close()
        close_inside(self)
        super().close()

"""The view: controls, panels, one line of status; what `explore` returns."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ipywidgets as widgets
from matplotlib.figure import Figure

from workbench.errors import WorkbenchError
from workbench.explorer.bridge import Bridge
from workbench.explorer.canvas import BlittedImage, close_inside, mimebundle
from workbench.explorer.controls import TIME_STEPS, Controls
from workbench.explorer.export import Export
from workbench.explorer.follower import Follower
from workbench.explorer.frame import Frame, kept_curves
from workbench.explorer.hand import Hand
from workbench.explorer.layout import Window
from workbench.explorer.model import Curves, curves, curves_key, every_measure
from workbench.explorer.panels import Panels, panel_choice
from workbench.explorer.remarks import remarks
from workbench.explorer.runner import Later
from workbench.explorer.scene import Scene, scene_of
from workbench.explorer.session import SETTLED, Session
from workbench.explorer.simulate import Simulated, simulation_key
from workbench.explorer.state import ExplorerState
from workbench.explorer.take_away import TakeAway
from workbench.explorer.theme import css
from workbench.explorer.toolbar import Toolbar
from workbench.explorer.upload import MAX_UPLOAD, too_large


class Explorer(TakeAway, widgets.VBox):  # type: ignore[misc]
    """Sliders and linked panels for one task; see `explore`.

    Attributes:
        state: what is shown.
        initial: where `reset` leads.
        on_shown: called after every change of state.
        figure: a matplotlib figure of its own; ``view.figure.savefig`` works.
        curves: what theory predicts for the state.
        simulated: what simulation found for it, or for an earlier state while `stale`.
        settles: whether it is displayed with the simulation done, for notebooks that are saved; without, it is there
            a second earlier.
    """

    def __init__(
        self,
        state: ExplorerState,
        given: Scene | None = None,
        *,
        app: bool = False,
        initial: ExplorerState | None = None,
    ) -> None:
        self._given, self.initial = given, initial or state
        self.settles, self.later = True, Later()
        self.on_shown: Callable[[], None] = lambda: None
        self.scene = scene_of(state, given)
        self.curves: Curves = curves(state, self.scene)
        self.state = self.completed(state)
        self.simulated: Simulated | None = None
        self.window, self._was_narrow = Window(), False
        self.figure = Figure()
        self.canvas = BlittedImage(self.figure)
        self.bridge = Bridge(app=app, largest=MAX_UPLOAD)
        self.follower = Follower(self)
        self.status = self.follower.status
        self.hand, self.session = Hand(self), Session(self)
        self.controls = Controls(given is not None, self.hand.changed, self.status.message)
        self.toolbar, self.export = Toolbar(self), Export(self)
        self._make_panels()
        self.controls.show(self.state, self.scene, self.curves.end)
        super().__init__(self._parts())
        for name in ("workbench", *(["workbench-app"] if app else [])):
            self.add_class(name)
        self.toolbar.show()
        self.toolbar.fold.value = not state.large
        self._draw()
        if app:  # a simulation would hold up the page that is being loaded
            self.status.stale()
        else:
            self.follower.start()
        self.bridge.observe(self._measured, names="window")
        self.bridge.on_too_large = lambda name, size: self.status.message(str(too_large(name, size)))
        self.session.settled()

    def _parts(self) -> list[Any]:
        self.numbers = widgets.HTML()
        self.canvas.widget.add_class("workbench-picture")
        time = widgets.HBox([self.hand.play, self.controls.time])
        self.controls.time.layout.flex = "1 1 auto"
        picture = [self.status.box, self.canvas.widget, time, self.hand.pointed, self.numbers, self.export.box]
        self.stage, self.column = widgets.VBox(picture), self.controls.column()
        self.stage.add_class("workbench-stage")
        body = widgets.HBox([self.column, self.stage])
        body.add_class("workbench-body")
        return [widgets.HTML(css()), self.bridge, self.toolbar.box, body]

    def move_time(self, time: float, *, remember: bool) -> None:
        """Show another time, moving no control but its slider."""
        self.show(self.completed(replace(self.state, time=time)), echo=False, remember=remember)
        self.controls.set_time(self.state.time)

    def try_to(self, state: ExplorerState) -> None:
        """Go to a state, or say in one line why not."""
        try:
            self.show(state)
        except WorkbenchError as error:
            self.status.message(str(error))

    def show(self, state: ExplorerState, *, echo: bool = True, remember: bool = True) -> None:
        """Go to a state; a `WorkbenchError` leaves everything as it is.

        Args:
            state: where to go.
            echo: whether the controls are set too.
            remember: whether undo comes back here.
        """
        scene = scene_of(state, self._given)
        new_scene = scene is not self.scene
        if new_scene:
            known = set(scene.task.items)
            kept = tuple(name for name in state.targets if name in known)
            state = replace(state, source=state.source if state.source in known else "", targets=kept)
        known_curves = not new_scene and curves_key(state) == curves_key(self.state)
        predicted = self.curves if known_curves else curves(state, scene)
        kept_curves(state)  # refuses here what cannot be drawn below
        resettled = new_scene or echo or predicted.end != self.curves.end
        before, self.scene, self.curves = self.state, scene, predicted
        self.state = self.completed(state)
        if new_scene:
            self.simulated = None
        if new_scene or panel_choice(before, self.bridge.night) != panel_choice(self.state, self.bridge.night):
            self._make_panels()
        self.status.message("")
        self.export.put_away()
        if resettled or abs(self.state.time - state.time) > 1e-6 * predicted.end:
            self.controls.show(self.state, scene, predicted.end)
        else:
            self.controls._reveal(self.state)
        self._draw()
        if remember:
            self.later("settled", SETTLED, self.session.settled)
        if not self.hand.player.playing:
            self.follower.start()
        self.on_shown()

    def completed(self, state: ExplorerState) -> ExplorerState:
        """The state with source and targets named, and the time on a step of the slider inside the training."""
        items, step = self.scene.task.items, self.curves.end / TIME_STEPS
        return replace(
            state,
            source=items[self.scene.source_index(state)],
            targets=tuple(items[j] for j in self.scene.target_indices(state)),
            time=min(round(state.time / step), TIME_STEPS) * step,
        )

    def undo(self) -> None:
        """Back to the state before."""
        self.session.undo()

    def reset(self) -> None:
        """Back to the state of the beginning."""
        self.hand.player.stop()
        self.toolbar.end_tour()
        self.show(replace(self.initial, look=self.state.look, large=self.state.large))

    def keep(self) -> None:
        """Leave the present curves in the picture, faded, for comparison with the next ones."""
        self.show(self.state.keep())

    def drop(self) -> None:
        """Take the kept curves away."""
        self.show(replace(self.state, kept=(), beside=False))

    def fold(self, folded: bool) -> None:
        """Hide or show the controls."""
        self.column.layout.display = "none" if folded else None

    # What the panels show

    def _make_panels(self) -> None:
        names, night, large = panel_choice(self.state, self.bridge.night)
        self.window = self.bridge.measured(large) or replace(self.window, large=large)
        self.panels = Panels(self.figure, self.scene, names, self.window, night=night)
        self.canvas.resized()

    def _measured(self, _: Any) -> None:
        """The window has changed; the first time, the page is there."""
        if self.follower.waits:
            self.follower.start()
        if self.bridge.narrow != self._was_narrow:
            self.toolbar.fold.value = not (self.bridge.narrow or self.state.large)
        self._was_narrow = self.bridge.narrow
        _, night, large = panel_choice(self.state, self.bridge.night)
        if self.bridge.measured(large) != self.window or self.panels.night != night:
            self._make_panels()
            self._draw()

    def frame(self) -> Frame:
        """What is drawn."""
        state, wanted = self.state, "measures" in self.state.panels
        known = every_measure(state, self.scene) if wanted else {}
        return Frame(state, self.scene, self.curves, self.simulated, not self.stale, kept_curves(state), known)

    def draw(self) -> None:
        """Show what there is now in the picture."""
        self.canvas.invalidate(self.panels.show(self.frame()))
        self.canvas.move(self.panels.moving)
        self.canvas.blit()

    def _draw(self) -> None:
        self.draw()
        # After the picture: a page that turns dark first would show a white one.
        for name, wanted in (("workbench-dark", self.panels.night), ("workbench-large", self.window.large)):
            (self.add_class if wanted else self.remove_class)(name)
        line = html.escape(self.panels.numbers_line)
        self.numbers.value = f'<span class="workbench-numbers">{line}</span>'
        self.status.remark(remarks(self.state, self.scene, self.curves))

    @property
    def stale(self) -> bool:
        """Whether the simulated points are not (yet) those of the state."""
        return self.simulated is None or self.simulated.key != simulation_key(self.state)

    def settle(self) -> None:
        """Finish the simulation of the state now, whether or not an event loop is running."""
        self.follower.settle()

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
        self.follower.cancel()
        self.hand.close()
        close_inside(self)
        super().close()

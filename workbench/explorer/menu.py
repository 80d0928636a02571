"""The app: the explorer, and a click away two small views for lectures and the text of a language model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from workbench.errors import WorkbenchError
from workbench.explorer.canvas import mimebundle
from workbench.explorer.chosen_pair import chosen_pair
from workbench.explorer.lecture import DAY, NIGHT
from workbench.explorer.lecture_mode import IMBALANCES, SCALES, Mode, ModeView
from workbench.explorer.lecture_pair import PairView
from workbench.explorer.session import SETTLED
from workbench.explorer.state import LECTURES, ExplorerState
from workbench.explorer.theme import css
from workbench.explorer.toolbar import button
from workbench.explorer.view import Explorer

if TYPE_CHECKING:
    import xarray as xr


class App(widgets.VBox):  # type: ignore[misc]
    """One view at a time, named in the address; the others are made when first asked for, light or dark.

    Attributes:
        explorer: the explorer, whose state is that of the app: a lecture's controls say the same quantities.
        language: path of a language model's result, read when it is asked for; empty: none.
    """

    def __init__(self, explorer: Explorer, language: str = "") -> None:
        self.explorer, self.language = explorer, language
        self._made: dict[tuple[str, bool, Any], tuple[Any, Any]] = {}
        self._quiet = False
        names, say = [name for name in LECTURES if name != "language" or language], explorer.status.message
        buttons = [button(name.replace("_", " "), LECTURES[name], partial(self.visit, name), say) for name in names]
        explorer.toolbar.row.children += tuple(buttons)
        explorer.on_shown = self._enter
        super().__init__([explorer])
        self._enter()

    def visit(self, name: str) -> None:
        """Show a lecture in place of the explorer, or with no name the explorer again."""
        self.explorer.show(replace(self.explorer.state, lecture=name))

    def _enter(self) -> None:
        """Show what the state says."""
        name, night = self.explorer.state.lecture, self.explorer.panels.night
        if name == "language" and not self.language:
            self.explorer.status.notice(
                "there is no language model here; start with `workbench explore --language DIR`"
            )
            name = ""
        key = name, night, self.explorer.scene if name == "one_pair" else None
        if name and key not in self._made:
            self._made[key] = self._make(name, night)
        box, view = self._made[key] if name else (self.explorer, None)
        if isinstance(view, ModeView | PairView):
            self._set(view)
        page: Any = self
        if page.children != (box,):
            page.children = [box]

    def _make(self, name: str, night: bool) -> tuple[Any, Any]:
        """The page of a lecture, and its view; the bridge goes along, which keeps the address."""
        view = _VIEWS[name](self, night)
        heading = widgets.HTML(f"{css()}<h1>{LECTURES[name]}</h1>")
        back = button("back to the explorer", "as it was left", partial(self.visit, ""))
        box = widgets.VBox([heading, self.explorer.bridge, widgets.HBox([back]), view])
        for mark in ("workbench", "workbench-app", *(["workbench-dark"] if night else [])):
            box.add_class(mark)
        if isinstance(view, ModeView | PairView):
            for control in view.controls.values():
                control.observe(partial(self._moved, view), names="value")
        return box, view

    def _moved(self, view: ModeView | PairView, _: Any) -> None:
        if not self._quiet:
            self.explorer.later("lecture", SETTLED, partial(self._follow, view))

    def _follow(self, view: ModeView | PairView) -> None:
        """The state says what the controls of a lecture say, unless the explorer cannot show that."""
        try:
            self.explorer.show(replace(self.explorer.state, **_said(view)))
        except WorkbenchError:
            return

    def _set(self, view: ModeView | PairView) -> None:
        """The controls of a lecture say what the state says, as far as they go."""
        self._quiet = True
        for name, value in _wanted(view, self.explorer.state).items():
            if view.controls[name].value != value:
                view.controls[name].value = value
        self._quiet = False

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> Any:
        return mimebundle(self, "workbench explorer", bytes(self.explorer.canvas.widget.value))

    _ipython_display_ = None  # see `mimebundle`


def _mode(app: App, night: bool) -> Any:
    return ModeView(Mode(), night=night)


def _pair(app: App, night: bool) -> Any:
    scene = app.explorer.scene
    return PairView(scene, *chosen_pair(scene, None, None, a0=0.01), a0=0.01, lam=0.0, night=night)


def _language(app: App, night: bool) -> Any:
    from workbench.language.panel import text_panel

    panel = text_panel(language_result(app.language), NIGHT if night else DAY)
    panel.add_class("workbench-text")
    return panel


def language_result(path: str) -> xr.Dataset:
    """The dataset of a directory that `workbench language` wrote, or of its ``language.nc``.

    Raises:
        WorkbenchError: if there is none, or it holds no text.
    """
    import xarray as xr

    file = Path(path) / "language.nc" if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise WorkbenchError(f"{file}: no such file; give the directory that `workbench language` wrote")
    try:
        ds = xr.load_dataset(file, engine="h5netcdf")
    except (OSError, ValueError, KeyError) as error:
        raise WorkbenchError(f"{file} is no netCDF file that can be read: {error}") from None
    if "token_correlation" not in ds:
        raise WorkbenchError(f"{file} has no text; give a result of `workbench language`")
    return ds


_VIEWS: dict[str, Callable[[App, bool], Any]] = {"one_mode": _mode, "one_pair": _pair, "language": _language}


def _said(view: ModeView | PairView) -> dict[str, Any]:
    """Fields of the state that a lecture's controls say."""
    value: dict[str, Any] = {name: control.value for name, control in view.controls.items()}
    if isinstance(view, ModeView):
        return {"depth": value["depth"], "a0": view.mode.a0, "lam": view.mode.lam}
    source, target = value.pop("source"), value.pop("target")
    return value | {"source": source, "targets": (target,), "depth": 2}


def _wanted(view: ModeView | PairView, state: ExplorerState) -> dict[str, Any]:
    """What a lecture's controls are to be, by name."""
    if isinstance(view, ModeView):
        a0, lam = min(max(state.a0, SCALES[0]), SCALES[1]), min(max(state.lam, IMBALANCES[0]), IMBALANCES[1])
        return {"depth": state.depth, "a0": a0, "lam": lam}
    wanted: dict[str, Any] = {"a0": state.a0, "lam": state.lam, "time": state.time}
    names = view.scene.task.items
    if state.source in names and state.targets and state.targets[0] in names and state.targets[0] != state.source:
        wanted |= {"source": state.source, "target": state.targets[0]}
    return wanted

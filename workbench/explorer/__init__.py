"""The explorer: sliders, linked panels and a simulation that follows, in a notebook or as an app in the browser.

>>> from workbench.explorer import explore
>>> view = explore("tree:2,2,2")  # in a notebook, the last line of a cell shows it
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from workbench.errors import WorkbenchError
from workbench.explorer.state import GIVEN, KINDS, ExplorerState
from workbench.semantics import SemanticTask

if TYPE_CHECKING:
    from workbench.explorer.lecture_mode import ModeView
    from workbench.explorer.lecture_pair import PairView
    from workbench.explorer.view import Explorer

View = TypeVar("View")

__all__ = ["ExplorerState", "explore", "one_mode", "one_pair"]

#: The view of each kind of each notebook cell, so that running a cell again replaces its views.
_VIEWS: dict[tuple[str, str], Any] = {}


def explore(
    task: SemanticTask | str | None = None, *, state: ExplorerState | Mapping[str, Any] | str | None = None
) -> Explorer:
    """Open the explorer.

    Args:
        task: a task, or its short name as on the command line (``tree:2,2,2``, ``diffusion:2,2,2:0.1``,
            ``table:rumelhart``, the path of a CSV); unless given, that of the state.
        state: where to begin: an `ExplorerState`, its config, or the end of a link.

    Returns:
        a widget; `Explorer.show`, `Explorer.save` and `Explorer.figure` serve scripts.
    """
    with _needs_widgets():
        from workbench.explorer.scene import Scene
        from workbench.explorer.view import Explorer
    given = None
    if isinstance(task, SemanticTask):
        given, begin = Scene.of(task), replace(begin_state(None, state), task=GIVEN, table="")
    else:
        begin = begin_state(task, state)
    return _in_this_cell("explore", lambda: Explorer(begin, given))


def one_mode(depth: int = 2, a0: float = 0.01, *, lam: float = 0.0, s: float = 1.0) -> ModeView:
    """One mode, rich to lazy: its rise against depth, initial scale and imbalance; a widget for a lecture.

    Args:
        depth: D, weight layers, 1 to 6.
        a0: initial strength (weight^D).
        lam: imbalance ``w2^2 - w1^2 >= 0`` (weight^2); depth 2 only.
        s: singular value, at input scale c = 1 also the final strength.
    """
    with _needs_widgets():
        from workbench.explorer.lecture_mode import Mode, ModeView
    mode = Mode(depth, a0, lam, s)
    return _in_this_cell("one_mode", lambda: ModeView(mode))


def one_pair(
    task: SemanticTask | str = "tree:2,2,2",
    source: str | None = None,
    target: str | None = None,
    *,
    a0: float = 0.01,
    lam: float = 0.0,
) -> PairView:
    """One pair of items: the two factors of the gradient kernel, and the sign of their product; for a lecture.

    Args:
        task: a task or its short name; see `explore`.
        source, target: names of two different items; unless given, the first, and the one that `source` first
            helps and later harms most clearly.
        a0: initial strength of every mode (weight^2).
        lam: balance ``w2^2 - w1^2`` of every mode (weight^2).
    """
    with _needs_widgets():
        from workbench.explorer.chosen_pair import chosen_pair
        from workbench.explorer.lecture_pair import PairView
        from workbench.explorer.scene import Scene, scene_of
    scene = Scene.of(task) if isinstance(task, SemanticTask) else scene_of(begin_state(task, None))
    pair = chosen_pair(scene, source, target, a0=a0, lam=lam)
    return _in_this_cell("one_pair", lambda: PairView(scene, *pair, a0=a0, lam=lam))


def begin_state(task: str | None, state: ExplorerState | Mapping[str, Any] | str | None) -> ExplorerState:
    """The state from which to begin; see `explore`."""
    if isinstance(state, str):
        begin = ExplorerState.from_query(state)
    elif isinstance(state, ExplorerState):
        begin = state
    else:
        begin = ExplorerState.from_config(state or {})
    return begin if task is None else _with_task(begin, task)


def _with_task(state: ExplorerState, spec: str) -> ExplorerState:
    """The state with another task; a path is read, so that the state does not depend on the file."""
    kind, _, rest = spec.partition(":")
    if kind in KINDS and (kind != "csv" or spec == state.task):
        table = state.table if spec == state.task else ""
        return replace(state, task="tree:2,2,2" if spec == "tree" else spec, table=table)
    from workbench.semantics import task_from_spec
    from workbench.semantics.tables.encoding import read_text

    task, path = task_from_spec(spec), Path(rest if kind == "csv" else spec)
    text = read_text(path, str(path))
    if task.tree is not None:
        return replace(state, task=f"newick:{text}", table="")
    return replace(state, task=f"csv:{task.name}", table=text)


@contextmanager
def _needs_widgets() -> Iterator[None]:
    """Say how to install what an import inside does not find."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise WorkbenchError(
            f"the explorer needs {error.name}, which is not installed; use: pip install 'stagewise-workbench[explore]'"
        ) from None


def _in_this_cell(kind: str, make: Callable[[], View]) -> View:
    """Make a view, after closing the one of this kind that the same cell made before."""
    key = _cell(), kind
    if key in _VIEWS:
        _VIEWS.pop(key).close()
    view = make()
    if key[0]:
        _VIEWS[key] = view
    return view


def _cell() -> str:
    """What tells a notebook cell from the others: its id, or else its text; empty outside notebooks."""
    try:
        from IPython import get_ipython

        parent = get_ipython().get_parent()
        cell = parent["metadata"].get("cellId") or parent["content"]["code"]
    except (ImportError, AttributeError, KeyError, TypeError):
        return ""
    return str(cell)

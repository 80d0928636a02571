"""The explorer: sliders, linked panels and a simulation that follows, in a notebook or as an app in the browser.

>>> from workbench.explorer import explore
>>> view = explore("tree:2,2,2")  # in a notebook, the last line of a cell shows it
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.explorer.state import GIVEN, ExplorerState
from workbench.semantics import SemanticTask

if TYPE_CHECKING:
    from workbench.explorer.view import Explorer

__all__ = ["ExplorerState", "explore"]

#: The view of each notebook cell, so that running a cell again replaces its view.
_VIEWS: dict[str, Any] = {}


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
    try:
        from workbench.explorer.scene import Scene
        from workbench.explorer.view import Explorer
    except ImportError as error:
        raise WorkbenchError(
            f"the explorer needs {error.name}, which is not installed; use: pip install 'workbench[explore]'"
        ) from None
    given = None
    if isinstance(task, SemanticTask):
        given, begin = Scene.of(task), replace(begin_state(None, state), task=GIVEN, table="")
    else:
        begin = begin_state(task, state)
    key = _cell()
    if key in _VIEWS:
        _VIEWS.pop(key).close()
    view = Explorer(begin, given)
    if key:
        _VIEWS[key] = view
    return view


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
    if spec.partition(":")[0] in ("tree", "diffusion", "table", "csv", GIVEN):
        table = state.table if spec == state.task else ""
        return replace(state, task="tree:2,2,2" if spec == "tree" else spec, table=table)
    from workbench.semantics import task_from_spec

    task = task_from_spec(spec)
    text = Path(spec).read_text(encoding="utf-8-sig")
    return replace(state, task=f"csv:{task.name}", table=text)


def _cell() -> str:
    """What tells a notebook cell from the others: its id, or else its text; empty outside notebooks."""
    try:
        from IPython import get_ipython

        parent = get_ipython().get_parent()
        found = parent["metadata"].get("cellId") or parent["content"]["code"]
    except (ImportError, AttributeError, KeyError, TypeError):
        return ""
    return str(found)

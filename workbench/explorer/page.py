"""The page of the app: a notebook of one cell and a template around it, made at launch, shown by Voila.

Nothing is fetched from the network: the template leaves out the icon fonts that Voila's own takes from a server.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.explorer.state import ExplorerState

NOTEBOOK = "explorer.ipynb"
#: Every visitor gets a kernel of their own; the state is in the link, or else the one given at launch.
_CELL = """\
from workbench.explorer.page import open_app
view = open_app({config!r})
view
"""
_TEMPLATE = """\
{%- extends 'lab/index.html.j2' -%}
{%- block notebook_css -%}
{{ super() | replace('https://cdn.jsdelivr.net/npm/@fortawesome/fontawesome-free@^5/css/all.min.css', 'data:text/css,')
  | replace('https://cdn.jsdelivr.net/npm/@fortawesome/fontawesome-free@^5/css/v4-shims.min.css', 'data:text/css,') }}
<title>workbench explorer</title>
<style>
  #rendered_cells { padding: 0 6px; }
  .jp-OutputPrompt, .jp-InputPrompt { display: none; }
</style>
{%- endblock notebook_css -%}
"""


def write_app(folder: Path, state: ExplorerState) -> list[str]:
    """Write notebook and template into a folder; returns the arguments with which Voila serves them."""
    from nbformat import v4, write

    notebook = v4.new_notebook(  # type: ignore[no-untyped-call]
        cells=[v4.new_code_cell(_CELL.format(config=json.dumps(state.config())))],  # type: ignore[no-untyped-call]
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    write(notebook, folder / NOTEBOOK)  # type: ignore[no-untyped-call]
    template = folder / "voila" / "templates" / "workbench"
    template.mkdir(parents=True)
    (template / "conf.json").write_text('{"base_template": "lab"}')
    (template / "index.html.j2").write_text(_TEMPLATE)
    return [str(folder / NOTEBOOK), "--template=workbench"]


def open_app(config: str) -> object:
    """The view of the app's cell: the state of the link, or that of the launch."""
    from workbench.explorer import explore

    begin, message = ExplorerState.from_config(json.loads(config)), ""
    try:
        view = explore(state=os.environ.get("QUERY_STRING") or begin)
    except WorkbenchError as error:
        view, message = explore(state=begin), f"the link was not understood, so this is where the app begins: {error}"
    view.settles = False
    view.tray.notice(message)
    return view

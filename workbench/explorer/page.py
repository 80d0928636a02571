"""The page of the app: a notebook of one cell and a template around it, made at launch, shown by Voila.

Nothing is fetched from the network: the template leaves out the icon fonts that Voila's own takes from a server. The
cell's picture stands in the page before the scripts that bring it to life are there.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.explorer.state import ExplorerState

NOTEBOOK = "explorer.ipynb"
TITLE = "Workbench explorer: influence while a network learns"
#: Every page gets a kernel of its own; the state is in the link, or else the one given at launch.
_CELL = """\
from workbench.explorer.page import open_app
view = open_app({config!r}, {language!r})
view
"""
_TEMPLATE = """\
{%- extends 'lab/index.html.j2' -%}
{%- block notebook_css -%}
{{ super() | replace('https://cdn.jsdelivr.net/npm/@fortawesome/fontawesome-free@^5/css/all.min.css', 'data:text/css,')
  | replace('https://cdn.jsdelivr.net/npm/@fortawesome/fontawesome-free@^5/css/v4-shims.min.css', 'data:text/css,') }}
<style>
  #rendered_cells { padding: 0 2px !important; }
  html, body.jp-Notebook { height: auto !important; overflow: auto !important; padding: 0 !important; }
  body.jp-Notebook .jp-LabShell, body.jp-Notebook .lm-BoxPanel, body.jp-Notebook .lm-BoxPanel-child {
    position: static !important; contain: none !important;
    height: auto !important; width: auto !important; overflow: visible !important; }
  .jp-Cell, .jp-OutputArea, .jp-OutputArea-child, .jp-OutputArea-output { overflow: visible !important;
    padding: 0 !important; margin: 0 !important; }
  .jp-OutputPrompt, .jp-InputPrompt { display: none; }
  .workbench-first-picture { display: block; max-width: 100%; margin: 12px auto; opacity: .75; }
  body:has(.workbench-app) .workbench-first-picture, body:has(.workbench-app) #loading { display: none !important; }
</style>
{%- endblock notebook_css -%}
{%- block body_header -%}
{{ super() | replace('<div id="rendered_cells"', '<div role="main" id="rendered_cells"')
  | replace('Running explorer...', 'The explorer is starting …') }}
{%- endblock body_header -%}
{% block data_priority scoped %}
{{ super() }}
{% if output and output.data and output.data['image/png'] %}
<script>
  (() => {
    const first = new Image();
    first.className = "workbench-first-picture";
    first.alt = "The explorer's first picture; its controls are being loaded.";
    first.src = "data:image/png;base64,{{ output.data['image/png'] | replace('\\n', '') }}";
    document.body.append(first);
  })();
</script>
{% endif %}
{% endblock data_priority %}
"""
#: Of all extensions that happen to be installed, the page loads those it needs.
EXTENSIONS = ["@voila-dashboards/widgets-manager8", "@jupyter-widgets/jupyterlab-manager", "anywidget", "ipyevents"]


def write_app(folder: Path, state: ExplorerState, language: str = "") -> list[str]:
    """Write notebook and template into a folder; returns the arguments with which Voila serves them.

    ``language`` is the path of a language model's result, which only the one who starts the app can name.
    """
    from nbformat import v4, write

    notebook = v4.new_notebook(  # type: ignore[no-untyped-call]
        cells=[v4.new_code_cell(_CELL.format(config=json.dumps(state.config()), language=language))],  # type: ignore[no-untyped-call]
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "title": TITLE,
        },
    )
    write(notebook, folder / NOTEBOOK)  # type: ignore[no-untyped-call]
    template = folder / "voila" / "templates" / "workbench"
    template.mkdir(parents=True)
    (template / "conf.json").write_text('{"base_template": "lab"}')
    (template / "index.html.j2").write_text(_TEMPLATE)
    return [str(folder / NOTEBOOK), "--template=workbench"]


def rehearse() -> None:
    """What every page does first, done without one: forms are derived, letters drawn, simulation has run."""
    from workbench.explorer.view import Explorer

    view = Explorer(ExplorerState(), app=True)
    view.settle()
    view.close()


def open_app(config: str, language: str = "") -> Any:
    """The app: the state of the link, or that of the launch; with the result of a language model if there is one."""
    from workbench.explorer.menu import App
    from workbench.explorer.view import Explorer

    begin, message = ExplorerState.from_config(json.loads(config)), ""
    try:
        query = os.environ.get("QUERY_STRING", "")
        # A reload begins where the address says; reset leads to where the app began, whatever was reloaded since.
        view = Explorer(ExplorerState.from_query(query) if query else begin, app=True, initial=begin)
    except WorkbenchError as error:
        view = Explorer(begin, app=True)
        message = f"the link was not understood, so this is where the app begins: {error}"
    view.settles = False
    if message:
        view.status.notice(message)
    return App(view, language)

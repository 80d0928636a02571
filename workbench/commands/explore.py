"""``workbench explore``: the explorer as an app in the browser."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.commands.console import Help, bar
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.explorer.state import ExplorerState

_EXPLORE = """\
Open sliders and linked panels in the browser: theory follows every movement, simulation when the hand rests.

Runs on this machine alone (127.0.0.1), answers only to the link it prints, and fetches nothing from the network;
Ctrl-C ends it. Needs the extra `explore`: pip install 'stagewise-workbench[explore]', or `make explore`.

  workbench explore
  workbench explore --task my_table.csv
  workbench explore --state "depth=3&a0=0.001"
  workbench explore --task tree:3,2 --export page.html
      one self-contained file in which the analytic side moves under sliders, for a course page or a talk without wifi
  workbench explore --language results/language    (and the text of a language model, coloured by influence)
"""


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of `workbench`."""
    from workbench.semantics.specs import SPEC_HELP

    p = commands.add_parser(
        "explore",
        help="sliders and linked panels in the browser",
        description=_EXPLORE,
        formatter_class=Help,
    )
    p.add_argument("--task", metavar="T", help=SPEC_HELP)
    p.add_argument("--state", metavar="LINK", help="where to begin: the end of a link, as the app writes it")
    p.add_argument("--language", metavar="DIR", help="a result of `workbench language`, whose text is on the menu")
    p.add_argument("--port", type=int, default=8866, metavar="N", help="another is taken if it is in use")
    p.add_argument("--no-browser", action="store_true", help="only print the address")
    p.add_argument("--export", type=Path, metavar="FILE", help="write a page that needs no server, and stop")
    p.add_argument("--force", action="store_true", help="replace FILE")
    p.add_argument("--quiet", action="store_true", help="no progress bar")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check the state, print the address, serve."""
    if not 1 <= args.port <= 65535:
        raise WorkbenchError(f"--port {args.port}; give a number from 1 to 65535")
    from workbench.explorer import begin_state
    from workbench.explorer.menu import language_result
    from workbench.explorer.model import curves
    from workbench.explorer.scene import scene_of
    from workbench.explorer.server import free_port, serve

    state = begin_state(args.task, args.state)
    if args.export is not None:
        return _export(state, args.export, force=args.force, quiet=args.quiet)
    curves(state, scene_of(state))
    language = str(Path(args.language).resolve()) if args.language else ""
    if language:
        language_result(language)
    browser = not args.no_browser
    serve(state, port=free_port(args.port), browser=browser, announce=_announce, language=language)
    return 0


def _export(state: ExplorerState, path: Path, *, force: bool, quiet: bool) -> int:
    """Write the page; nothing is there until it is whole."""
    from workbench.explorer.scene import scene_of
    from workbench.explorer.standalone import grid, n_cells
    from workbench.store.files import check_file, write_file

    check_file(path)
    if path.exists() and not force:
        raise WorkbenchError(f"{path} exists already; add --force to replace it")
    try:
        from workbench.explorer.standalone_page import page
    except ModuleNotFoundError as missing:
        raise WorkbenchError(f"--export needs {missing.name}: pip install 'stagewise-workbench[explore]'") from None
    with bar("curves", n_cells(), quiet=quiet) as advance:
        content = page(grid(state, scene_of(state), advance))
    write_file(path, content)
    print(f"wrote {path} ({len(content.encode()) / 1e6:.1f} MB)")
    return 0


def _announce(link: str) -> None:
    print(f"explorer: {link}  (Ctrl-C ends it)", flush=True)

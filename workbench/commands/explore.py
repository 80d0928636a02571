"""``workbench explore``: the explorer as an app in the browser."""

from __future__ import annotations

import argparse
from typing import Any

from workbench.commands.console import Help
from workbench.errors import WorkbenchError

_EXPLORE = """\
Open sliders and linked panels in the browser: theory follows every movement, simulation when the hand rests.

Runs on this machine alone (127.0.0.1), answers only to the link it prints, and fetches nothing from the network;
Ctrl-C ends it. Needs the extra `explore`: pip install 'workbench[explore]', or `make explore`.

  workbench explore
  workbench explore --task my_table.csv
  workbench explore --state "depth=3&a0=0.001"
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
    p.add_argument("--port", type=int, default=8866, metavar="N", help="another is taken if it is in use")
    p.add_argument("--no-browser", action="store_true", help="only print the address")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check the state, print the address, serve."""
    if not 1 <= args.port <= 65535:
        raise WorkbenchError(f"--port {args.port}; give a number from 1 to 65535")
    from workbench.explorer import begin_state
    from workbench.explorer.model import curves
    from workbench.explorer.scene import scene_of
    from workbench.explorer.server import free_port, serve

    state = begin_state(args.task, args.state)
    curves(state, scene_of(state))
    serve(state, port=free_port(args.port), browser=not args.no_browser, announce=_announce)
    return 0


def _announce(link: str) -> None:
    print(f"explorer: {link}  (Ctrl-C ends it)", flush=True)

"""``workbench verify``: put every closed form to the test against an independent computation."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from workbench.commands.console import Help
from workbench.commands.console import bar as shown_bar

_VERIFY = """\
Check every closed form against a computation that shares nothing with it: an ODE solver, automatic differentiation,
quadrature, brute force, retraining, or a published value.

Prints a table of predicted and computed values, their difference, the largest difference allowed and the verdict.
The exit code is 1 if any claim fails.

  workbench verify
  workbench verify --only "mode dynamics"
  workbench verify --all --only language      claims that take minutes
  workbench verify --all --only study         what the studies claim, at reduced size
"""


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of `workbench`."""
    p = commands.add_parser(
        "verify",
        help="check every closed form against an independent computation",
        description=_VERIFY,
        formatter_class=Help,
    )
    p.add_argument("--all", action="store_true", help="also claims that take minutes: language models, and studies")
    p.add_argument("--only", metavar="TEXT", help="claims whose family, sentence or closed forms mention TEXT")
    p.add_argument("--json", type=Path, metavar="FILE", help="write the table, with the reasons, as JSON too")
    p.add_argument("--quiet", action="store_true", help="no progress bar")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check, print, and exit with 1 where a claim fails."""
    from workbench.store.files import check_file, write_file

    if args.json is not None:
        check_file(args.json)
    from workbench import __version__
    from workbench.verification import all_claims, long_claims, select_studies, verify_studies
    from workbench.verification.claims import claims_table, select, verify

    chosen = select_studies(args.only) if args.all else []
    claims = all_claims() + (long_claims() if args.all else [])
    claims = select(claims, args.only, none_is_fine=bool(chosen)) if args.only else claims
    with shown_bar("verify", len(claims) + len(chosen), quiet=args.quiet) as advance:
        results = verify(claims, advance) + verify_studies(chosen, advance)
    print(claims_table(results))
    if args.json is not None:
        record = {"code_version": __version__, "claims": [result.record() for result in results]}
        write_file(args.json, json.dumps(record, indent=2) + "\n")
        print(f"wrote {args.json}")
    return 0 if all(result.holds for result in results) else 1

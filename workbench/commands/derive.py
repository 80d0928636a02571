"""``workbench derive``: show how a formula comes about, and write it down."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.commands.console import Help, bar
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.semantics import Hierarchy
    from workbench.theory.closed_form import ClosedForm

_DERIVE = """\
Show the derivation of a closed form: every step, and whether sympy confirms it.

  workbench derive --list
      the names, with one line each
  workbench derive --check
      let sympy check every step of every derivation again, and count
  workbench derive mode_strength
  workbench derive tree_kernel_m1 flip_equation_m1 --html flips.html
"""


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of `workbench`."""
    p = commands.add_parser(
        "derive",
        help="show the derivation of a closed form",
        description=_DERIVE,
        formatter_class=Help,
    )
    p.add_argument("names", nargs="*", metavar="NAME", help="closed forms, as in --list")
    p.add_argument("--list", action="store_true", help="print all names")
    p.add_argument("--check", action="store_true", help="check all derivations, print how many steps sympy confirms")
    p.add_argument(
        "--branching",
        default="2,2,2",
        metavar="B,B",
        help="children per node, level by level, for the formulas that hold on a tree",
    )
    p.add_argument("--latex", type=Path, metavar="FILE", help="write a LaTeX document")
    p.add_argument("--html", type=Path, metavar="FILE", help="write a page for the browser")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the derivations, or write them; nothing is built before all names are known."""
    from workbench.semantics import Hierarchy
    from workbench.store.files import check_file
    from workbench.theory.catalogue import find, listing

    hierarchy = Hierarchy(_branching(args.branching))
    if args.list:
        print(listing(hierarchy))
        return 0
    if args.check:
        return _check(hierarchy)
    if not args.names:
        raise WorkbenchError("derive needs the NAME of a closed form; workbench derive --list shows them")
    entries = [find(name, hierarchy) for name in args.names]
    for path in (args.latex, args.html):
        if path is not None:
            check_file(path)
    forms = [entry.build() for entry in entries]
    if args.latex is None and args.html is None:
        print("\n\n\n".join(form.text() for form in forms))
    else:
        _write(forms, args.latex, args.html)
    return 0 if all(step.passed for form in forms for step in form.self_check()) else 1


def _check(hierarchy: Hierarchy) -> int:
    """Build every form, verify its steps, and print the count; 1 where a step fails."""
    from workbench.theory.catalogue import catalogue

    entries, results = catalogue(hierarchy), []
    with bar("derive", len(entries)) as advance:
        for name, entry in entries.items():
            results += [(name, step) for step in entry.build().self_check()]
            advance(1)
    for name, step in results:
        if not step.checked or not step.passed:
            print(f"{name}: {'CHECK FAILED' if step.checked else 'not checked'}: {step.statement}")
    confirmed = sum(step.checked and step.passed for _, step in results)
    print(f"{len(entries)} closed forms: sympy confirms {confirmed} of {len(results)} steps")
    return 0 if all(step.passed for _, step in results) else 1


def _write(forms: list[ClosedForm], latex: Path | None, html: Path | None) -> None:
    from workbench.report.derive import as_html, as_latex
    from workbench.store.files import write_file

    for path, write in ((latex, as_latex), (html, as_html)):
        if path is not None:
            write_file(path, write(forms))
            print(f"wrote {path}")


def _branching(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise WorkbenchError(f"--branching {text!r} is no tree; give whole numbers, such as 2,2,2") from None

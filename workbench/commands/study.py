"""``workbench study``: questions about influence over training, each answered with numbers, a figure and claims."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.commands.console import Help
from workbench.commands.console import bar as shown_bar
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.studies import Study, StudyResult

_STUDY = """\
Answer a question about influence over training, with numbers, a figure, and claims that can fail.

  workbench study --list                                    every study with its question
  workbench study tree_in_influence                         print the finding and its claims
  workbench study tree_in_influence --out DIR               write data, figure and claims too
  workbench study tree_in_influence --task my_table.csv     the same question of your own table or tree
  workbench study --all --quick --out DIR                   all of them, at reduced size

what comes out, in DIR, for each study
  NAME.nc              every number that is drawn or claimed
  NAME.png .svg .pdf   the figure
  findings.csv         study, claim, value, relation, bound, holds, reason
The exit code is 1 if a claim fails: that is a finding, too, and it is shown.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of `workbench`."""
    p = commands.add_parser(
        "study", help="answer a question about influence over training", description=_STUDY, formatter_class=Help
    )
    p.add_argument("names", nargs="*", metavar="NAME", help="which studies")
    p.add_argument("--list", action="store_true", help="show all studies, and stop")
    p.add_argument("--all", action="store_true", help="every study")
    p.add_argument("--quick", action="store_true", help="fewer seeds and times")
    p.add_argument("--task", metavar="T", help="a tree, a bundled table or a CSV file, in place of the study's own")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random")
    p.add_argument("--out", type=Path, metavar="DIR", help="directory to write")
    p.add_argument("--force", action="store_true", help="replace an earlier result in DIR")
    p.add_argument("--quiet", action="store_true", help="no progress bars")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List, or run and write."""
    from workbench.studies import studies, study_named

    if args.list:
        print("\n".join(f"{study.name:<24}{study.question}" for study in studies().values()))
        return 0
    if bool(args.names) == args.all:
        raise WorkbenchError("name one or more studies, or give --all; --list shows them")
    if not 0 <= args.seed < 2**63:
        raise WorkbenchError(f"seed {args.seed}; give a whole number from 0 to 2^63 - 1")
    chosen = list(studies().values()) if args.all else [study_named(name) for name in dict.fromkeys(args.names)]
    if args.out is None:
        return max(_answered(study, args)[1] for study in chosen)
    from workbench.report.directory import check_target, staged

    check_target(args.out, args.force)
    with staged(args.out, args.force) as work:
        outcomes = [(study, *_answered(study, args)) for study in chosen]
        _write(work, [(study, result) for study, result, _ in outcomes if result is not None], args)
    print(f"wrote {args.out}/")
    return max(code for *_, code in outcomes)


def _answered(study: Study, args: argparse.Namespace) -> tuple[StudyResult | None, int]:
    """Run a study and print what it found; with --all, one that cannot be asked of the task says so and is left out."""
    import torch

    from workbench.influence import no_bar
    from workbench.semantics import task_from_spec
    from workbench.studies import Inquiry

    torch.set_num_threads(1)
    task = None if args.task is None else task_from_spec(args.task, seed=args.seed)
    inquiry = Inquiry(task, args.quick, args.seed, no_bar if args.quiet else shown_bar)
    begin = time.monotonic()
    try:
        result = study.run(inquiry)
    except WorkbenchError as error:
        if not args.all:
            raise
        print(f"{study.name}: left out: {error}\n")
        return None, 0
    print(f"{study.name} ({time.monotonic() - begin:.0f} s)\n  {result.finding}")
    for claim in result.claims:
        word = "holds" if claim.holds else "FAILS"
        print(f"  {word}: {claim.sentence} ({claim.value:.4g} {claim.relation} {claim.bound:.4g}; {claim.reason})")
    print(flush=True)
    return result, int(any(not claim.holds for claim in result.claims))


def _write(folder: Path, results: list[tuple[Study, StudyResult]], args: argparse.Namespace) -> None:
    import pandas as pd

    from workbench import __version__
    from workbench.figures.files import draw
    from workbench.report.directory import MARKER
    from workbench.store.files import netcdf_bytes, write_file

    rows = []
    for study, result in results:
        dataset = result.dataset.assign_attrs(study=study.name, finding=result.finding, code_version=__version__)
        write_file(folder / f"{study.name}.nc", netcdf_bytes(dataset))
        facts = {"study": study.name, "seed": args.seed, "quick": args.quick, "code_version": __version__}
        for kind, content in draw(result.draw(result.dataset), facts, ("png", "svg", "pdf"), study.question).items():
            write_file(folder / f"{study.name}.{kind}", content)
        rows += [
            [study.name, c.sentence, c.value, c.relation, c.bound, c.holds, c.reason, result.finding]
            for c in result.claims
        ]
    columns = ["study", "claim", "value", "relation", "bound", "holds", "reason", "finding"]
    write_file(folder / "findings.csv", pd.DataFrame(rows, columns=columns).to_csv(index=False))
    settings = {
        "studies": [study.name for study, _ in results],
        "task": args.task,
        "quick": args.quick,
        "seed": args.seed,
    }
    captions = {study.name: {"caption": result.caption, "alt": result.alt} for study, result in results}
    config = {"settings": settings, "resolved": {"code_version": __version__}, "figures": captions}
    write_file(folder / MARKER, json.dumps(config, indent=2) + "\n")

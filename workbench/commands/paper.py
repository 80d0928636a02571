"""``workbench paper``: the abstract of the paper, sentence by sentence."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from workbench.commands.console import Help
from workbench.commands.console import bar as shown_bar
from workbench.errors import WorkbenchError

_PAPER = """\
Put the abstract of the paper (arXiv 2510.12071) to the test, sentence by sentence, and write one page: the claim in our
words, the figure that shows it, the numbers with their errors, and a verdict (holds, holds in part, not here).

  workbench paper --out results/paper --quick               about a minute on one core
  workbench paper --out results/paper                       minutes
  workbench paper --out results/paper --language DIR        the last sentence from a result of `workbench language`
  workbench paper --out results/paper --task my_table.csv   the toy model's sentences of your own table or tree

what comes out, in DIR
  paper.html     everything, in one file
  verdicts.csv   every check: value, bound, reason
  *.csv          the numbers beside each figure; influence.nc and language.nc hold every curve
  figures/       PNG and SVG
The exit code is 0 whatever the verdicts are: they are the result.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of `workbench`."""
    p = commands.add_parser(
        "paper", help="the paper's abstract, sentence by sentence", description=_PAPER, formatter_class=Help
    )
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="directory to write (required)")
    p.add_argument("--quick", action="store_true", help="fewer checkpoints and shorter chains")
    p.add_argument("--task", metavar="T", help="a tree, a bundled table or a CSV file, in place of the default tree")
    p.add_argument("--language", type=Path, metavar="DIR", help="a result of `workbench language`")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random")
    p.add_argument("--force", action="store_true", help="replace an earlier result in DIR")
    p.add_argument("--quiet", action="store_true", help="no progress bars")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run what the sentences assert, write the page, print the verdicts."""
    from workbench.report.directory import check_target

    check_target(args.out, args.force)
    if not 0 <= args.seed < 2**63:
        raise WorkbenchError(f"seed {args.seed}; give a whole number from 0 to 2^63 - 1")
    import torch

    from workbench.paper import PaperSettings, paper, write_paper
    from workbench.semantics import task_from_spec

    torch.set_num_threads(1)
    task = None if args.task is None else task_from_spec(args.task, seed=args.seed)
    settings = PaperSettings(quick=args.quick, seed=args.seed, language=args.language)
    bar = partial(shown_bar, quiet=args.quiet)
    sentences, comparison, language = paper(settings, task, spec=args.task, bar=bar)
    language_from = None if args.language is None else str(args.language)
    facts = {"task": args.task or "tree", "quick": args.quick, "seed": args.seed, "language": language_from}
    write_paper(sentences, comparison, language, args.out, settings=facts, force=args.force)
    for sentence in sentences:
        print(f"{sentence.verdict}: {sentence.claim}")
        for line in sentence.missing:
            print(f"  not: {line}")
    print(f"\nwrote {args.out}/: open {args.out / 'paper.html'} in a browser")
    return 0

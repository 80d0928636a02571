"""``workbench study``: questions about influence over training, each answered with numbers, a figure and claims."""

from __future__ import annotations

import argparse
import json
import logging
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.commands.console import Help, steps_in_one_bar
from workbench.commands.console import bar as shown_bar
from workbench.commands.keeping import add_result_options, keeping, store_for
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.influence import Bar
    from workbench.semantics import SemanticTask
    from workbench.store import Store
    from workbench.studies import Study
    from workbench.studies.answers import Answer

_STUDY = """\
Answer a question about influence over training, with numbers, a figure, and claims that can fail.

  workbench study --list                                    every study, its question and how it is answered
  workbench study tree_in_influence                         print the finding and its claims
  workbench study tree_in_influence --out DIR               write data, figure and claims too
  workbench study tree_in_influence --task my_table.csv     the same question of your own table or tree
  workbench study --all --quick --out DIR                   all of them, at reduced size
  workbench study --all --quick --out DIR --resume          go on with a run that was cut off

what comes out, in DIR
  findings.html .txt   every study: question, finding, claims, figure
  findings.csv         study, claim, value, relation, bound, holds, reason
  NAME.nc              every number that is drawn or claimed, for each study
  NAME.png .svg .pdf   its figure
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
    add_result_options(p, required=False)
    p.add_argument("--quiet", action="store_true", help="no progress bars, and no notes")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List, or run and write."""
    from workbench.studies import studies, study_named

    if args.list:
        print("\n\n".join(_taught(study) for study in studies().values()))
        return 0
    if bool(args.names) == args.all:
        raise WorkbenchError("name one or more studies, or give --all; --list shows them")
    if not 0 <= args.seed < 2**63:
        raise WorkbenchError(f"seed {args.seed}; give a whole number from 0 to 2^63 - 1")
    if args.resume and args.out is None:
        raise WorkbenchError("--resume goes on with what --out DIR was to hold; name that directory")
    chosen = list(studies().values()) if args.all else [study_named(name) for name in dict.fromkeys(args.names)]
    if args.out is None:
        return _code(_answers(chosen, args, _task(args)))
    from workbench.report.directory import check_target, staged

    check_target(args.out, args.force)
    task = _task(args)
    settings = _settings(chosen, args, task)
    store = store_for(args.out, settings, resume=args.resume, force=args.force)
    with keeping(store):
        answers = _answers(chosen, args, task, store)
        with staged(args.out, args.force) as work:
            _write(work, answers, settings)
        store.remove()
    print(f"wrote {args.out}/: open {args.out / 'findings.html'} in a browser")
    return _code(answers)


def _taught(study: Study) -> str:
    """Name, question, how it is answered, and whether it takes a task."""
    own = "takes a task of your own" if study.own_task == "yes" else f"its own task only: {study.own_task}"
    lines = [study.question, *textwrap.wrap(study.method, 96), f"({own})"]
    return "\n".join([study.name, *(f"    {line}" for line in lines)])


def _code(answers: list[Answer]) -> int:
    return int(not all(answer.holds for answer in answers))


def _task(args: argparse.Namespace) -> SemanticTask | None:
    from workbench.semantics import task_from_spec

    return None if args.task is None else task_from_spec(args.task, seed=args.seed)


def _settings(chosen: list[Study], args: argparse.Namespace, task: SemanticTask | None) -> dict[str, Any]:
    """What the numbers depend on."""
    from workbench import __version__

    return {
        "studies": [study.name for study in chosen],
        "task": args.task,
        "task_digest": None if task is None else task.digest,
        "quick": args.quick,
        "seed": args.seed,
        "code_version": __version__,
    }


def _answers(
    chosen: Sequence[Study], args: argparse.Namespace, task: SemanticTask | None, store: Store | None = None
) -> list[Answer]:
    """Run studies and print what each found; with --all, one that cannot be asked of the task is left out."""
    import torch
    from tqdm import tqdm

    from workbench.store import Slot
    from workbench.studies import Inquiry
    from workbench.studies.answers import answered

    if args.quiet:
        logging.getLogger("workbench").setLevel(logging.WARNING)
    torch.set_num_threads(1)  # matrices of a few hundred entries: more threads cost more than they give
    answers = []
    with _bars(chosen, args.quiet) as (bar, advance):
        for study in chosen:
            inquiry = Inquiry(task, args.quick, args.seed, bar)
            answers.append(answered(study, inquiry, skip=args.all, slot=Slot(store, study.name)))
            tqdm.write(f"{answers[-1]}\n")
            advance(study.name)
    if len(answers) > 1:
        claims = [claim for answer in answers for claim in answer.claims]
        print(f"{sum(claim.holds for claim in claims)} of {len(claims)} claims of {len(answers)} studies hold")
    return answers


@contextmanager
def _bars(chosen: Sequence[Study], quiet: bool) -> Iterator[tuple[Bar, Callable[[str], Any]]]:
    """The bars of one study as they come; one for all where there are several."""
    from workbench.influence import no_bar

    if quiet or len(chosen) == 1:
        yield (no_bar if quiet else shown_bar), lambda done: None
    else:
        with steps_in_one_bar("studies", len(chosen)) as pair:
            yield pair


def _write(folder: Path, answers: list[Answer], settings: dict[str, Any]) -> None:
    import pandas as pd

    from workbench.report.directory import MARKER
    from workbench.store.files import write_file
    from workbench.studies.page import findings_page, findings_text

    rows = []
    for answer in answers:
        for name, content in answer.files.items():
            write_file(folder / name, content)
        rows += [
            [answer.study, c.sentence, c.value, c.relation, c.bound, c.holds, c.reason, answer.finding]
            for c in answer.claims
        ]
    columns = ["study", "claim", "value", "relation", "bound", "holds", "reason", "finding"]
    write_file(folder / "findings.csv", pd.DataFrame(rows, columns=columns).to_csv(index=False))
    asked = f"Task: {settings['task'] or 'of each study'}; {'reduced' if settings['quick'] else 'full'} size; seed "
    write_file(folder / "findings.html", findings_page(answers, f"{asked}{settings['seed']}"))
    write_file(folder / "findings.txt", findings_text(answers))
    captions = {answer.study: {"caption": answer.caption, "alt": answer.alt} for answer in answers}
    config = {"settings": settings, "resolved": {"code_version": settings["code_version"]}, "figures": captions}
    write_file(folder / MARKER, json.dumps(config, indent=2) + "\n")

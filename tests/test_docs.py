"""Pages under docs/: their Python prints what they say, their commands are commands, their links lead somewhere."""

import contextlib
import io
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from workbench.cli import parser

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(path for path in DOCS.glob("**/*.md") if not path.relative_to(DOCS).parts[0].startswith("_"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    return FENCE.findall(page.read_text(encoding="utf-8"))


def commands(page: Path) -> list[str]:
    fenced = "\n".join(text for kind, text in blocks(page) if not kind)
    joined = (fenced + "\n" + re.sub(FENCE, "", page.read_text(encoding="utf-8"))).replace("\\\n", " ")
    lines = re.findall(r"^\s*(workbench [a-z].*)$", joined, re.MULTILINE) + re.findall(
        r"`(workbench [a-z][^`]*)`", joined
    )
    return [line.split("  #")[0].strip() for line in lines]


PARSER = parser()
ALL_COMMANDS = sorted({line for page in PAGES for line in commands(page)})


@pytest.mark.parametrize("line", ALL_COMMANDS)
def test_every_command_in_the_docs_is_one_that_the_parser_takes(line):
    words = shlex.split(line)[1:]
    try:
        arguments = PARSER.parse_args([*words, "--help"] if len(words) == 1 else words)
    except SystemExit as ended:
        assert ended.code == 0, f"the parser refuses: {line}"
        return
    for name in getattr(arguments, "names", ()) if arguments.command == "derive" else ():
        from workbench.theory.catalogue import find

        assert find(name).name == name


def test_worksheets_print_what_they_say():
    """Blocks of Python share their names, in order; the block after one is its output."""
    shown = blocks(DOCS / "worksheets.md")
    names: dict[str, object] = {}
    for (kind, code), (_, expected) in pairwise(shown):
        if kind == "python":
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(code, "worksheets.md", "exec"), names)
            assert printed.getvalue() == expected


@pytest.mark.parametrize("name", ["method.md", pytest.param("network.md", marks=pytest.mark.slow)])
def test_python_of_the_how_tos_runs(name):
    from workbench.bench import METHODS

    names: dict[str, object] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for kind, code in blocks(DOCS / "howto" / name):
            if kind == "python":
                exec(compile(code, name, "exec"), names)
    if name == "network.md":
        # 64 pairs, half of them the same twice; the first order leaves out what n beta adds.
        assert (abs(names["off"]) < 2).mean() > 0.8
    else:
        assert METHODS.pop("gradient_dot").of_one_checkpoint


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_and_to_files_of_the_repository_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text(encoding="utf-8")):
        if "_written/" not in target:
            assert (page.parent / target).exists(), target

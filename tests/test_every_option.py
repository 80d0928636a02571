"""Whatever is given to any option of any command: exit 0, or exit 2 with one line, and nothing half-written."""

from __future__ import annotations

import argparse
import os
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench import cli
from workbench.errors import WorkbenchError
from workbench.theory.catalogue import catalogue
from workbench.verification import all_claims

#: What makes each command quick; a drawn option comes after these, and so in place of them.
QUICK = {
    "compare": ("--task", "tree:2", "--checkpoints", 4, "--hidden", 2, "--eta", 0.2, "--measures", "gradient_kernel")
    + ("--chains", 2, "--draws", 40, "--quiet"),
    "figures": ("--task", "tree:2", "--only", "loss", "--formats", "png", "--hidden", 2),
    "derive": ("mode_loss",),
    "verify": ("--quiet",),
    "explore": ("--no-browser",),
    "bench": ("--list",),
    "study": ("tree_in_influence", "--task", "tree:2,2", "--quick", "--quiet"),
    "sweep": ("--task", "tree:2", "--over", "a0=0.01,0.1", "--side", "analytic", "--measures", "gradient_kernel")
    + ("--checkpoints", 4, "--hidden", 2, "--eta", 0.2, "--chains", 2, "--draws", 40, "--workers", 0, "--quiet"),
}
WRITES = {
    "compare": "--out",
    "study": "--out",
    "sweep": "--out",
    "figures": "--out",
    "derive": "--html",
    "verify": "--json",
}
#: Values that are no value of anything, or of one thing only.
ODD = (
    *("", " ", "x", "nan", "inf", "-inf", "-1", "0", "1", "2", "2.5", "1e-300", "1e300", "9" * 30, "1_0", "\u0663"),
    *("1:2", "2:1", ":", "nan:1", "0:inf", ",", "a,b", "tree:", "tree:2", "balanced:", "balanced:1e-3", "gaussian:0.1"),
    *("../..", "/", "--", "auto", "None", "true", "\u20ac", "\udcff", "a\nb", "y" * 5000),
    *("local_bif", "mode_loss", "png", "depth=99", "task=/etc/hosts", "?depth=3", "{", "%s"),
    *("a0=0:3", "seed=0:3", "seed=0:", "branching=2x2,0", "tcp://127.0.0.1:1", "depth=2,nan"),
)  # fmt: skip
#: Options that end the command before anything else is looked at, or draw every figure there is.
LEFT_OUT = {"--help", "--gallery"}


def actions(command: str) -> list[argparse.Action]:
    """The options of a command, as its own parser has them."""
    (commands,) = (a for a in cli.parser()._actions if isinstance(a, argparse._SubParsersAction))
    parser = commands.choices[command]
    if getattr(parser, "_fill", None) is not None:
        parser._fill(parser)
    return [a for a in parser._actions if a.option_strings and not LEFT_OUT & set(a.option_strings)]


def words(draw: st.DrawFn, command: str) -> list[str]:
    """One or two options with odd values."""
    given: list[str] = []
    for action in draw(st.lists(st.sampled_from(actions(command)), min_size=1, max_size=2, unique_by=lambda a: a.dest)):
        given += action.option_strings[-1:]
        if action.nargs != 0:
            given.append(draw(st.sampled_from([*ODD, *map(str, action.choices or ())])))
    return given


@st.composite
def argv(draw, command: str) -> list[str]:
    return words(draw, command)


@pytest.fixture(scope="module", autouse=True)
def nothing_long():
    """No figures, derivations, claims or servers: the options are what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workbench.studies.FILES", ("tree_in_influence",))
        patch.setattr("workbench.studies.tree_in_influence._MEASURES", ("gradient_kernel",))
        patch.setattr("workbench.studies.answers.draw", lambda figure, facts, formats, title: {"png": b""})
        patch.setattr("workbench.report.result.figure_set", lambda name: {})
        patch.setattr("workbench.report.result.equations", lambda ds: [])
        patch.setattr("workbench.sweeps.result._draw", lambda ds, folder, bar: None)
        patch.setattr(import_module("workbench.sweeps.sweep"), "cluster", no_cluster)  # a function has its name
        forms = catalogue()
        few = {name: forms[name] for name in ("mode_loss", "mode_strength")}
        patch.setattr("workbench.theory.catalogue.catalogue", lambda hierarchy=None: few)
        some = all_claims()[:3]
        patch.setattr("workbench.verification.all_claims", lambda: some)
        patch.setattr("workbench.verification.long_claims", lambda: some[:1])
        patch.setattr("workbench.verification.select_studies", lambda text: [])
        patch.setattr("workbench.explorer.server.serve", lambda *a, **k: None)
        yield


def no_cluster(scheduler: str, workers: int | None):
    raise WorkbenchError("no cluster is started here")


def check(run_cli, command: str, given: list[str]) -> None:
    here = Path.cwd()
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            out = ("--out", "result") if WRITES.get(command) == "--out" else ()
            ran = run_cli(command, *QUICK[command], *out, *given)
        finally:
            os.chdir(here)
        left = {path.name for path in Path(folder).iterdir()}
    # A sweep of which some cells failed, and a study of which a claim fails, are written, and end with 1.
    assert ran.code in (0, 2) or (command in ("study", "sweep") and ran.code == 1), (given, ran)
    if ran.code == 2:
        assert ran.err.count("\n") == 1, (given, ran.err)
        assert "Traceback" not in ran.err
        assert len(ran.err) < 6500
        assert left == set(), (given, ran.err)
    assert not {name for name in left if name.endswith((".tmp", ".partial"))}, given


@pytest.mark.parametrize("command", ["figures", "derive", "verify", "explore", "bench", "study", "sweep"])
def test_any_option_of_a_command(run_cli, command):
    @settings(max_examples=20, suppress_health_check=list(HealthCheck))
    @given(argv(command))
    def holds(given):
        check(run_cli, command, given)

    holds()


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(argv("compare"))
def test_any_option_of_compare(run_cli, given):
    check(run_cli, "compare", given)

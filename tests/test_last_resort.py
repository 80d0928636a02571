"""What no library promises: an end within seconds in the midst of a long call, and one line for whatever fails."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy.sparse.linalg import ArpackNoConvergence

from workbench import clearing

SMALL = ("--task", "tree:2", "--checkpoints", 4, "--measures", "gradient_kernel", "--quiet", "--eta", 0.1)

#: Programs that a signal finds where Python cannot raise an exception, or where it is swallowed.
DEAF = {
    "LAPACK": "import numpy; print('ready', flush=True); numpy.linalg.svd(numpy.random.rand(4000, 4000))",
    "swallowed": """
print('ready', flush=True)
while True:
    try:
        sum(range(10000))
    except BaseException:
        pass
""",
    "finalizer": """
class Deaf:
    def __del__(self):
        for _ in range(50000): sum(range(10))
print('ready', flush=True)
while True:
    Deaf()
""",
}


@pytest.mark.parametrize(
    ("kind", "number"), [*((kind, signal.SIGINT) for kind in DEAF), (next(iter(DEAF)), signal.SIGTERM)]
)
def test_a_program_that_cannot_hear_ends_all_the_same_and_clears_up(tmp_path, kind, number):
    (tmp_path / "half-written").write_text("half")
    program = f"""
import sys
from pathlib import Path
from workbench import cli
from workbench.clearing import cleared_up
def run(args):
    with cleared_up(lambda: Path({str(tmp_path / "half-written")!r}).unlink()):
        exec({DEAF[kind]!r}, {{}})
class Parser:
    def parse_args(self, given):
        import argparse
        return argparse.Namespace(run=run)
cli.parser = Parser
sys.exit(cli.main())
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)  # the first of them would take minutes
    assert process.returncode == 128 + number
    word = "interrupted" if number == signal.SIGINT else "terminated"
    assert err == f"workbench: {word}; nothing was written\n"
    if kind != "finalizer":  # an exception that finds its way out clears up as usual
        assert not (tmp_path / "half-written").exists()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.slow
def test_signals_in_quick_succession_print_one_line(start_cli, tmp_path, seed):
    rng = random.Random(seed)
    process = start_cli("compare", "--out", tmp_path / "result", "--task", "tree", "--quiet")
    process.stdout.readline()
    time.sleep(rng.uniform(0, 2))
    for _ in range(rng.choice([2, 3, 8])):
        process.send_signal(rng.choice([signal.SIGINT, signal.SIGTERM]))
        time.sleep(rng.choice([0, 0.001, 0.05]))
    _, err = process.communicate(timeout=60)
    assert process.returncode in (130, 143)
    assert re.fullmatch(r"workbench: (interrupted|terminated); [^\n]*\n", err), err
    assert not (tmp_path / "result").exists()


def test_what_is_registered_is_cleared_up_whatever_fails():
    done = []

    def failing():
        raise RuntimeError

    with (
        clearing.cleared_up(lambda: done.append("outer")),
        clearing.cleared_up(failing),
        clearing.cleared_up(lambda: "kept"),
    ):
        assert clearing.clear_up() == ["kept"]
    assert done == ["outer"]
    assert clearing.clear_up() == []


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        (np.linalg.LinAlgError("Singular matrix"), "failed during train (LinAlgError: Singular matrix)"),
        (FloatingPointError("invalid value"), "failed during train (FloatingPointError: invalid value)"),
        (ZeroDivisionError("by zero"), "failed during train (ZeroDivisionError: by zero)"),
        (RuntimeError("lapack\ninfo 3"), "failed during train (RuntimeError: lapack info 3)"),
        (ArpackNoConvergence("no convergence %s", [], []), "failed during train (ArpackNoConvergence: "),
        (MemoryError("Unable to allocate 3 GiB"), "out of memory during train (Unable to allocate 3 GiB)"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out of memory during train (DefaultCPUAllocator"),
        (OverflowError("too large"), "beyond what can be computed with during train"),
    ],
)
def test_whatever_fails_in_the_numbers_is_one_line_that_names_the_stage(run_cli, tmp_path, monkeypatch, failure, line):
    def failing(*args, **options):
        raise failure

    monkeypatch.setattr("workbench.simulation.train", failing)
    ran = run_cli("compare", "--out", tmp_path / "result", *SMALL)
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert line in ran.err
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_program_itself_is_not_hidden(run_cli, tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.simulation.train", lambda *a, **k: {}["absent"])
    with pytest.raises(KeyError):
        run_cli("compare", "--out", tmp_path / "result", *SMALL)
    assert list(tmp_path.iterdir()) == []


def test_a_backend_that_does_not_exist_changes_nothing():
    program = "from workbench.cli import main; main(['derive', '--list']); import matplotlib.pyplot"
    ran = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"MPLBACKEND": "nonsense"}, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stderr) == (0, "")

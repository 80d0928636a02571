"""Sweeps on a scheduler and two workers that run as processes of their own: workers die, numbers stay."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

import workbench
from workbench.cli import main
from workbench.errors import WorkbenchError
from workbench.sweeps import Zarr, layout_of, plan_of, sweep_into
from workbench.sweeps.engines import cluster

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.slow

#: Deaths of workers during one sweep.
DEATHS = 2


def _started(*arguments, until):
    """A process, and what it printed on the line that matches."""
    process = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    for line in process.stderr:
        if match := re.search(until, line):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return process, match[0]
    raise AssertionError(f"{arguments} ended")


@pytest.fixture(scope="module")
def address():
    scheduler, where = _started(
        "dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", until=r"tcp://127.0.0.1:\d+"
    )
    command = ("dask_worker", where, "--nthreads", "1", "--no-dashboard")
    workers = [_started(*command, until="Registered to|Starting Worker")[0] for _ in range(2)]
    yield where
    for process in [*workers, scheduler]:
        process.terminate()
        process.wait()


def _stores(tmp_path):
    """Three stores of one sweep that samples."""
    settings = workbench.Settings(
        measures=("local_bif",), checkpoints=4, t_max=4.0, eta=0.1, chains=2, draws=50, force_short=True, hidden=4
    )
    plan = plan_of("tree:2,2", settings, {"seed": range(4), "gamma": (1e3, 2e3)})
    stores = [Zarr(tmp_path / name, plan, layout_of(plan)) for name in ("serial", "cluster")]
    for store in stores:
        store.create()
    return stores


@pytest.mark.slow
def test_workers_that_die_change_nothing(address, tmp_path):
    serial, shared = _stores(tmp_path)
    assert sweep_into(serial) == {}
    killed, stop = [], threading.Event()

    def kill(client):
        while not stop.wait(0.3) and len(killed) < DEATHS:
            with suppress(Exception):  # whatever a dying worker makes of the question
                pid = next(iter(client.run(os.getpid, on_error="ignore").values()), None)
                if pid is not None and pid not in killed:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    with distributed.Client(address, set_as_default=False) as client:
        killer = threading.Thread(target=kill, args=(client,))
        killer.start()
        failed = sweep_into(shared, scheduler=address)
        stop.set()
        killer.join()
    assert failed == {} and killed
    for store in (serial, shared):
        store.pack(store.folder.with_suffix(".zip"), {})
    assert serial.folder.with_suffix(".zip").read_bytes() == shared.folder.with_suffix(".zip").read_bytes()


@pytest.mark.slow
def test_nobody_at_an_address_is_one_line_and_leaves_nothing(tmp_path, capsys):
    with pytest.raises(WorkbenchError, match="nobody answers"), cluster("tcp://127.0.0.1:1", None):
        pass
    words = ("--side", "analytic", "--scheduler", "tcp://127.0.0.1:1", "--out", str(tmp_path / "sweep"))
    assert main(["sweep", "--task", "tree:2", "--over", "a0=0.01,0.1", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_sweep_that_was_interrupted_goes_on_elsewhere_and_ends_with_the_same_bytes(address, tmp_path, capsys):
    """Begun on a cluster of this machine, ended by Ctrl-C after its first cell, resumed on the scheduler's workers."""
    words = "sweep --task tree:2,2 --over seed=0:3 --measures local_bif --checkpoints 4 --t-max 4"
    words += " --eta 0.1 --chains 2 --draws 50 --force-short --hidden 4 --quiet"
    # Ctrl-C reaches whoever runs in the foreground; what a shell puts into the background ignores it.
    program = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program += "from workbench.cli import main; sys.exit(main(sys.argv[1:]))"
    begun = [sys.executable, "-c", program, *words.split(), "--workers", "1", "--out", str(tmp_path / "cut")]
    with subprocess.Popen(begun, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        while process.poll() is None and not any(tmp_path.glob("cut.partial/*/marks/[0-9]*.json")):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130 and said.count("\n") == 1 and "add --resume to go on" in said
    assert main([*words.split(), "--scheduler", address, "--resume", "--out", str(tmp_path / "cut")]) == 0
    assert "going on with the run that was cut off" in capsys.readouterr().out
    assert main([*words.split(), "--workers", "0", "--out", str(tmp_path / "whole")]) == 0
    for name in ("sweep.zarr.zip", "cells.csv"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut", "whole"]

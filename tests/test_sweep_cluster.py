"""Sweeps on a scheduler and two workers that run as processes of their own: workers die, numbers stay."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

import workbench
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
def test_nobody_at_an_address_is_one_line():
    with pytest.raises(WorkbenchError, match="nobody answers"), cluster("tcp://127.0.0.1:1", None):
        pass

"""Ctrl-C and termination at any moment: one line, nothing half-written, and an earlier result untouched."""

from __future__ import annotations

import contextlib
import re
import signal
import time
from pathlib import Path

import pytest

from workbench.report import directory
from workbench.report.directory import staged
from workbench.store.manifest import seal

SMALL = ("--task", "tree:2,2", "--checkpoints", 5, "--draws", 40, "--hidden", 5)

#: Options that keep a run busy in one stage for as long as a test may take.
BUSY = {
    "training": ("--eta", 1e-6, "--measures", "gradient_kernel"),
    "sampling": ("--eta", 0.05, "--measures", "local_bif", "--draws", 10_000_000),
    "derivatives": ("--eta", 1e-4, "--measures", "trajectory_derivative"),
    "figures": ("--eta", 0.05, "--measures", "gradient_kernel"),
}
WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


def earlier_result(folder: Path) -> None:
    folder.mkdir()
    for name in ("influence.nc", "report.html"):
        (folder / name).write_text("earlier")
    (folder / "config.json").write_text('{"settings": {}, "resolved": {}}')
    seal(folder)


def content_of(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@contextlib.contextmanager
def writing(target: Path, **options):
    """`staged`, with what every result holds already in it."""
    with staged(target, **options) as work:
        (work / "config.json").write_text('{"settings": {}, "resolved": {}}')
        yield work


@pytest.fixture
def earlier(tmp_path_factory) -> dict[str, str]:
    """The content of an earlier result."""
    folder = tmp_path_factory.mktemp("earlier") / "result"
    earlier_result(folder)
    return content_of(folder)


def wait_for(condition, process, seconds=60.0) -> None:
    """Wait until the condition holds; the process must still be at work then."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "the stage was never reached"
        time.sleep(0.02)


def reach(stage: str, process, parent: Path) -> None:
    """Return once the process is in the stage."""
    first = process.stdout.readline()
    assert first.startswith("tree 2,2"), (first, process.communicate())
    if stage == "figures":
        wait_for(lambda: any(parent.glob("result.partial/.result.*.tmp/figures")), process)
    elif stage != "training":
        wait_for(lambda: any(parent.glob("result.partial/*.nc")), process)  # training is done and kept
        time.sleep(0.5)  # predictions take milliseconds; the busy stage lasts for minutes
    else:
        time.sleep(1.0)


@pytest.mark.parametrize(
    ("stage", "number", "times", "force"),
    [
        ("training", signal.SIGINT, 1, True),
        ("training", signal.SIGTERM, 1, False),
        ("sampling", signal.SIGINT, 1, False),
        ("derivatives", signal.SIGTERM, 1, True),
        ("figures", signal.SIGINT, 2, True),
        ("figures", signal.SIGTERM, 1, False),
    ],
)
@pytest.mark.slow
def test_an_interrupted_run_says_so_in_one_line_and_leaves_everything_as_it_was(
    start_cli, tmp_path, earlier, stage, number, times, force
):
    out = tmp_path / "result"
    if force:
        earlier_result(out)
    process = start_cli("compare", "--out", out, *SMALL, *BUSY[stage], *["--force"] * force)
    try:
        reach(stage, process, tmp_path)
        for _ in range(times):
            process.send_signal(number)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 128 + number
    folder = tmp_path / "result.partial"
    kept = f"{folder} keeps what is done, add --resume to go on" if folder.exists() else "nothing was written"
    assert err == f"workbench: {WORDS[number]}; {kept}\n"
    assert stage == "training" or folder.exists()
    assert {path.name for path in tmp_path.iterdir()} - {"result.partial"} == ({"result"} if force else set())
    if folder.exists():
        assert {re.sub(r"\d+", "N", path.name) for path in folder.iterdir()} == {"N.nc", "lock", "run.json"}
    if force:
        assert content_of(out) == earlier


# --- the directory, failing at every step -----------------------------------------------------------------------


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError, MemoryError])
def test_a_failure_while_writing_keeps_the_earlier_result(tmp_path, earlier, failure):
    earlier_result(tmp_path / "result")
    with pytest.raises(failure), writing(tmp_path / "result", force=True) as work:
        (work / "influence.nc").write_text("half")
        raise failure
    assert content_of(tmp_path / "result") == earlier
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_a_failure_while_writing_removes_the_parents_that_were_made_for_it(tmp_path):
    with pytest.raises(KeyboardInterrupt), writing(tmp_path / "a" / "b" / "result", force=False) as work:
        (work / "influence.nc").write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("which", [1, 2])
def test_a_failure_of_either_rename_restores_the_earlier_result(tmp_path, monkeypatch, earlier, which):
    earlier_result(tmp_path / "result")
    calls, rename = [], Path.rename

    def failing(self, target):
        calls.append(self)
        if len(calls) == which:
            raise OSError("disk on fire")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="on fire"), writing(tmp_path / "result", force=True) as work:
        (work / "influence.nc").write_text("new")
    assert content_of(tmp_path / "result") == earlier
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_a_signal_while_the_result_is_swapped_in_does_not_split_it(tmp_path, monkeypatch):
    earlier_result(tmp_path / "result")
    swap = directory._swap_in

    def interrupted(work, target):
        signal.raise_signal(signal.SIGINT)
        swap(work, target)

    monkeypatch.setattr(directory, "_swap_in", interrupted)
    before = signal.getsignal(signal.SIGINT)
    with writing(tmp_path / "result", force=True) as work:
        (work / "influence.nc").write_text("new")
    assert content_of(tmp_path / "result")["influence.nc"] == "new"
    assert "report.html" not in content_of(tmp_path / "result")
    assert signal.getsignal(signal.SIGINT) == before
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_a_directory_made_by_someone_else_meanwhile_is_kept(tmp_path, earlier):
    with pytest.raises(ValueError, match="exists already"), writing(tmp_path / "result", force=False) as work:
        (work / "influence.nc").write_text("new")
        earlier_result(tmp_path / "result")
    assert content_of(tmp_path / "result") == earlier
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_the_command_line_restores_the_signal_handlers(run_cli, tmp_path, no_figures):
    before = [signal.getsignal(number) for number in WORDS]
    run_cli("compare", "--task", "tree:1", "--out", tmp_path / "result")
    assert [signal.getsignal(number) for number in WORDS] == before

"""A disk that fills while `compare` writes: one line, exit 2, and `--resume` goes on once there is space."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import xarray as xr

from workbench.store import files

ARGV = (
    *("--task", "tree:2", "--checkpoints", 5, "--draws", 40, "--hidden", 3, "--eta", 0.1, "--quiet", "--chains", 2),
    *("--measures", "gradient_kernel,local_bif,leave_one_out", "--force-short"),
)
#: Bytes there are, from none to more than the whole takes.
SIZES = (4_096, 16_384, 32_768, 65_536, 98_304, 196_608, 524_288)


@pytest.fixture(autouse=True)
def little_else(monkeypatch):
    """One figure and no derivations, which take longest."""
    from workbench.figures import figure_set

    monkeypatch.setattr("workbench.report.result.figure_set", lambda name: {"task": figure_set(name)["task"]})
    monkeypatch.setattr("workbench.report.result.equations", lambda ds: [])
    monkeypatch.setattr("workbench.comparison.identity.code_digest", lambda: "as loaded")


@pytest.fixture(scope="module")
def whole(run_cli, tmp_path_factory):
    """What a run on a disk with room ends with."""
    out = tmp_path_factory.mktemp("whole") / "result"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workbench.report.result.figure_set", lambda name: {})
        patch.setattr("workbench.report.result.equations", lambda ds: [])
        ran = run_cli("compare", "--out", out, *ARGV)
    assert ran.code == 0, ran
    return xr.load_dataset(out / "influence.nc")


class Counted:
    """Writes that fail once a number of bytes has been written in all, with the first half of what did not fit."""

    def __init__(self, monkeypatch, size: int) -> None:
        self.left, write = size, files._write

        def limited(file, data):
            if len(data) > self.left:
                write(file, data[: self.left // 2])
                raise OSError(errno.ENOSPC, "No space left on device")
            self.left -= len(data)
            write(file, data)

        monkeypatch.setattr(files, "_write", limited)

    def grow(self) -> None:
        self.left = 10**9


class Mounted:
    """A file system in memory of a number of bytes."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True, capture_output=True)

    def grow(self) -> None:
        subprocess.run(["mount", "-o", "remount,size=50000000", self.folder], check=True, capture_output=True)


@pytest.fixture
def filling(tmp_path, monkeypatch):
    """A folder on a disk of a given kind and size, and how to give it more."""
    with contextlib.ExitStack() as afterwards:

        def disk(kind: str, size: int):
            folder = tmp_path / "disk"
            folder.mkdir()
            if kind == "counted":
                return folder, Counted(monkeypatch, size)
            try:
                mounted = Mounted(folder, size)
            except (OSError, subprocess.CalledProcessError):
                pytest.skip("NOT TESTED on a real file system: mounting one in memory takes root")
            afterwards.callback(subprocess.run, ["umount", folder], check=False)
            return folder, mounted

        yield disk


@pytest.mark.parametrize(
    ("kind", "size"), [*(("counted", size) for size in SIZES), *(("mounted", size) for size in SIZES[::3])]
)
@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_space(run_cli, filling, whole, kind, size):
    folder, disk = filling(kind, size)
    out = folder / "result"
    ran = run_cli("compare", "--out", out, *ARGV)
    if size == SIZES[-1]:
        assert ran.code == 0, ran
    if ran.code:
        assert (ran.code, ran.err.count("\n")) == (2, 1), ran
        assert "No space left on device" in ran.err
        assert not out.exists()
        assert not [path for path in folder.rglob("*") if path.suffix == ".tmp"]
        disk.grow()
        again = run_cli("compare", "--out", out, *ARGV, "--resume")
        assert again.code == 0, again
    assert [path.name for path in folder.iterdir()] == ["result"]
    xr.testing.assert_identical(xr.load_dataset(out / "influence.nc"), whole)


def test_the_smallest_disk_that_is_too_small_is_among_them(run_cli, tmp_path, monkeypatch):
    folder = tmp_path / "result"
    written: list[int] = []
    write = files._write
    monkeypatch.setattr(files, "_write", lambda file, data: (written.append(len(data)), write(file, data)))
    assert run_cli("compare", "--out", folder, *ARGV).code == 0
    assert SIZES[-2] < sum(written) < SIZES[-1]


def test_figures_on_a_full_disk_leave_nothing(run_cli, tmp_path, monkeypatch):
    Counted(monkeypatch, 20_000)
    ran = run_cli(
        *("figures", "--task", "tree:2", "--out", tmp_path / "a" / "b", "--formats", "png", "--only", "loss,task")
    )
    assert (ran.code, ran.err.count("\n")) == (2, 1), ran
    assert "No space left on device" in ran.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [("derive", "mode_loss", "--html"), ("verify", "--only", "half-rise", "--json")])
def test_a_file_on_a_full_disk_keeps_what_it_was(run_cli, tmp_path, monkeypatch, command):
    path = tmp_path / "file"
    path.write_text("earlier")
    Counted(monkeypatch, 10)
    ran = run_cli(*command, path)
    assert (ran.code, ran.err.count("\n")) == (2, 1), ran
    assert "No space left on device" in ran.err
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("file", "earlier")]


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as reader:
        content = reader.submit(pipe.read_bytes)
        files.write_file(pipe, "words")
        assert content.result(timeout=10) == b"words"
    assert pipe.is_fifo() and [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_link_is_written_through_and_stays_a_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "file").write_text("earlier")
    files.write_file(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"

"""A run that is killed at any moment goes on with --resume and ends with the same bits; a damaged or foreign store is
refused."""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

import workbench
from workbench.comparison import Settings, compare, run_identity
from workbench.comparison import identity as identity_module
from workbench.errors import WorkbenchError
from workbench.networks import network
from workbench.semantics import task_from_spec
from workbench.simulation import (
    Place,
    Sampling,
    Schedule,
    leave_one_out_weights,
    retrained_losses,
    sample_local_posterior,
    subset_losses,
    train,
    train_networks,
)
from workbench.simulation.influence.trajectory_derivative import trajectory_derivative
from workbench.simulation.influence.window_removal import window_removal
from workbench.simulation.training.optimizers import Adam, GradientDescent, Momentum
from workbench.simulation.training.recipes import Recipe
from workbench.simulation.training.steppers import stepper
from workbench.store import Slot, Store
from workbench.store import slot as slot_module

MEASURES = (
    "gradient_kernel",
    "local_bif",
    "leave_one_out",
    "window_removal",
    "trajectory_derivative",
    "damped_newton",
)
SMALL = ("--task", "tree:2,2", "--checkpoints", "12", "--draws", "400", "--hidden", "6", "--eta", "0.01", "--quiet")
ARGV = (*SMALL, "--measures", ",".join(MEASURES))
SETTINGS = Settings(task="tree:2,2", checkpoints=12, draws=400, hidden=6, eta=0.01, measures=MEASURES)
TASK = task_from_spec("tree:2,2")
code_digest = identity_module.code_digest
START = network(TASK, 6, "gaussian:0.1")


@pytest.fixture(autouse=True, scope="module")
def one_code():
    """All runs of this file are of the code that was loaded, even if someone edits it meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identity_module, "code_digest", lambda: "as loaded")
        yield


def keep_often(monkeypatch):
    monkeypatch.setattr(slot_module, "INTERVAL", 0.0)
    monkeypatch.setattr(slot_module, "_SHARE", np.inf)


def content(folder: Path) -> xr.Dataset:
    return xr.load_dataset(folder / "influence.nc")


def assert_same_bits(found: xr.Dataset, expected: xr.Dataset) -> None:
    xr.testing.assert_identical(found, expected)
    for name, variable in expected.variables.items():
        if variable.dtype.kind != "O":
            assert found[name].values.tobytes() == variable.values.tobytes(), name


# --- killed processes -------------------------------------------------------------------------------------------


def command(out: Path, seconds: float, die_at: int | None) -> None:
    """`workbench compare --resume`, in a process of its own that may kill itself on its way to the disk."""
    torch.set_num_threads(1)
    identity_module.code_digest = lambda: "as loaded"
    slot_module.INTERVAL, slot_module._SHARE = seconds, np.inf
    calls = 0

    def counted(call):
        def fatal(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return fatal

    if die_at is not None:
        for name in ("fsync", "rename", "replace", "unlink", "mkdir", "rmdir"):
            setattr(os, name, counted(getattr(os, name)))
    import workbench.report.result
    from workbench.cli import main

    # Figures and derivations take longest, and are no part of the store.
    workbench.report.result.figure_set = lambda name: {}
    workbench.report.result.equations = lambda ds: []
    with (out.parent / "log").open("a", encoding="utf-8") as log, contextlib.redirect_stdout(log):
        code = main(["compare", "--out", str(out), "--resume", *ARGV])
    os._exit(code)


@pytest.fixture(scope="module")
def started():
    """Start `command` in a new process; the modules are loaded once for all of them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["workbench.simulation", "workbench.report.result", "workbench.cli"])

    def start(*args):
        process = context.Process(target=command, args=args)
        process.start()
        return process

    return start


@pytest.fixture(scope="module")
def uninterrupted(started, tmp_path_factory):
    """The result of a run that nothing happens to, and how long it took."""
    out = tmp_path_factory.mktemp("whole") / "result"
    started(out, 3600.0, None).join()  # loads the modules
    begin = time.monotonic()
    process = started(out.with_name("again"), 0.03, None)
    process.join()
    seconds = time.monotonic() - begin
    assert process.exitcode == 0
    assert_same_bits(content(out.with_name("again")), content(out))
    assert sorted(p.name for p in out.parent.iterdir()) == ["again", "log", "result"]
    return content(out), seconds


def killed_times(started, out: Path, kills: int, expected: xr.Dataset, kill) -> list[str]:
    """Kill and resume until it was killed so often, then let it end; all results are right. What the runs printed."""
    done = 0
    for _ in range(4 * kills):
        if done == kills:
            break
        if kill(out):
            done += 1
        else:
            assert_same_bits(content(out), expected)
            shutil.rmtree(out)
    assert done == kills
    if not out.exists():
        process = started(out, 3600.0, None)
        process.join()
        assert process.exitcode == 0
    assert_same_bits(content(out), expected)
    return (out.parent / "log").read_text(encoding="utf-8").splitlines()


@pytest.mark.slow
@pytest.mark.timeout(1200)  # dozens of runs, on a machine that may have other work
def test_a_run_killed_at_20_random_moments_ends_with_the_same_bits(started, uninterrupted, tmp_path):
    expected, seconds = uninterrupted
    moments = random.Random(20)

    def kill(out: Path) -> bool:
        process = started(out, 0.03, None)
        process.join(moments.uniform(0.02, 0.8) * seconds)
        process.kill()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL), (out.parent / "log").read_text()
        return not out.exists()

    printed = killed_times(started, tmp_path / "result", 20, expected, kill)
    # Most were killed after something had been kept: they did not just start again.
    assert sum(line.startswith("going on with the run") for line in printed) >= 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "result"]


@pytest.mark.slow
@pytest.mark.timeout(1200)  # dozens of runs, on a machine that may have other work
def test_a_run_killed_between_any_two_steps_to_the_disk_ends_with_the_same_bits(started, uninterrupted, tmp_path):
    expected, _ = uninterrupted
    steps = random.Random(10)

    def kill(out: Path) -> bool:
        process = started(out, 0.03, steps.randint(1, 60))
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL), (out.parent / "log").read_text()
        return process.exitcode != 0 and not out.exists()

    printed = killed_times(started, tmp_path / "result", 12, expected, kill)
    assert sum(line.startswith("going on with the run") for line in printed) >= 6


# --- every kind of work, cut off and gone on with ---------------------------------------------------------------


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


class CutOff(Exception):
    """Stands for the end of the process."""


def cut_off_at(count: int):
    """A progress function that ends the work when that much is done."""
    done = 0

    def progress(more: int) -> None:
        nonlocal done
        done += more
        if done >= count:
            raise CutOff

    return progress


def in_two_parts(work, folder: Path, count: int):
    """``work(slot, progress)``, cut off when ``count`` is done, and gone on with; the steps of the second part."""
    store, seen = Store.create(folder, {}), []
    with pytest.raises(CutOff):
        work(Slot(store, "work"), cut_off_at(count))
    store.close()
    store = Store.resume(folder, {})
    assert store.pieces
    found = work(Slot(store, "work"), seen.append)
    store.close()
    assert seen[0] > 1, "what was kept should be reported at once"
    return found, seen


@pytest.mark.parametrize(
    "options",
    [
        {"sampler": "sgld"},
        {"sampler": "sgld", "traces": True, "place": Place(dtype=torch.float32)},
        {"sampler": "sgld", "batch_size": 2},
        {"sampler": "rmsprop"},
        {"sampler": "hmc"},
        {"sampler": "hmc", "step": 0.01, "traces": True},
        *(
            pytest.param({"sampler": name, "place": Place("cuda")}, marks=needs_gpu)
            for name in ("sgld", "rmsprop", "hmc")
        ),
    ],
)
def test_chains_go_on_bit_by_bit(options, tmp_path, monkeypatch):
    trained = train(network(TASK, 6, "balanced:0.01"), Schedule.even(15.0, 3, 0.05))
    sampling = Sampling(chains=2, draws=200, burn_in=150, thin=2, seed=4, force_short=True, **options)

    def work(slot, progress):
        return sample_local_posterior(
            trained, n_beta=100.0, gamma=1000.0, sampling=sampling, slot=slot, progress=progress
        )

    total = []
    whole = work(Slot(), total.append)
    keep_often(monkeypatch)
    again, seen = in_two_parts(work, tmp_path / "store", sum(total) // 2)
    assert sum(seen) == sum(total)
    for name in ("covariance", "stderr", "mean", "rhat", "ess"):
        assert getattr(again.estimate, name).tobytes() == getattr(whole.estimate, name).tobytes(), name
    for name in ("traces", "acceptance"):
        assert (getattr(again, name) is None) == (getattr(whole, name) is None)
        if getattr(whole, name) is not None:
            assert getattr(again, name).tobytes() == getattr(whole, name).tobytes(), name


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_gpu)])
@pytest.mark.parametrize("share", [0.3, 0.95, 1.0])
def test_training_and_retraining_go_on_bit_by_bit(share, device, tmp_path, monkeypatch):
    schedule = Schedule.even(10.0, 5, 0.01)
    weights = leave_one_out_weights(TASK.n_items, "unnormalised")
    keep_often(monkeypatch)

    def training(slot, progress):
        run = train(START, schedule, slot=slot, progress=progress, place=Place(device))
        return np.concatenate([run.W1.ravel(), run.W2.ravel()])

    def retraining(slot, progress):
        return retrained_losses(START, schedule, weights, slot=slot, progress=progress, place=Place(device))

    def deep(slot, progress):
        net = network(TASK, 4, "gaussian:0.3", depth=3)
        recipe = Recipe(schedule, Momentum(0.4))
        (run,) = train_networks([net], recipe, slot=slot, progress=progress, place=Place(device))
        return np.concatenate([W.ravel() for W in run.weights])

    for work in (training, retraining, deep):
        whole = work(Slot(), lambda done: None)
        again, seen = in_two_parts(work, tmp_path / work.__name__, int(share * schedule.total))
        assert sum(seen) == schedule.total
        assert again.tobytes() == whole.tobytes()


@pytest.mark.parametrize("optimizer", [GradientDescent(), Momentum(0.8), Adam()])
@pytest.mark.parametrize("batch_size", [None, 3])
def test_derivatives_and_windows_go_on_bit_by_bit(optimizer, batch_size, tmp_path, monkeypatch):
    recipe = Recipe(Schedule.even(1.0, 4, 0.05), optimizer, batch_size)
    keep_often(monkeypatch)

    def work(slot, progress):
        return trajectory_derivative(START, recipe, slot=slot, progress=progress)

    def windows(slot, progress):
        removed = [(0.0, 0.2), (0.5, 0.9)]  # the second begins before the cut and ends after it
        return window_removal(START, recipe, removed, slot=slot, progress=progress)

    def subsets(slot, progress):
        net = network(task_from_spec("tree:2,2"), 4, "gaussian:0.3")
        # Four batches of subsets; the cut is in the second.
        return subset_losses(net, recipe, memory=1.6e4, slot=slot, progress=progress).losses

    again, seen = in_two_parts(subsets, tmp_path / "subsets", recipe.schedule.total // 3)
    assert sum(seen) == recipe.schedule.total
    assert again.tobytes() == subsets(Slot(), lambda done: None).tobytes()
    again, seen = in_two_parts(windows, tmp_path / "windows", 2 * recipe.schedule.total // 3)
    assert sum(seen) == recipe.schedule.total
    assert again.tobytes() == windows(Slot(), lambda done: None).tobytes()
    whole = work(Slot(), lambda done: None)
    again, seen = in_two_parts(work, tmp_path / "store", 2 * recipe.schedule.total // 3)
    assert sum(seen) == recipe.schedule.total
    assert again.tobytes() == whole.tobytes()


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory):
    """The store of a comparison that was cut off after its analytic posterior, beside where its result would be."""
    out = tmp_path_factory.mktemp("cut") / "result"
    store = Store.create(out.with_name("result.partial"), run_identity(TASK, SETTINGS))

    @contextlib.contextmanager
    def bar(title, total):
        if title == "local posterior, chains":
            raise CutOff
        yield lambda done: None

    with pytest.raises(CutOff):
        compare(TASK, SETTINGS, bar, store)
    store.close()
    return out


@pytest.fixture
def left(cut_off, tmp_path):
    """A copy of that store, and where the result would be."""
    shutil.copytree(cut_off.with_name("result.partial"), tmp_path / "result.partial")
    return tmp_path / "result"


@pytest.fixture
def resumed(run_cli, left):
    """Resume in this process; other options come last."""

    def run(*argv: object):
        return run_cli("compare", "--out", left, "--resume", *ARGV, *argv)

    return run


@pytest.fixture
def refusal(resumed, left):
    """Resume, be refused in one line with nothing touched, and return the line."""

    def run(*argv: object) -> str:
        before = snapshot(left.parent)
        ran = resumed(*argv)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("workbench: ")
        assert ran.err.count("\n") == 1
        assert snapshot(left.parent) == before
        return ran.err

    return run


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "lock"}


def a_piece(left: Path) -> Path:
    return sorted(left.with_name("result.partial").glob("*.nc"))[0]


def flip(path: Path, place: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("place", [0.0, 0.37, 0.81, 1.0])
def test_one_wrong_bit_in_a_piece_is_refused(refusal, left, place):
    flip(a_piece(left), place)
    assert f"{a_piece(left)} is damaged: its checksum differs; leave out --resume and add --force" in refusal()


def test_one_wrong_bit_anywhere_in_the_list_is_refused(left):
    path = left.with_name("result.partial") / "run.json"
    good = path.read_bytes()
    # The last byte is a line break.
    for place in random.Random(1).sample(range(len(good) - 1), 200):
        data = bytearray(good)
        data[place] ^= 1 << (place % 7)
        path.write_bytes(data)
        with pytest.raises(WorkbenchError, match=r"run\.json"):
            Store.resume(path.parent, run_identity(TASK, SETTINGS))


@pytest.mark.parametrize("name", ["piece", "run.json"])
@pytest.mark.parametrize("length", [0, 100, -1])
def test_a_truncated_file_is_refused(refusal, left, name, length):
    path = a_piece(left) if name == "piece" else left.with_name("result.partial") / name
    data = path.read_bytes()
    # The last byte of the list is a line break: without its brace it is cut.
    path.write_bytes(data[: length if length >= 0 else length - (name == "run.json")])
    assert f"{path} is damaged" in refusal()


def test_a_missing_piece_is_refused(refusal, left):
    piece = a_piece(left)
    piece.unlink()
    assert f"{piece} is missing" in refusal()


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (("--draws", "401"), "draws 400 there, 401 here"),
        (("--seed", "1"), "seed 0 there, 1 here"),
        (("--gamma", "3000"), "gamma auto there, 3000.0 here"),
        (("--measures", "gradient_kernel"), f"measures {','.join(MEASURES)} there, gradient_kernel here"),
        (("--task", "tree:2,3"), "task tree:2,2 there, tree:2,3 here"),
    ],
)
def test_the_run_of_another_configuration_is_refused_by_what_differs(refusal, argv, named):
    assert f"result.partial belongs to another run: {named}; leave out --resume" in refusal(*argv)


def test_the_same_table_with_another_number_is_another_run(tmp_path, run_cli):
    table, out = tmp_path / "table.csv", tmp_path / "result"
    table.write_text("item,a,b\nx,1,0\ny,0.5,1\n")
    settings = Settings(task=str(table), hidden=4)
    store = Store.create(out.with_name("result.partial"), run_identity(task_from_spec(str(table)), settings))
    store.put("something", xr.Dataset())
    store.close()
    table.write_text("item,a,b\nx,1,0\ny,0.5,2\n")
    ran = run_cli("compare", "--task", table, "--hidden", 4, "--out", out, "--resume")
    assert ran.code == 2
    assert "belongs to another run: task data" in ran.err


def test_the_run_of_another_version_is_refused(refusal, monkeypatch):
    version = workbench.__version__
    with monkeypatch.context() as patch:
        patch.setattr(workbench, "__version__", "9.9")
        assert f"workbench {version} there, 9.9 here" in refusal()
    with monkeypatch.context() as patch:
        patch.setattr(identity_module, "code_digest", lambda: "0123456789ab")
        assert "0123456789ab here" in refusal()
    with monkeypatch.context() as patch:
        patch.setattr(identity_module, "cores", lambda: 77)
        assert "77 here" in refusal()


def test_the_code_version_changes_with_any_line_of_code(tmp_path, monkeypatch):
    shutil.copytree(Path(workbench.__file__).parent, tmp_path / "workbench")
    copy = tmp_path / "workbench" / "__init__.py"
    monkeypatch.setattr(workbench, "__file__", str(copy))
    here = code_digest()
    assert code_digest() == here
    (tmp_path / "workbench" / "simulation" / "sgld.py").open("a").write("\n")
    assert code_digest() != here


def not_a_store(folder: Path, kind: str) -> None:
    shutil.rmtree(folder)
    if kind == "file":
        folder.write_text("precious")
        return
    folder.mkdir()
    if kind == "other files":
        (folder / "thesis.tex").write_text("precious")
    elif kind == "other list":
        (folder / "run.json").write_text('{"compilerOptions": {}}')
    elif kind == "other format":
        (folder / "run.json").write_text(json.dumps({"format": "workbench run, format 9", "sha256": ""}))
    elif kind == "pieces alone":
        xr.Dataset({"a": ("x", [1.0])}).to_netcdf(folder / "0.nc", engine="h5netcdf")


KINDS = {
    "file": "holds no run.json|is damaged",
    "other files": "holds no run.json",
    "other list": "is damaged, or no list",
    "other format": "is of format 'workbench run, format 9'",
    "pieces alone": "holds no run.json",
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_store_is_refused(refusal, left, kind):
    not_a_store(left.with_name("result.partial"), kind)
    assert any(word in refusal() for word in KINDS[kind].split("|"))


@pytest.mark.parametrize("kind", ["file", "other files", "pieces alone"])
def test_what_is_no_store_is_not_replaced_with_force(run_cli, left, kind):
    not_a_store(left.with_name("result.partial"), kind)
    before = snapshot(left.parent)
    ran = run_cli("compare", "--out", left, "--force", *ARGV)
    assert (ran.code, ran.out) == (2, "")
    assert "is in the way and holds no run" in ran.err
    assert snapshot(left.parent) == before


def test_a_store_with_a_file_of_yours_in_it_is_not_replaced(run_cli, left):
    (left.with_name("result.partial") / "notes.txt").write_text("precious")
    before = snapshot(left.parent)
    ran = run_cli("compare", "--out", left, "--force", *ARGV)
    assert ran.code == 2
    assert "holds notes.txt, which is no part of a run" in ran.err
    assert snapshot(left.parent) == before


def test_a_store_in_use_is_refused(refusal, left):
    holder = Store.resume(left.with_name("result.partial"), run_identity(TASK, SETTINGS))
    assert "is in use by another run; wait for it" in refusal()
    holder.close()


# --- what users meet --------------------------------------------------------------------------------------------


def test_resuming_computes_only_what_is_missing(resumed, left, uninterrupted, no_figures, monkeypatch):
    def never(*args, **options):
        raise AssertionError("it was computed before")

    # The steps are done, the analytic posterior is kept.
    monkeypatch.setattr("workbench.theory.local_bif", never)

    def idle(*args):
        runs = stepper(*args)
        runs.step = never
        return runs

    monkeypatch.setattr("workbench.simulation.training.descent.stepper", idle)
    monkeypatch.setattr("workbench.simulation.retrained_losses", lambda *a, **k: np.zeros((12, 5, 4)))
    ran = resumed()
    assert ran.code == 0, ran.err
    assert ran.out.startswith("going on with the run that was cut off at 20")
    assert_same_bits(content(left)[["local_bif_simulated"]], uninterrupted[0][["local_bif_simulated"]])
    assert sorted(path.name for path in left.parent.iterdir()) == ["result"]


def test_a_run_that_was_cut_off_is_mentioned_and_kept(run_cli, left):
    before = snapshot(left.parent)
    ran = run_cli("compare", "--out", left, *ARGV)
    assert (ran.code, ran.out) == (2, "")
    assert "a run of this configuration was cut off at 20" in ran.err
    assert "add --resume to continue it, or --force to start over" in ran.err
    other = run_cli("compare", "--out", left, *ARGV, "--draws", 500)
    assert "holds another run, cut off at 20" in other.err
    assert "(draws 400 there, 500 here); add --force to discard it" in other.err
    assert snapshot(left.parent) == before


def test_force_starts_over_even_where_the_run_is_damaged(run_cli, left, no_figures):
    flip(a_piece(left), 0.5)
    ran = run_cli("compare", "--out", left, "--force", *SMALL, "--measures", "gradient_kernel")
    assert ran.code == 0, ran.err
    assert sorted(path.name for path in left.parent.iterdir()) == ["result"]


def test_resume_without_anything_to_resume_starts_from_the_beginning(run_cli, tmp_path, no_figures):
    ran = run_cli("compare", "--out", tmp_path / "a" / "b", "--resume", *SMALL, "--measures", "gradient_kernel")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("no run that was cut off has left anything here")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["b"]


def test_a_run_that_can_only_fail_again_leaves_nothing(run_cli, tmp_path):
    ran = run_cli("compare", "--out", tmp_path / "a" / "b", *SMALL, "--measures", "local_bif", "--step-size", 10)
    assert ran.code == 2
    assert "--resume" not in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_cannot_be_written_can_be_written_later(run_cli, tmp_path, monkeypatch, no_figures):
    argv = ("compare", "--out", tmp_path / "result", *SMALL, "--measures", "gradient_kernel")

    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("workbench.dataset.write", full)
        ran = run_cli(*argv)
    assert ran.code == 2
    assert "No space left on device" in ran.err
    assert "result.partial keeps what is done, add --resume to go on" in ran.err
    assert run_cli(*argv, "--resume").code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result"]


def test_bars_begin_where_the_run_was_cut_off(cut_off, left):
    shown: dict[str, list[int]] = {}

    @contextlib.contextmanager
    def bar(title, total):
        shown[title] = [total]
        yield shown[title].append

    store = Store.resume(left.with_name("result.partial"), run_identity(TASK, SETTINGS))
    compare(TASK, SETTINGS, bar, store)
    store.close()
    for title in ("train", "local posterior, chains", "leave-one-out, retrain", "window removal, retrain"):
        total, *steps = shown[title]
        assert sum(steps) == total, title
    assert len(shown["train"]) == 2


# --- lists that somebody edited, checksum included --------------------------------------------------------------


def swapped(pieces):
    """The same pieces under each other's names."""
    names = list(pieces)
    return dict(zip(names, [pieces[name] for name in names[1:] + names[:1]], strict=True))


FORGED = {
    "pieces a list": lambda content: content | {"pieces": []},
    "pieces null": lambda content: content | {"pieces": None},
    "a piece null": lambda content: content | {"pieces": {"train": None}},
    "no identity": lambda content: {key: value for key, value in content.items() if key != "identity"},
    "identity a list": lambda content: content | {"identity": [1]},
    "no pieces": lambda content: {key: value for key, value in content.items() if key != "pieces"},
    "outside": lambda content: (
        content | {"pieces": {name: piece | {"file": "../outside.nc"} for name, piece in content["pieces"].items()}}
    ),
    "swapped": lambda content: content | {"pieces": swapped(content["pieces"])},
    "saved text": lambda content: content | {"saved": "x"},
    "saved far": lambda content: content | {"saved": 1e20},
    "saved nan": lambda content: content | {"saved": float("nan")},
    "format a list": lambda content: content | {"format": [1]},
}


@pytest.mark.parametrize("kind", FORGED)
@pytest.mark.parametrize("option", ["--resume", None])
def test_an_edited_list_is_refused_in_one_line_whatever_is_in_it(run_cli, left, kind, option):
    path = left.with_name("result.partial") / "run.json"
    content = json.loads(path.read_text())
    content.pop("sha256")
    content = FORGED[kind](content)
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps({"sha256": digest, **content}))
    before = snapshot(left.parent)
    ran = run_cli("compare", "--out", left, *ARGV, *filter(None, [option]))
    assert ran.code == 2, ran
    assert ran.err.count("\n") == 1, ran.err
    assert "is damaged" in ran.err or "is of format" in ran.err or "holds no run" in ran.err or kind == "swapped"
    after = snapshot(left.parent)
    assert {name: content for name, content in after.items() if name in before} == before


def test_a_list_of_a_hundred_thousand_brackets_is_refused(refusal, left):
    (left.with_name("result.partial") / "run.json").write_text("[" * 100_000)
    assert "is damaged" in refusal()


@pytest.mark.parametrize("option", [None, "--resume", "--force"])
def test_beside_a_run_that_is_at_work_the_same_command_says_so(run_cli, left, option):
    holder = Store.resume(left.with_name("result.partial"), run_identity(TASK, SETTINGS))
    ran = run_cli("compare", "--out", left, *ARGV, *filter(None, [option]))
    holder.close()
    assert ran.code == 2
    assert "is in use by another run; wait for it to end" in ran.err
    assert "cut off" not in ran.err

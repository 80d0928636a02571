"""Bad input: exit code 2, one line on stderr that says what would work, and nothing on disk."""

from __future__ import annotations

import os
import stat

import pytest
import torch

from workbench.store.manifest import seal

QUICK = ("--checkpoints", 5, "--draws", 40, "--hidden", 5, "--eta", 0.05)
CONFIG = '{"settings": {}, "resolved": {}}'


@pytest.fixture
def refused(run_cli, tmp_path):
    """Run `compare` and return its one line, after checking that it failed cleanly."""

    def run(*argv, out="result", task="tree:2,2"):
        before = sorted(tmp_path.rglob("*"))
        ran = run_cli("compare", "--task", task, "--out", tmp_path / out, *QUICK, *argv)
        assert ran.code == 2, ran
        assert ran.err.endswith("\n")
        assert ran.err.count("\n") == 1, ran.err
        assert "Traceback" not in ran.err
        assert sorted(tmp_path.rglob("*")) == before
        return ran.err

    return run


@pytest.mark.parametrize(
    ("task", "fault"),
    [
        ("foo", "unknown task 'foo'; use tree"),
        ("", "unknown task ''"),
        ("two\nlines", "unknown task"),
        ("tree:", "branching '' is not a list of whole numbers"),
        ("tree:1", "branching 1 is no tree"),
        ("tree:a", "branching 'a' is not a list"),
        ("tree:0,2", "branching 0,2 is no tree"),
        ("tree:2,,2", "branching '2,,2' is not a list"),
        ("tree:2.5", "branching '2.5' is not a list"),
        ("tree:5000", "5000 leaves is too large; the limit is 4096"),
        ("tree:" + "9" * 400, "too large"),
        ("diffusion:", "branching '' is not a list"),
        ("diffusion:2,2,2:0.7", "flip probability 0.7; give one number, or 3, strictly between 0 and 0.5"),
        ("diffusion:2,2,2:", "'' is not a number"),
        ("diffusion:2,2,2:nan", "flip probability nan"),
        ("diffusion:2,2:0.1:0", "0 properties; give at least 1"),
        ("diffusion:2,2:0.1:2.5", "'2.5' is not a whole number"),
        ("diffusion:2,2:0.1:inf", "'inf' is not a whole number"),
        ("diffusion:2,2:0.1:many", "'many' is not a whole number"),
        ("diffusion:2,2:0.1:999999999", "limit 500 MB"),
        ("diffusion:2,2:0.1:3:4", "too many parts"),
        ("table:foo", "no bundled table 'foo'; use table:rumelhart"),
        ("absent.csv", "cannot read absent.csv: no such file"),
        (os.curdir, "it is no file"),
        (os.devnull, "it is no file"),
        ("x" * 300 + ".csv", "File name too long"),
        ("x" * 100_000, "too long"),
    ],
)
def test_a_task_that_cannot_be_made_is_refused(refused, task, fault):
    line = refused(task=task)
    assert fault in line
    assert len(line) < 500


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"item,a\nx,1\ny,\n", "line 3, column 2 ('a'): the cell is empty"),
        (b"item,a\nx,1\nx,0\n", "item 'x' is already on line 2"),
        (b"item,a,b\nx,1\ny,0,1\n", "line 2, column 3"),
        (b"item,a\nx,1\n", "influence needs at least 2"),
        (b"item,a\nx,0\ny,0\n", "every value is 0"),
        (b"item,a\nx,1\ny,1e200\n", "rescale"),
        (b"", "the file is empty"),
        (b"\x7fELF\xff\xfe", "is not UTF-8 text"),
    ],
)
def test_a_bad_table_is_refused_with_its_place(refused, tmp_path, content, fault):
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    assert fault in refused(task=path)


@pytest.mark.parametrize(
    ("argv", "fault"),
    [
        (["--hidden", 0], "at least 1 hidden unit"),
        (["--hidden", -1], "at least 1 hidden unit"),
        (["--hidden", "2.5"], "--hidden: invalid int value: '2.5'"),
        (["--init", "nonsense"], "use balanced:a0, gaussian:sigma or unequal:a0:lambda"),
        (["--init", ""], "use balanced:a0, gaussian:sigma or unequal:a0:lambda"),
        (["--init", "balanced:-1"], "use balanced:a0"),
        (["--init", "balanced:0"], "use balanced:a0"),
        (["--init", "balanced:nan"], "use balanced:a0"),
        (["--init", "gaussian:much"], "use balanced:a0"),
        (["--init", "balanced:50"], "above the strongest mode's final strength 2.65; use a smaller a0"),
        (["--init", "gaussian:1e200"], "give a scale between 1e-60 and 1e+60"),
        (["--init", "balanced:1e-300"], "give a scale between 1e-60 and 1e+60"),
        (["--checkpoints", 1], "give at least"),
        (["--checkpoints", "ten"], "invalid int value: 'ten'"),
        (["--t-max", -1], "t-max -1; give a positive number"),
        (["--t-max", 0], "give a positive number"),
        (["--t-max", "abc"], "--t-max 'abc' is no number"),
        (["--t-max", "inf"], "give a positive number"),
        (["--eta", 0], "eta 0; give a positive number"),
        (["--eta", "nan"], "give a positive number"),
        (
            ["--measures", "foo"],
            "measure foo is unknown; choose from gradient_kernel, local_bif, leave_one_out",
        ),
        (["--measures", ""], "choose from gradient_kernel"),
        (["--measures", ","], "choose from gradient_kernel"),
        (["--convention", "both"], "invalid choice: 'both'"),
        (["--chains", 0], "at least 1 chain"),
        (["--draws", 3], "40 draws"),
        (["--n-beta", -1], "n-beta -1; give a positive number"),
        (["--n-beta", "nan"], "give a positive number"),
        (["--gamma", 0], "gamma 0; give a positive number"),
        (["--step-size", 0], "step-size 0; give a positive number"),
        (["--step-size", 1e-14], "chains would not move"),
        (["--step-size", 1e-50, "--sampler", "hmc"], "chains would not move"),
        (["--step-size", 1e-10], "hours (limit 6); use a larger --step-size, or leave it out"),
        (["--step-size", 10, "--sampler", "hmc"], "chains diverge from"),
        (["--sampler", "nuts"], "invalid choice: 'nuts'"),
        (["--batch-size", 9], "batch size 9 of 4 items; use 4 or fewer"),
        (["--batch-size", 0], "mini-batches of 1 item or more"),
        (["--batch-size", 2, "--sampler", "hmc"], "mini-batches of 1 item or more go with sgld"),
        (["--eta-fraction", 0], "eta-fraction 0; give a positive number"),
        (["--eta-fraction", 0.1], "--eta 0.05 and --eta-fraction 0.1; give the learning rate one way"),
        (["--spacing", "odd"], "invalid choice: 'odd'"),
        (["--spacing", "stages", "--checkpoints", 4], "checkpoints 4 for 3 stages; give at least 5"),
        (["--window", "3:1"], "window 3:1; give 0 <= t0 < t1"),
        (["--window", "soon"], "--window 'soon' is no window; give T0:T1"),
        (["--seed", -1], "seed -1"),
        (["--seed", 2**63], "from 0 to 2^63 - 1"),
        (["--seed", "1.5"], "invalid int value: '1.5'"),
        (["--device", "abacus"], "invalid choice: 'abacus'"),
        (["--dtype", "float16"], "invalid choice: 'float16'"),
        (["--source", "item 1.3"], "no item is called 'item 1.3'; did you mean item 1."),
        (["--bogus"], "unrecognized arguments: --bogus"),
        (["--hidden"], "expected one argument"),
    ],
)
def test_a_bad_option_is_refused_with_what_would_work(refused, argv, fault):
    assert fault in refused(*argv)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(refused):
    assert "no CUDA device is available here; use --device cpu" in refused("--device", "cuda")


def test_too_small_a_gamma_is_refused_with_the_gamma_that_it_takes(refused):
    # The largest residual of the start, s_max - c a0 = sqrt(7 / 4 / 4) - 0.01 / 4 = 0.65894, times n beta = 100.
    line = refused("--gamma", 1)
    assert "gamma = 1 at t = 0" in line
    assert "use gamma above 65.89" in line


def test_a_diverging_chain_is_refused_before_training_with_a_stable_step(
    refused, run_cli, tmp_path, monkeypatch, no_figures
):
    def never(*args, **kwargs):
        raise AssertionError("training began")

    with monkeypatch.context() as patched:
        patched.setattr("workbench.simulation.train", never)
        line = refused("--step-size", 10)
        assert "at least 1 chain" in refused("--chains", 0)
        assert "40 draws" in refused("--draws", 3)
        assert "chains would not move" in refused("--step-size", 1e-14)
    assert "step-size 10 of sgld: chains diverge from" in line
    proposed = line.split("use --step-size ")[1].split(",")[0]
    assert run_cli(
        "compare", "--task", "tree:2,2", "--out", tmp_path / "r", *QUICK, "--step-size", proposed,
        "--measures", "local_bif",
    ).code == 0  # fmt: skip


def test_a_diverging_training_run_is_refused_with_the_stable_learning_rate(refused):
    line = refused("--eta", 3, "--t-max", 400, "--measures", "gradient_kernel")
    assert "training diverged" in line
    assert "use a smaller --eta" in line


@pytest.mark.parametrize("argv", [[], ["bogus"], ["compare"], ["compare", "--task", "tree"], ["--bogus"]])
def test_a_command_line_without_a_command_or_out_is_refused_in_one_line(run_cli, argv):
    ran = run_cli(*argv)
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert "--help" in ran.err


def test_a_request_beyond_memory_is_refused_with_its_bytes(refused):
    line = refused("--hidden", 20_000, "--init", "gaussian:0.01", "--measures", "local_bif")
    assert "TB (limit 2 GB)" in line
    assert "smaller --hidden" in line


@pytest.mark.parametrize(
    ("argv", "fault"),
    [
        (["--hidden", 1_000_000], "24 TB (limit 2 GB)"),
        (["--checkpoints", 10**10], "(limit 2 GB); use fewer --checkpoints"),
        (["--chains", 10**7], "(limit 2 GB); use fewer --chains"),
    ],
)
def test_a_request_beyond_memory_is_refused_before_anything_is_allocated(refused, argv, fault):
    assert fault in refused(*argv)


@pytest.mark.parametrize("argv", [["--eta", 1e-12], ["--t-max", 1e12]])
def test_a_training_run_that_would_never_end_is_refused_with_its_length(refused, argv):
    line = refused(*argv, "--measures", "gradient_kernel")
    assert "hours (limit 6); use a larger --eta" in line


# --- the directory ----------------------------------------------------------------------------------------------


def fill(folder, **files):
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)


def test_an_existing_result_is_kept_without_force(refused, tmp_path):
    fill(tmp_path / "result", config__json=CONFIG)
    assert "exists already; add --force" in refused()


def test_a_file_is_never_replaced(refused, tmp_path):
    (tmp_path / "result").write_text("precious")
    for force in ([], ["--force"]):
        assert "is no directory" in refused(*force)
    assert (tmp_path / "result").read_text() == "precious"


def test_a_link_is_never_replaced(refused, tmp_path):
    fill(tmp_path / "elsewhere", config__json=CONFIG)
    (tmp_path / "result").symlink_to(tmp_path / "elsewhere")
    assert "is no directory" in refused("--force")


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"thesis__tex": "precious"}, "no config.json of an earlier result"),
        ({"config__json": "[" * 100_000}, "no config.json of an earlier result"),
        ({"config__json": "null"}, "no config.json of an earlier result"),
        (
            {"config__json": '{"compilerOptions": {}}', "index__js": "precious"},
            "no config.json of an earlier result",
        ),
        ({"config__json": "[]"}, "no config.json of an earlier result"),
        ({"config__json": "not json"}, "no config.json of an earlier result"),
        ({"config__json": CONFIG}, "config.json lists no digests of files, as of an earlier version"),
        ({"config__json": CONFIG[:-1] + ', "sha256": 5}'}, "config.json was changed since it was written"),
        ({"config__json": CONFIG[:-1] + ', "files": [["a"]], "sha256": 5}'}, "config.json was changed"),
    ],
)
def test_a_directory_with_anything_else_in_it_is_never_replaced(refused, tmp_path, files, fault):
    fill(tmp_path / "result", **files)
    assert fault in refused("--force")
    assert sorted(p.name for p in (tmp_path / "result").iterdir()) == sorted(n.replace("__", ".") for n in files)


def test_the_current_directory_and_those_above_are_never_replaced(refused, tmp_path, monkeypatch):
    fill(tmp_path / "result" / "inside")
    (tmp_path / "result" / "config.json").write_text(CONFIG)
    seal(tmp_path / "result")
    monkeypatch.chdir(tmp_path / "result" / "inside")
    for out in (".", "..", tmp_path / "result", tmp_path / "result" / "inside"):
        assert "is where you are" in refused("--force", out=out)


@pytest.mark.parametrize("name", ["x" * 300, "a/" + "x" * 300 + "/b"])
def test_a_name_that_no_file_can_have_is_refused(refused, name):
    assert "File name too long" in refused(out=name)


def test_a_place_below_a_file_is_refused(refused, tmp_path):
    (tmp_path / "file").write_text("precious")
    assert "cannot write in" in refused(out="file/sub/result")


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_place_that_cannot_be_written_is_refused_before_any_work(refused, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert "cannot write in" in refused(out="locked/result")
    finally:
        locked.chmod(stat.S_IRWXU)


def test_errors_of_the_process_itself_are_one_line_and_exit_code_2(run_process, tmp_path):
    ran = run_process("compare", "--task", "tree:1", "--out", tmp_path / "r")
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert list(tmp_path.iterdir()) == []

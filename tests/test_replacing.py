"""`--force` replaces what was written here and is as it was written; anything else stops it, and is still there."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

SMALL = ("--checkpoints", 4, "--measures", "gradient_kernel", "--hidden", 4, "--eta", 0.05, "--quiet")


@pytest.fixture(scope="module")
def commands():
    return {
        "compare": ("compare", "--task", "tree:2,2", *SMALL),
        "figures": ("figures", "--task", "tree:2,2", "--only", "loss", "--formats", "png"),
    }


@pytest.fixture(scope="module", params=["compare", "figures"])
def made(request, run_cli, commands, tmp_path_factory):
    """A command and the directory that it wrote."""
    folder = tmp_path_factory.mktemp("made") / "result"
    with pytest.MonkeyPatch.context() as patch:
        _few_figures(patch)
        ran = run_cli(*commands[request.param], "--out", folder)
    assert ran.code == 0, ran
    return request.param, folder


def _few_figures(patch):
    patch.setattr("workbench.report.result.figure_set", lambda name: {})


@pytest.fixture
def again(made, run_cli, commands, tmp_path, monkeypatch):
    """A copy of that directory, and the command again over it with ``--force``."""
    command, folder = made
    copy = tmp_path / "result"
    shutil.copytree(folder, copy)
    _few_figures(monkeypatch)
    return copy, lambda: run_cli(*commands[command], "--out", copy, "--force")


def snapshot(folder):
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def forge(folder, **changes) -> None:
    """Edit config.json as somebody would who knows its digest."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    config.pop("sha256")
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(config | {"sha256": digest}))


def test_what_was_written_is_replaced_by_the_same(again):
    folder, force = again
    (folder / ".DS_Store").write_bytes(b"litter")
    before = snapshot(folder)
    ran = force()
    assert ran.code == 0, ran
    after = snapshot(folder)
    before.pop(".DS_Store")
    assert after.keys() == before.keys()
    assert [path.name for path in folder.parent.iterdir()] == ["result"]


def add(name: str, content: str | None = "precious"):
    def change(folder):
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.mkdir() if content is None else path.write_text(content)

    return change


def edit_config(folder):
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"settings"', '"note": "mine", "settings"', 1))


def list_precious(folder):
    (folder / "precious.txt").write_text("precious")
    files = json.loads((folder / "config.json").read_text())["files"]
    forge(folder, files=files | {"precious.txt": hashlib.sha256(b"precious").hexdigest()})


def list_outside(folder):
    forge(folder, files=json.loads((folder / "config.json").read_text())["files"] | {"../outside.png": "0" * 64})


def change_a_file(folder):
    path = next(path for path in folder.rglob("*") if path.is_file() and path.name != "config.json")
    path.write_bytes(path.read_bytes() + b"\n")


def link(folder):
    (folder / "mine.png").symlink_to(folder.parent)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (add("figures/mine.png"), "holds figures"),
        (add("figures/mine.svg", None), "holds figures"),
        (add("precious.txt"), "holds precious.txt, which is no part of a result"),
        (add("notes/empty", None), "holds notes"),
        (edit_config, "config.json was changed since it was written"),
        (list_precious, "config.json lists 'precious.txt', which is no part of a result"),
        (list_outside, "config.json lists '../outside.png'"),
        (change_a_file, "was changed since it was written"),
        (link, "holds mine.png"),
        (lambda folder: forge(folder, files=5), "config.json was changed"),
        (lambda folder: forge(folder, files=None), "config.json was changed"),
        (lambda folder: forge(folder, files=[["a"]]), "config.json was changed"),
    ],
)
def test_anything_else_stops_it_and_stays(again, change, fault):
    folder, force = again
    change(folder)
    before = snapshot(folder.parent)
    ran = force()
    assert ran.code == 2, ran
    assert ran.err.count("\n") == 1
    assert fault in ran.err
    assert snapshot(folder.parent) == before

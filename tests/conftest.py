"""What several tests share: the command line, called in this process and as a process of its own."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import hypothesis
import pytest
import torch

from workbench.cli import main

# The same examples in every run, and no limit of time for one of them: a loaded machine must change no verdict.
hypothesis.settings.register_profile("workbench", derandomize=True, deadline=None)
hypothesis.settings.load_profile("workbench")

# One core: sharing a step among threads costs more than the step, and neither results nor what is refused as too long
# may depend on the machine.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"
# Without a GPU its kernels run, slowly, in Triton's interpreter, which must be chosen before they are imported.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Notebooks, and files with a slow test, come first: a long one that came last would leave the other cores idle."""
    long = {item.path for item in items if item.path.suffix == ".ipynb" or item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


def call(*argv: object) -> Ran:
    """`workbench ARGV` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(arg) for arg in argv])
        except SystemExit as leaving:
            code = int(leaving.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())


def start(*argv: object, **options: object) -> subprocess.Popen[str]:
    """`python -m workbench ARGV`, started; Ctrl-C reaches it even if this process ignores it."""
    return subprocess.Popen(
        [sys.executable, "-m", "workbench", *map(str, argv)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        **options,
    )


@pytest.fixture(scope="session")
def run_cli():
    """Call the command line in this process: ``run_cli("compare", ...) -> Ran``."""
    return call


@pytest.fixture(scope="session")
def start_cli():
    """Start the command line as a process: ``start_cli("compare", ...) -> Popen``."""
    return start


@pytest.fixture(scope="session")
def run_process():
    """Run the command line as a process to its end: ``run_process("compare", ...) -> Ran``."""

    def run(*argv: object, **options: object) -> Ran:
        process = start(*argv, **options)
        out, err = process.communicate(timeout=120)
        return Ran(process.returncode, out, err)

    return run


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """`compare` writes neither figures nor derivations, which take most of its time."""
    monkeypatch.setattr("workbench.report.result.figure_set", lambda name: {})
    monkeypatch.setattr("workbench.report.result.equations", lambda ds: [])


# The explorer in a browser: one server and one page a module


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """`workbench explore`, running, with the text of a language model."""
    from driven_app import language_text, served, what_is_missing

    assert not (missing := what_is_missing()), missing
    folder = tmp_path_factory.mktemp("language")
    language_text(folder)
    with served("--language", str(folder)) as server:
        yield server


@pytest.fixture(scope="module")
def browser(server: Any) -> Iterator[Any]:
    """Chromium."""
    from driven_app import chromium

    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def page(browser: Any, server: Any) -> Any:
    """The app's page, whatever the tests before have done with it."""
    from driven_app import App

    return App(browser, server.link)


@pytest.fixture
def app(page: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The app's page as it begins; a screenshot of its end is kept."""
    from driven_app import SHOTS

    page.page.set_viewport_size({"width": 1280, "height": 900})
    page.reset()
    yield page
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.page.screenshot(path=SHOTS / f"{request.node.name}.png", full_page=True)
    assert page.errors == []

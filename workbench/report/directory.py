"""Results appear whole or not at all: written beside the target, renamed into place at the end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workbench.errors import WorkbenchError

#: Every result directory holds this file; only such a directory is ever replaced.
MARKER = "config.json"

#: What a result consists of; a directory with anything else in it is never replaced.
_OURS = ("influence.nc", "report.html", "figures", MARKER)
#: File managers leave these behind.
_LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")


def check_target(target: Path, force: bool) -> None:
    """Refuse a directory that exists, before any work; with ``force`` only one that is not a result."""
    try:
        _check_target(target, force)
    except OSError as error:
        raise WorkbenchError(f"--out {target}: {error.strerror}; choose another place") from None


def _check_target(target: Path, force: bool) -> None:
    place = Path(os.path.abspath(target))
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise WorkbenchError(f"--out {target} exists and is no directory; choose another name")
    if Path.cwd().is_relative_to(place.resolve()):
        raise WorkbenchError(f"--out {target} is where you are; name a directory inside it, such as results")
    if place.exists() and any(place.iterdir()):
        if not force:
            raise WorkbenchError(f"--out {target} exists already; add --force to replace it, or choose another name")
        if not _is_result(place):
            raise WorkbenchError(
                f"--out {target} holds no {MARKER} of an earlier result, so it is never replaced; choose another name"
            )
        foreign = _foreign(place)
        if foreign:
            raise WorkbenchError(
                f"--out {target} holds {foreign[0]}, which is no part of a result and would be lost; "
                "move it, or choose another name"
            )
    parent, missing = place.parent, [place.name]
    while not parent.exists():
        parent, missing = parent.parent, [*missing, parent.name]
    for name in missing:
        with suppress(FileNotFoundError, NotADirectoryError):
            (parent / name).lstat()  # raises for a name that no file can have
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise WorkbenchError(f"--out {target}: cannot write in {parent}; choose a place that you can write to")


def _is_result(target: Path) -> bool:
    try:
        config = json.loads((target / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and {"settings", "resolved"} <= config.keys()


def _foreign(target: Path) -> list[str]:
    """Names in a result directory that neither a comparison nor, by its own list, a set of figures wrote."""
    config = json.loads((target / MARKER).read_text(encoding="utf-8"))
    ours = {*_OURS, *config.get("files", ())}
    outside = [p for p in target.iterdir() if p.name not in ours or (p.name not in _OURS and p.is_dir())]
    inside = [p for p in (target / "figures").glob("*") if p.suffix not in (".png", ".svg")]
    return sorted(str(p.relative_to(target)) for p in outside + inside if p.name not in _LITTER)


@contextmanager
def staged(target: Path, force: bool, within: Path | None = None) -> Iterator[Path]:
    """Give a temporary directory beside ``target``; rename it there on success, remove it on any failure.

    ``within`` names another place for it, on the same disk, where the next run finds it if this one is killed.
    """
    check_target(target, force)
    target = Path(os.path.abspath(target))
    made: list[Path] = []
    try:
        _make_parents(target.parent, made)
        work = _beside(target, ".tmp", within)
        try:
            yield work
            # mkdtemp makes it private; a result is as readable as any other directory.
            umask = os.umask(0)
            os.umask(umask)
            work.chmod(0o777 & ~umask)
            check_target(target, force)
            with _undisturbed():
                _swap_in(work, target)
        except BaseException:
            with _undisturbed():
                shutil.rmtree(work, ignore_errors=True)
            raise
    except BaseException:
        with _undisturbed():
            _remove_empty(made)
        raise


def _beside(target: Path, suffix: str, within: Path | None = None) -> Path:
    # Names may be up to 255 bytes long; the random part needs room.
    return Path(tempfile.mkdtemp(prefix=f".{target.name[:40]}.", suffix=suffix, dir=within or target.parent))


def _make_parents(parent: Path, made: list[Path]) -> None:
    """Create missing parents and note them in ``made``, outermost first."""
    missing = []
    while not parent.exists():
        missing.append(parent)
        parent = parent.parent
    for folder in reversed(missing):
        folder.mkdir()
        made.append(folder)


def _remove_empty(folders: list[Path]) -> None:
    for folder in reversed(folders):
        try:
            folder.rmdir()
        except OSError:
            return


def _swap_in(work: Path, target: Path) -> None:
    if not target.exists():
        work.rename(target)
        return
    old = _beside(target, ".old")
    kept = old / "result"
    try:
        target.rename(kept)
        work.rename(target)
    except BaseException:
        if kept.exists() and not target.exists():
            kept.rename(target)
        old.rmdir()
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore Ctrl-C and termination for the moment that renaming or removing takes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

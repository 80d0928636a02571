"""Results appear whole or not at all: written beside the target, renamed into place at the end."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workbench.clearing import cleared_up
from workbench.errors import WorkbenchError
from workbench.store.files import check_writable
from workbench.store.manifest import MARKER, check_ours, seal

__all__ = ["MARKER", "check_target", "staged"]


def check_target(target: Path, force: bool) -> None:
    """Refuse a directory that exists, before any work; with ``force`` only one that holds anything but a result."""
    try:
        _check_target(target, force)
    except OSError as error:
        raise WorkbenchError(f"`out` {target}: {error.strerror}; choose another place") from None


def _check_target(target: Path, force: bool) -> None:
    place = Path(os.path.abspath(target))
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise WorkbenchError(f"`out` {target} exists and is no directory; choose another name")
    if Path.cwd().is_relative_to(place.resolve()):
        raise WorkbenchError(f"`out` {target} is where you are; name a directory inside it, such as results")
    if place.exists() and any(place.iterdir()):
        if not force:
            raise WorkbenchError(f"`out` {target} exists already; add `force` to replace it, or choose another name")
        check_ours(place, Path(f"`out` {target}"))
    parent, missing = place.parent, [place.name]
    while not parent.exists():
        parent, missing = parent.parent, [*missing, parent.name]
    for name in missing:
        with suppress(FileNotFoundError, NotADirectoryError):
            (parent / name).lstat()  # raises for a name that no file can have
    check_writable(parent, f"`out` {target}")


@contextmanager
def staged(target: Path, force: bool, within: Path | None = None) -> Iterator[Path]:
    """Give a temporary directory beside ``target``; rename it there on success, remove it on any failure.

    What is in it must include `MARKER`, which is completed by a list of all files; see `workbench.store.manifest`.
    ``within`` names another place for it, on the same disk, where the next run finds it if this one is killed.
    """
    check_target(target, force)
    target = Path(os.path.abspath(target))
    made: list[Path] = []
    with cleared_up(lambda: _remove_empty(made)):
        try:
            _make_parents(target.parent, made)
            with _work(target, within) as work:
                yield work
                seal(work)
                # mkdtemp makes it private; a result is as readable as any other directory.
                umask = os.umask(0)
                os.umask(umask)
                work.chmod(0o777 & ~umask)
                check_target(target, force)
                with _undisturbed():
                    _swap_in(work, target)
        except BaseException:
            with _undisturbed():
                _remove_empty(made)
            raise


@contextmanager
def _work(target: Path, within: Path | None) -> Iterator[Path]:
    """A directory for what is being written; removed unless it was moved away."""
    work = _beside(target, ".tmp", within)
    with cleared_up(lambda: shutil.rmtree(work, ignore_errors=True)):
        try:
            yield work
        finally:
            with _undisturbed():
                shutil.rmtree(work, ignore_errors=True)


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
    if not target.exists() or not any(target.iterdir()):
        with suppress(FileNotFoundError):
            target.rmdir()
        work.rename(target)
        return
    ours = [path.relative_to(target) for path in check_ours(target, target)]
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
    _remove_listed(kept, ours)
    with suppress(OSError):  # something came in at the last moment: it stays where it is
        old.rmdir()


def _remove_listed(folder: Path, names: list[Path]) -> None:
    """Delete these files, and the directories that are then empty."""
    with suppress(OSError):
        for name in names:
            (folder / name).unlink(missing_ok=True)
        for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
            path.rmdir()
        folder.rmdir()


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

"""Where a result is made: its options, and the store of a run beside it, left behind where the run ends too early."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.store import Store


def add_result_options(p: argparse.ArgumentParser, required: bool = True) -> None:
    """The options of every command whose result is a directory, made in `DIR.partial`."""
    p.add_argument(
        "--out", type=Path, required=required, metavar="DIR", help="directory to write" + " (required)" * required
    )
    p.add_argument("--force", action="store_true", help="replace an earlier result in DIR; start over")
    p.add_argument("--resume", action="store_true", help="go on with a run that was cut off, from DIR.partial")


def store_for(out: Path, identity: Mapping[str, Any], *, resume: bool, force: bool) -> Store:
    """Where the run that makes ``out`` keeps its pieces; says whether it goes on with an earlier one."""
    from workbench.store import Store, when

    folder = partial_of(out)
    if not resume:
        return Store.create(folder, identity, replace=force)
    store = Store.resume(folder, identity)
    print(
        f"going on with the run that was cut off at {when(store.saved)}"
        if store.saved is not None
        else "no run that was cut off has left anything here; starting from the beginning"
    )
    return store


def partial_of(out: Path) -> Path:
    """``DIR.partial``, with DIR cut where no name may be as long."""
    place = Path(os.path.abspath(out))
    return place.with_name(os.fsdecode(os.fsencode(place.name)[:240]) + ".partial")


@contextmanager
def keeping(store: Store) -> Iterator[None]:
    """When the run is cut off or fails, leave its pieces and say so on the error; without any, leave nothing."""
    from workbench.clearing import cleared_up

    with cleared_up(lambda: _leave(store)):
        try:
            yield
        except BaseException as error:
            note = _leave(store)
            if note:
                error.add_note(note)
            raise
        finally:
            store.close()


def _leave(store: Store) -> str:
    """What the store keeps, in words; it goes if it keeps nothing."""
    if store.pieces:
        return f"{store.folder} keeps what is done, add --resume to go on"
    store.remove()
    return ""

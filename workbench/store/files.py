"""Files written by ordinary operations, whole or not at all.

HDF5 writing to a full disk fails inside the library, late, and takes the process with it: datasets become bytes in
memory first, and bytes reach the disk as in any other file, where a full disk is an `OSError` like every other.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import xarray as xr

from workbench.errors import WorkbenchError


def netcdf_bytes(dataset: xr.Dataset, encoding: Mapping[Any, Any] | None = None) -> bytes:
    """A dataset as the content of a netCDF file."""
    return bytes(dataset.to_netcdf(engine="h5netcdf", encoding=encoding))


def write_file(path: Path, content: bytes | str, *, work: Path | None = None) -> None:
    """Write a file that appears under its name when it is whole and on the disk.

    Args:
        path: the file; an older one is replaced at the last moment.
        content: text is written in UTF-8.
        work: where it is put together; a hidden name beside ``path`` unless given. Nothing is left there on failure.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    if path.exists() and not path.is_file() and not path.is_dir():
        # A device or a pipe is written to: a file in its place would break it for everyone.
        with path.open("wb") as device:
            _write(device, data)
        return
    # Names may be up to 255 bytes long.
    path = path.resolve() if path.is_symlink() else path  # what a link leads to is written, not the link replaced
    work = work or path.with_name(f".{os.fsdecode(os.fsencode(path.name)[:200])}.tmp")
    try:
        with work.open("wb") as file:
            _write(file, data)
            file.flush()
            os.fsync(file.fileno())
        work.replace(path)
    except BaseException as error:
        with suppress(OSError):
            work.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise


def _write(file: BinaryIO, data: bytes) -> None:
    file.write(data)


def to_disk(folder: Path) -> None:
    """Wait until the names in a directory are on the disk."""
    if os.name == "nt":
        return  # directories cannot be opened there
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_writable(folder: Path, target: Path | str) -> None:
    """Refuse, before any work, a directory in which nothing can be made; ``target`` is what the user named."""
    reason = None
    if not folder.is_dir():
        reason = "no directory"
    else:
        try:
            # Permissions do not tell all: a disk may be full or read-only, or the directory one of the kernel's.
            with TemporaryDirectory(prefix=".workbench.", dir=folder) as probe:
                (Path(probe) / "probe").write_bytes(b"probe")
        except OSError as error:
            reason = error.strerror
    if reason is not None:
        raise WorkbenchError(f"{target}: cannot write in {folder} ({reason}); choose a place that you can write to")


def check_file(path: Path) -> None:
    """Refuse, before any work, a file that could not be written; it may exist and be replaced."""
    try:
        if path.is_dir():
            raise WorkbenchError(f"{path} is a directory; name a file")
        parent = path.resolve().parent
        if not parent.is_dir():
            raise WorkbenchError(f"{path}: the directory {parent} does not exist; create it first")
    except OSError as error:
        raise WorkbenchError(f"{path}: {error.strerror}; choose another name") from None
    check_writable(parent, path)

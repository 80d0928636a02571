"""What a directory of results consists of: the names and digests of the files that were written into it.

`config.json` lists them and has a digest of its own, so that a later run can tell what it may replace: a file that was
added or changed since, or a list that was, is somebody's work.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.store.files import write_file

#: Every directory of results holds this file; only such a directory is ever replaced.
MARKER = "config.json"
#: The only names that a list is believed about: what the commands write, at most one directory deep; of files such
#: as people keep their own notes in, only the very names that commands give.
_NAMES = re.compile(r"([a-z_]+/)?[^/\\]+\.(png|svg|pdf|csv|mp4|gif|nc|html)|bench\.md|findings\.txt|sweep\.zarr\.zip")
#: File managers leave these behind.
_LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")
_FILES, _DIGEST = "files", "sha256"


def seal(folder: Path) -> None:
    """Complete `config.json` in ``folder`` by the digests of all other files, and by its own."""
    config = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    files = {_name(folder, path): _file_digest(path) for path in sorted(_files(folder)) if path.name != MARKER}
    strange = [name for name in files if not _NAMES.fullmatch(name)]
    assert not strange, f"{strange} could never be replaced; name them in _NAMES"
    sealed = {**config, _FILES: files}
    text = json.dumps({**sealed, _DIGEST: _own_digest(sealed)}, indent=2)
    write_file(folder / MARKER, text + "\n")


def check_ours(folder: Path, target: Path) -> list[Path]:
    """The files and directories in ``folder``, if every one of them is as it was written here.

    Args:
        folder: the directory of an earlier result.
        target: what the user called it, for errors.

    Raises:
        WorkbenchError: names the first thing that is not.
    """
    files = _listed(folder, target)
    advice = "it would be lost; move it, or choose another name"
    paths = sorted(path for path in folder.rglob("*") if path.name not in _LITTER)
    folders = {folder / parent for name in files for parent in Path(name).parents} | {folder / "figures"}
    for path in paths:
        name = _name(folder, path)
        if path.is_symlink() or (name not in files and path not in folders and path != folder / MARKER):
            raise WorkbenchError(f"{target} holds {name}, which is no part of a result, and {advice}")
        if path.is_file() and path != folder / MARKER and _file_digest(path) != files[name]:
            raise WorkbenchError(f"{target}: {name} was changed since it was written, and {advice}")
    return [path for path in folder.rglob("*") if path.is_file()]


def _listed(folder: Path, target: Path) -> dict[str, str]:
    """The list in `config.json`, if it is as it was written."""
    no_result = f"{target} holds no {MARKER} of an earlier result, so it is never replaced; choose another name"
    try:
        config = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise WorkbenchError(no_result) from None
    if not isinstance(config, dict) or not {"settings", "resolved"} <= config.keys():
        raise WorkbenchError(no_result)
    if _DIGEST not in config:
        raise WorkbenchError(
            f"{target}: {MARKER} lists no digests of files, as of an earlier version, so nothing there is replaced; "
            "delete it yourself, or choose another name"
        )
    digest = config.pop(_DIGEST)
    files = config.get(_FILES)
    if digest != _own_digest(config) or not isinstance(files, dict):
        raise WorkbenchError(
            f"{target}: {MARKER} was changed since it was written, so nothing there is replaced; "
            "move it, or choose another name"
        )
    strange = [name for name in files if not _NAMES.fullmatch(name)]
    if strange:
        raise WorkbenchError(f"{target}: {MARKER} lists {strange[0]!r}, which is no part of a result; move it")
    return files


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _own_digest(config: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()

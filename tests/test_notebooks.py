"""The notebooks as saved: shown as a reader finds them on GitHub, before anything is run.

That they run is tested by ``make notebooks``.
"""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

#: Absolute paths of some machine; ``/`` also occurs in formulas, units and addresses.
PATH = re.compile(r"(?<![\w.:/~\\])/(?:home|Users|root|tmp|work|mnt|usr|opt|var|content|private)/\w|\b[A-Z]:\\\\?\w")

#: What every lesson has, in its text.
LESSON = ("**Question.**", "## Predict first", "check", "## Exercise", "*Hint:*", "In Colab")


def text_of(value: Any) -> str:
    """A notebook keeps text as a string or as a list of lines."""
    return "".join(value) if isinstance(value, list) else str(value)


def shown(output: dict[str, Any]) -> str:
    """All text of an output; pictures are left out, their base64 may spell anything."""
    data = {kind: value for kind, value in output.get("data", {}).items() if not kind.startswith("image/")}
    return "\n".join(text_of(value) for value in (*data.values(), output.get("text", ""), output.get("traceback", "")))


def faults(notebook: dict[str, Any]) -> list[str]:
    """What is wrong with a notebook as it was saved; empty if nothing is."""
    found = []
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in code for output in cell["outputs"]]
    if [cell["execution_count"] for cell in code] != list(range(1, len(code) + 1)) or not outputs:
        found.append("not saved after one run from top to bottom: run nbconvert --execute --inplace")
    if any(output["output_type"] == "error" for output in outputs):
        found.append("saved with an error")
    if any(output.get("name") == "stderr" for output in outputs):
        found.append("saved with a warning")
    if not any("image/png" in output.get("data", {}) for output in outputs):
        found.append("no figure that GitHub shows")
    for cell in notebook["cells"]:
        everything = [text_of(cell["source"]), *(shown(output) for output in cell.get("outputs", []))]
        for text in everything:
            path = PATH.search(text)
            if path:
                found.append(f"a path of some machine in {cell['id']}: {text[path.start() : path.end() + 30]!r}")
    return found


def load(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def test_lessons_are_numbered() -> None:
    numbers = [path.name[:2] for path in NOTEBOOKS]
    assert numbers[:6] == ["01", "02", "03", "04", "05", "06"] and len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_saved_whole_and_clean(path: Path) -> None:
    assert faults(load(path)) == []
    assert path.stat().st_size < 1_000_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_opens_everywhere(path: Path) -> None:
    notebook = load(path)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert not any("widget" in kind or "javascript" in kind for kind in kinds)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_a_lesson(path: Path) -> None:
    cells = load(path)["cells"]
    prose = "\n".join(text_of(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert [part for part in LESSON if part not in prose] == []
    asserted = [cell for cell in cells if cell["cell_type"] == "code" and "assert " in text_of(cell["source"])]
    assert asserted, "nothing is checked"
    prediction = next(k for k, cell in enumerate(cells) if re.match(r"my_\w+ = ", text_of(cell["source"])))
    assert prediction < next(k for k, cell in enumerate(cells) if cell is asserted[0])


def _broken(change: str) -> dict[str, Any]:
    notebook = copy.deepcopy(load(NOTEBOOKS[0]))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    if change == "cleared":
        for cell in code:
            cell["outputs"], cell["execution_count"] = [], None
    elif change == "one cell run again":
        code[1]["execution_count"] = 99
    elif change == "error":
        code[2]["outputs"] = [{"output_type": "error", "ename": "E", "evalue": "", "traceback": []}]
    elif change == "warning":
        code[2]["outputs"] = [{"output_type": "stream", "name": "stderr", "text": ["careful"]}]
    else:
        code[2]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": [f"saved in {change}\n"]}]
    return notebook


@pytest.mark.parametrize(
    "change",
    ["cleared", "one cell run again", "error", "warning", "/home/ada/results.nc", "/tmp/x", r"C:\Users\ada"],
)
def test_a_notebook_that_is_not_clean_is_found_out(change: str) -> None:
    assert faults(_broken(change)) != []

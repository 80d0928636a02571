"""Every example of CONTRIBUTING runs, one after another, and prints what it says it prints."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from workbench.bench import METHODS

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```\n+```\n(.*?)```", TEXT, re.S)


@pytest.mark.slow
def test_the_examples_print_what_they_say():
    namespace: dict[str, object] = {}
    try:
        for code, shown in EXAMPLES:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(code, "CONTRIBUTING.md", "exec"), namespace)
            assert printed.getvalue().split() == shown.split(), code
    finally:
        METHODS.pop("input_overlap", None)


def test_there_is_an_example_of_every_kind_of_extension():
    headings = re.findall(r"^## (.*)$", TEXT, re.M)
    for kind in ("measure", "kind of task", "closed form", "claim", "sampler", "figure", "method", "study"):
        assert any(kind in heading for heading in headings), kind
    assert len(EXAMPLES) == TEXT.count("```python")

"""The README's example prints what the README says it prints."""

import contextlib
import io
import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


EXAMPLES = re.findall(r"```python\n(.*?)```\n+```\n(.*?)```", README, re.S)


@pytest.mark.parametrize(("code", "shown"), EXAMPLES)
def test_an_example_prints_its_printed_output(code, shown):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    pattern = r"-?\d+\.(\d+)"
    assert re.sub(pattern, "#", printed.getvalue()).split() == re.sub(pattern, "#", shown).split()
    for a, b in zip(re.finditer(pattern, printed.getvalue()), re.finditer(pattern, shown), strict=True):
        # The last digit of a trained network depends on the processor's matrix products.
        assert abs(float(a[0]) - float(b[0])) < 2 * 10.0 ** -len(b[1])


def test_the_readme_has_both_examples():
    assert len(EXAMPLES) == 2


def test_every_file_the_readme_shows_exists():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (Path(__file__).parents[1] / target).is_file(), target

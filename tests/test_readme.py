"""The README's example prints what the README says it prints."""

import contextlib
import io
import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_example_prints_its_printed_output():
    code, shown = re.search(r"```python\n(.*?)```\n+```\n(.*?)```", README, re.S).groups()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    numbers = [re.findall(r"-?\d+\.\d+", text) for text in (printed.getvalue(), shown)]
    assert len(numbers[0]) == len(numbers[1]) == 12
    # The last digits of a trained network depend on the processor's matrix products.
    assert all(abs(float(a) - float(b)) < 2e-6 for a, b in zip(*numbers, strict=True))


def test_every_file_the_readme_shows_exists():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (Path(__file__).parents[1] / target).is_file(), target

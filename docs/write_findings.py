"""Write ``docs/findings.md`` with its figures, and the three lines of README, from results of `workbench study`.

    python docs/write_findings.py results/findings [more directories]

`make findings` runs all studies first.
"""

import re
import shutil
import sys
from pathlib import Path

from workbench.studies.markdown import findings_markdown, surprising, written_studies

DOCS = Path(__file__).parent
#: Study, and how the claim begins.
SURPRISING = (
    ("loss_off", "Without the loss, too, every group"),
    ("windows", "The window in which the kernel is most helpful"),
    ("interventions", "End-point influence is no better than chance"),
)
_BLOCK = re.compile(r"(<!-- findings -->\n).*?(<!-- end of findings -->)", re.DOTALL)


def main(folders: list[Path]) -> None:
    """Figures, page, README."""
    results = written_studies(folders)
    figures = DOCS / "findings"
    shutil.rmtree(figures, ignore_errors=True)
    figures.mkdir()
    for one in results:
        shutil.copy(one.folder / f"{one.name}.png", figures)
    (DOCS / "findings.md").write_text(findings_markdown(results, "findings/"), encoding="utf-8")
    readme = DOCS.parent / "README.md"
    lines = surprising(results, SURPRISING, "docs/findings.md")
    text = readme.read_text(encoding="utf-8")
    readme.write_text(_BLOCK.sub(lambda block: f"{block[1]}{lines}\n{block[2]}", text), encoding="utf-8")
    print(f"{len(results)} studies")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])

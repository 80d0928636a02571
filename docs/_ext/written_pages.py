"""Pages that follow from the package: lessons, gallery, theory and API, written into ``_written`` before a build."""

import re
from pathlib import Path

import theory_chapter
from api_pages import api_pages
from sphinx.application import Sphinx

#: Pages of the repository that are pages of the site too, and what they are called here.
FROM_REPOSITORY = {
    "README.md": "start.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
}
#: What came out, in the order of the site; pages that are not there yet are left out.
RESULTS = ("findings.md", "bench.md", "language.md")
_OUT = re.compile(r"\]\((\.\./[^)]+)\)")
#: Anchors that pages set for readers of the repository are targets here; they are known by their names alone.
_ANCHOR = re.compile(r'^<a id="([\w-]+)"></a>$', re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)]+)\)")


def _kept(path: Path, text: str) -> None:
    """Write a page, unless it is there already as it would be: what has not changed is not built again."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _within_site(target: str, folder: Path, root: Path) -> str:
    """A link of a page in ``folder``, as a link of a page in ``docs/_written``."""
    path, _, anchor = target.partition("#")
    within = (folder / path).resolve().relative_to(root.resolve()).as_posix()
    if within in FROM_REPOSITORY:
        page = FROM_REPOSITORY[within]
    elif within == "docs/gallery/README.md":
        page = "gallery.md"
    elif within.startswith("notebooks/"):
        page = within
    elif within.startswith("docs/"):
        page = "../" + within.removeprefix("docs/")
    else:
        page = "../../" + within
    return page + (f"#{anchor}" if anchor else "")


def _page(source: Path, root: Path) -> str:
    text = source.read_text(encoding="utf-8")
    return _LINK.sub(lambda link: f"]({_within_site(link[1], source.parent, root)})", text)


def _write(app: Sphinx) -> None:
    source = Path(app.srcdir)
    root, written = source.parent, source / "_written"
    for name, page in FROM_REPOSITORY.items():
        _kept(written / page, _page(root / name, root))
    gallery = (source / "gallery" / "README.md").read_text(encoding="utf-8")
    _kept(written / "gallery.md", re.sub(r"\]\(([^/)]+\.png)\)", r"](../gallery/\1)", gallery))
    for notebook in sorted((root / "notebooks").glob("*.ipynb")):
        _kept(
            written / "notebooks" / notebook.name,
            notebook.read_text(encoding="utf-8").replace("](../docs/", "](../../"),
        )
    present = [f"../{name.removesuffix('.md')}" for name in RESULTS if (source / name).exists()]
    toc = "\n".join([*present, "benchmarks"])
    _kept(written / "results.md", f"# Findings and benchmarks\n\n```{{toctree}}\n:maxdepth: 2\n\n{toc}\n```\n")
    for name, text in (theory_chapter.pages() | api_pages()).items():
        _kept(written / name, text)


def _leave_the_site(app: Sphinx, page: str, text: list[str]) -> None:
    """Links of pages in ``docs`` that lead out of it go to the copies."""
    source = Path(app.srcdir)
    text[0] = _ANCHOR.sub(r"(\1)=", text[0])
    if "/" not in page:
        text[0] = _OUT.sub(lambda link: f"](_written/{_within_site(link[1], source, source.parent)})", text[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Write before sources are looked for."""
    app.connect("builder-inited", _write)
    app.connect("source-read", _leave_the_site)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

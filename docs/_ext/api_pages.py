"""API reference: a page a package, every public name with its signature and docstring."""

import inspect
from importlib import import_module
from types import ModuleType

from workbench.influence import Measure

#: In the order of the reference.
PACKAGES = (
    "semantics",
    "networks",
    "trajectory",
    "theory",
    "simulation",
    "influence",
    "comparison",
    "agreement",
    "verification",
    "figures",
    "bench",
    "studies",
    "report",
    "explorer",
)


def _names(module: ModuleType) -> list[str]:
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    return sorted(getattr(module, "__all__", own), key=str.lower)


def _directive(package: str, name: str, value: object) -> str:
    if inspect.ismodule(value) or not getattr(value, "__module__", "workbench").startswith("workbench"):
        return ""
    path = f"workbench.{package}.{name}"
    if isinstance(value, Measure):
        return f".. py:data:: {path}\n   :type: Measure\n\n   {value.title} [{value.units}]: {value.meaning}.\n"
    if inspect.isclass(value) or inspect.isroutine(value):
        return f".. auto{'class' if inspect.isclass(value) else 'function'}:: {path}\n"
    return f".. autodata:: {path}\n   :no-value:\n"


def _lead(package: str) -> str:
    return (import_module(f"workbench.{package}").__doc__ or "").split("\n")[0].replace("``", "`")


def _page(package: str) -> str:
    module = import_module(f"workbench.{package}")
    body = "\n".join(filter(None, (_directive(package, name, getattr(module, name)) for name in _names(module))))
    return f"# workbench.{package}\n\n{_lead(package)}\n\n```{{eval-rst}}\n{body}```\n"


_INDEX = """\
# API reference

Arrays are float64; shapes stand in every docstring. T checkpoints, P items, N_o properties, K modes, D layers.

{rows}

```{{toctree}}
:hidden:

{toc}
```
"""


def api_pages() -> dict[str, str]:
    """Markdown by file name."""
    rows = "\n".join(f"- [workbench.{package}]({package}.md): {_lead(package)}" for package in PACKAGES)
    index = _INDEX.format(rows=rows, toc="\n".join(PACKAGES))
    return {f"api/{package}.md": _page(package) for package in PACKAGES} | {"api/index.md": index}

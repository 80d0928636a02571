"""Run every benchmark, each in a process of its own, and write the tables to benchmarks/README.md.

    make bench
    python benchmarks/run.py gpu.py        # these alone; the other tables stay as they are

Without CUDA the tables of the last GPU stay.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import torch
from harness import machine

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"
SCRIPTS = (
    "sgld.py",
    "peers.py",
    "language.py",
    "retraining.py",
    "stacks.py",
    "scaling.py",
    "theory.py",
    "explorer.py",
    "gpu.py",
)
#: Between the tables of one script and the next; no reader sees it.
MARK = "<!-- {script} -->"

INTRODUCTION = """# Benchmarks

Written by `make bench`, which overwrites this file. Costs are CPU time of the whole process on one thread, the least
and the median of several rounds in which all contestants take turns; on a shared machine times vary by tens of per
cent, ratios within one table by less. `make peers` once beforehand adds the other libraries.

Machine: {machine}.

"""


def interpreter(script: str) -> Path:
    """The environment with the other libraries for `peers.py`, if there is one."""
    other = HERE.parent / ".venv-peers" / "bin" / "python"
    return other if script in ("peers.py", "language.py") and other.exists() else Path(sys.executable)


def kept() -> tuple[str, dict[str, str]]:
    """The introduction of README.md, and the tables of each script, as they are."""
    marks = "|".join(re.escape(MARK.format(script=script)) for script in SCRIPTS)
    introduction, *rest = re.split(f"({marks})", README.read_text())
    return introduction, {mark.split()[1]: tables.strip() for mark, tables in zip(rest[::2], rest[1::2], strict=True)}


def main() -> None:
    introduction, tables = kept()
    wanted = sys.argv[1:] or [s for s in SCRIPTS if s != "gpu.py" or torch.cuda.is_available()]
    if set(wanted) - set(SCRIPTS):
        sys.exit(f"unknown: {', '.join(sorted(set(wanted) - set(SCRIPTS)))}; use {', '.join(SCRIPTS)}")
    if not sys.argv[1:]:
        introduction = INTRODUCTION.format(machine=machine())
    for script in wanted:
        command = [str(interpreter(script)), str(HERE / script)]
        done = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"benchmarks/{script} failed; README.md stays as it was")
        print(done.stdout, flush=True)
        tables[script] = done.stdout.strip()
    sections = (f"{MARK.format(script=script)}\n\n{tables[script]}" for script in SCRIPTS if script in tables)
    README.write_text(introduction.rstrip() + "\n\n" + "\n\n".join(sections) + "\n")


if __name__ == "__main__":
    main()

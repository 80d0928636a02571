"""Run every benchmark, each in a process of its own, and write the tables to benchmarks/README.md.

    make bench
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from harness import machine

HERE = Path(__file__).resolve().parent
SCRIPTS = ("sgld.py", "peers.py", "retraining.py", "scaling.py", "theory.py", "explorer.py", "gpu.py")

INTRODUCTION = """# Benchmarks

Written by `make bench`, which overwrites this file. Costs are CPU time of the whole process on one thread, the least
and the median of several rounds in which all contestants take turns; on a shared machine times vary by tens of per
cent, ratios within one table by less. `make peers` once beforehand adds the other libraries.

Machine: {machine}.

"""


def interpreter(script: str) -> Path:
    """The environment with the other libraries for `peers.py`, if there is one."""
    other = HERE.parent / ".venv-peers" / "bin" / "python"
    return other if script == "peers.py" and other.exists() else Path(sys.executable)


def main() -> None:
    parts = [INTRODUCTION.format(machine=machine())]
    print(parts[0], flush=True)
    for script in SCRIPTS:
        command = [str(interpreter(script)), str(HERE / script)]
        done = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"benchmarks/{script} failed; README.md stays as it was")
        print(done.stdout, flush=True)
        parts.append(done.stdout.rstrip() + "\n\n")
    (HERE / "README.md").write_text("".join(parts).rstrip() + "\n")


if __name__ == "__main__":
    main()

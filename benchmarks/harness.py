"""What the benchmarks share: contestants timed in turns, tables in Markdown, the machine in words.

Cost is CPU time of the whole process with one thread, which other programs on the machine disturb less than the clock
on the wall. All contestants run once a round, one after the other, so that what still disturbs meets all of them. Only
ratios of one run travel between machines.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Cost:
    """CPU microseconds per unit of work: the least and the median of the rounds."""

    least: float
    median: float


@dataclass(frozen=True)
class Table:
    """One table of results.

    Attributes:
        title: what was measured.
        header: names of the columns. rows: their cells.
        note: what the numbers say, and what they do not.
    """

    title: str
    header: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]

        def line(cells: Sequence[str]) -> str:
            padded = [cells[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True)]
            return "| " + " | ".join(padded) + " |"

        rule = "|" + "|".join("-" * (w + 1) + (":" if k else "-") for k, w in enumerate(widths)) + "|"
        parts = [f"## {self.title}", "\n".join([line(self.header), rule, *map(line, self.rows)])]
        return "\n\n".join(parts + [self.note] * bool(self.note)) + "\n"


def race(contestants: Mapping[str, Callable[[], int]], rounds: int = 5) -> dict[str, Cost]:
    """Run every contestant once a round, after a round that does not count.

    Args:
        contestants: functions that do some work and return how many units it was.
        rounds: that count.
    """
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for counted in range(rounds + 1):
        for name, run in contestants.items():
            began = time.process_time()
            units = run()
            cost = 1e6 * (time.process_time() - began) / units
            if counted:
                found[name].append(cost)
    return {name: Cost(min(costs), statistics.median(costs)) for name, costs in found.items()}


def ratios(costs: Mapping[str, Cost], base: str) -> list[tuple[str, str, str, str]]:
    """Rows of name, least, median, and how many times less than ``base`` (least over least)."""
    return [
        (name, number(cost.least), number(cost.median), number(costs[base].least / cost.least))
        for name, cost in costs.items()
    ]


def number(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Least-squares k of cost = c size^k."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def machine() -> str:
    """Processor, cores and versions, in one line."""
    cpu = platform.processor() or platform.machine()
    described = Path("/proc/cpuinfo")
    if described.exists():
        names = [line.split(":", 1)[1].strip() for line in described.read_text().splitlines() if "model name" in line]
        cpu, count = (names[0], len(names)) if names else (cpu, 0)
        cpu += f", {count} core{'s' * (count != 1)}"
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", "scipy", "torch"))
    return f"{cpu}; {platform.system()}; Python {platform.python_version()}, {versions}"

"""Run both sides of a comparison: settings, plan, chains, limits, identity of a run."""

from workbench.comparison.compare import Bar, Comparison, compare, no_bar
from workbench.comparison.identity import run_identity
from workbench.comparison.settings import Settings

__all__ = ["Bar", "Comparison", "Settings", "compare", "no_bar", "run_identity"]

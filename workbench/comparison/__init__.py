"""Run both sides of a comparison: settings, plan, limits, identity of a run."""

from workbench.comparison.compare import compare
from workbench.comparison.comparison import Comparison, load
from workbench.comparison.identity import run_identity
from workbench.comparison.settings import Settings
from workbench.influence import Bar, no_bar

__all__ = ["Bar", "Comparison", "Settings", "compare", "load", "no_bar", "run_identity"]

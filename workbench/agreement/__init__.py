"""Where the two sides are compared: errors, events and verdicts."""

from workbench.agreement.comparison import Bar, Comparison, compare, no_bar
from workbench.agreement.differences import error_table, measures_in, relative_l2, z_scores
from workbench.agreement.events import event_table, extreme_times, sign_flips
from workbench.agreement.groups import pair_groups
from workbench.agreement.identity import run_identity
from workbench.agreement.ruling import Verdict
from workbench.agreement.settings import Settings
from workbench.agreement.verdicts import verdict_table, verdicts

__all__ = [
    "Bar",
    "Comparison",
    "Settings",
    "Verdict",
    "compare",
    "error_table",
    "event_table",
    "extreme_times",
    "measures_in",
    "no_bar",
    "pair_groups",
    "relative_l2",
    "run_identity",
    "sign_flips",
    "verdict_table",
    "verdicts",
    "z_scores",
]

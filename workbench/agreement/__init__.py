"""How far the two sides agree: errors, events and verdicts, read off a dataset."""

from workbench.agreement.differences import error_table, measures_in, relative_l2, z_scores
from workbench.agreement.event_table import event_table
from workbench.agreement.events import extreme_times, sign_flips
from workbench.agreement.groups import ALL_OTHERS, pair_groups
from workbench.agreement.signs import sign_agreement
from workbench.agreement.verdict import Ruling, Verdict
from workbench.agreement.verdicts import verdict_table, verdicts

__all__ = [
    "ALL_OTHERS",
    "Ruling",
    "Verdict",
    "error_table",
    "event_table",
    "extreme_times",
    "measures_in",
    "pair_groups",
    "relative_l2",
    "sign_agreement",
    "sign_flips",
    "verdict_table",
    "verdicts",
    "z_scores",
]

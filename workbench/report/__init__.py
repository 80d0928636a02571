"""One HTML file that shows a comparison: figures, tables, formulas with their derivations, verdicts."""

from workbench.report.page import write_report

__all__ = ["write_report"]

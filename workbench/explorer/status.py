"""What the explorer says about itself now: simulation waiting, done or impossible, errors, notices, remarks."""

from __future__ import annotations

import html
from collections.abc import Callable

import ipywidgets as widgets

from workbench.explorer.boxes import display
from workbench.explorer.theme import BAD, GOOD, WAIT
from workbench.explorer.toolbar import button
from workbench.explorer.verdict import Verdict


class Status:
    """The lines above the picture.

    The status is one of ``stale`` (simulation waiting or running), ``fresh`` (points belong to the sliders) and
    ``stopped``; its element carries the class ``workbench-`` + that word.

    Attributes:
        word: the status.
        error: one line about what cannot be shown.
        remarks: sentences about what is missing from the picture.
    """

    def __init__(self, cancel: Callable[[], None], again: Callable[[], None]) -> None:
        self.word = ""
        self.line = widgets.HTML()
        self.bar = widgets.FloatProgress(min=0.0, max=1.0, layout=widgets.Layout(width="80px", flex="0 0 auto"))
        self.cancel = button("cancel", "stop the simulation", cancel)
        self.again = button("simulate", "run the simulation of this state", again)
        self.error, self.remarks, self._notice = widgets.HTML(), widgets.HTML(), widgets.HTML()
        understood = button("understood", "take this line away", lambda: self.notice(""))
        self.notice_row = widgets.HBox([self._notice, understood], layout=widgets.Layout(display="none"))
        row = widgets.HBox([self.cancel, self.again, self.bar, self.line])
        for box in (row, self.notice_row):
            box.add_class("workbench-row")
        for line in (self.line, self.error, self.remarks, self._notice):
            line.add_class("workbench-live")
        self.line.add_class("workbench-status")
        # Room for the line about what cannot be shown: the picture stays where it is.
        self.box = widgets.VBox([self.notice_row, row, self.error, self.remarks])
        self.error.add_class("workbench-room")

    def _say(self, word: str, line: str, tone: str) -> None:
        self.word = word
        # Only while there is something to wait for; after the buttons, which stay where they are.
        display(self.bar, word == "stale")
        self.line.value = f'<span class="workbench-{word} workbench-{tone}">{html.escape(line)}</span>'

    def stale(self) -> None:
        """The simulation is of another state."""
        self.bar.value = 0.0
        self._say("stale", "simulating…", WAIT)

    def progress(self, fraction: float) -> None:
        """So much of the simulation is done."""
        self.bar.value = fraction

    def fresh(self, verdict: Verdict) -> None:
        """The simulation belongs to the state; red where its deviation from theory is not to be expected."""
        self.bar.value = 1.0
        tone = BAD if not verdict.expected else WAIT if verdict.far else GOOD
        self._say("fresh", f"{'simulated' if tone == GOOD else '⚠ simulated'}: {verdict.line}", tone)

    def stopped(self, line: str) -> None:
        """There will be no simulation."""
        self.bar.value = 0.0
        self._say("stopped", line, BAD)

    def message(self, line: str) -> None:
        """One line about what cannot be shown; empty to take it away."""
        self._error(line, "workbench-error workbench-bad")

    def invitation(self, line: str) -> None:
        """One line about what to do next."""
        self._error(line, "workbench-invitation")

    def _error(self, line: str, classes: str) -> None:
        text = html.escape(" ".join(line.replace("`", "").split()))
        value = f'<span class="{classes}">{text}</span>' if line else ""
        if self.error.value != value:
            self.error.value = value

    def remark(self, sentences: tuple[str, ...]) -> None:
        """What is missing from the picture, and why."""
        value = " ".join(f"<span class='workbench-remark'>{html.escape(each)}.</span>" for each in sentences)
        if self.remarks.value != value:
            self.remarks.value = value

    def notice(self, line: str) -> None:
        """One line that stays until the user takes it away; empty to do so."""
        self._notice.value = f'<span class="workbench-notice workbench-bad">{html.escape(line)}</span>'
        self.notice_row.layout.display = None if line else "none"

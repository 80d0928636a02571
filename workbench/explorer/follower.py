"""The simulation that follows a view: started when the hand rests, its old points faded until the new are there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from workbench.explorer.runner import REST, Runner
from workbench.explorer.scene import Scene
from workbench.explorer.simulate import Progress, Simulated, simulate
from workbench.explorer.state import ExplorerState
from workbench.explorer.status import Status
from workbench.explorer.verdict import Verdict, at_checkpoints, verdict

if TYPE_CHECKING:
    from workbench.explorer.view import Explorer


class Follower:
    """Runs what the view's state asks for.

    Attributes:
        status: where it is said how far it is.
        waits: whether nothing has been asked for yet.
    """

    def __init__(self, view: Explorer) -> None:
        self.view = view
        self.status = Status(self.cancel, self.start)
        self.runner = Runner(self.status.progress, self._done, self._failed)
        self._verdict = Verdict("", True)
        self.waits = True

    def start(self, rest: float = REST) -> None:
        """Simulate the state after ``rest`` seconds of quiet, unless that is done."""
        view, self.waits = self.view, False
        if not view.stale:
            self.runner.cancel()
            self._say()
            return
        self.status.stale()
        self.runner.start(partial(_simulate_and_judge, view.state, view.scene, view.curves.end), rest)

    def settle(self) -> None:
        """Finish the simulation of the state now, whether or not an event loop is running."""
        view = self.view
        if view.stale:
            self.runner.run_now(partial(_simulate_and_judge, view.state, view.scene, view.curves.end))

    def cancel(self) -> None:
        """Stop; the old points stay, faded."""
        if self.runner.cancel() and self.view.stale:
            self.status.stopped("simulation cancelled; move any control, or press simulate, to start it again")

    def _done(self, outcome: tuple[Simulated, Verdict]) -> None:
        self.view.simulated, self._verdict = outcome
        self.view.draw()
        self._say()  # only once the picture shows it

    def _failed(self, line: str) -> None:
        self.status.stopped(f"no simulation: {line}")

    def _say(self) -> None:
        self.status.fresh(self._verdict)


def _simulate_and_judge(
    state: ExplorerState, scene: Scene, end: float, progress: Progress
) -> tuple[Simulated, Verdict]:
    simulated = simulate(state, scene, end, progress)
    return simulated, verdict(state, scene, simulated, at_checkpoints(state, scene, simulated))

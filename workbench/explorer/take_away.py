"""What can be taken away from a view: its figure, its data, the code that makes it again."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from workbench.explorer import save
from workbench.explorer.model import Curves
from workbench.explorer.panels import Panels
from workbench.explorer.scene import Scene
from workbench.explorer.simulate import Simulated
from workbench.explorer.state import ExplorerState


class TakeAway:
    """The part of `Explorer` that writes files."""

    state: ExplorerState
    scene: Scene
    curves: Curves
    simulated: Simulated | None
    figure: Figure
    panels: Panels

    @property
    def stale(self) -> bool:
        """Whether the simulated points are not those of the state."""
        raise NotImplementedError

    def save(self, path: str | Path) -> None:
        """Write the figure; the ending of the name (.png, .svg, .pdf) says how."""
        kind = Path(path).suffix.lstrip(".").upper()
        Path(path).write_bytes(self.picture(kind))

    def picture(self, kind: str = "PNG") -> bytes:
        """The figure as a PNG, SVG or PDF file, with the numbers of the equation and the state in its metadata."""
        with self.panels.captioned():
            return save.figure_bytes(self.figure, kind, self.state)

    def save_data(self, path: str | Path) -> None:
        """Write the data: ``.csv`` the curves in sight, ``.nc`` every pair of items."""
        kind = {"csv": "CSV", "nc": "netCDF"}.get(Path(path).suffix.lstrip("."), Path(path).suffix)
        Path(path).write_bytes(self.data(kind))

    def code(self) -> str:
        """Python that makes this picture again."""
        return save.code(self.state)

    def data(self, kind: str) -> bytes:
        """The data as CSV or netCDF."""
        return save.data_bytes(kind, self.state, self.scene, self.curves, None if self.stale else self.simulated)

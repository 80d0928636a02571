"""What a comparison returns: one dataset, what to know about how it was made, and how far its sides agree."""

from __future__ import annotations

import html
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import xarray as xr

from workbench import dataset
from workbench.agreement import Ruling, Verdict, error_table, event_table, verdicts


@dataclass(frozen=True, eq=False)
class Comparison:
    """Both sides of a task in one labelled dataset, and what the user should know about how it was made.

    Attributes:
        dataset: see `workbench.dataset`.
        notes: sentences.
    """

    dataset: xr.Dataset
    notes: list[str] = field(default_factory=list)

    def errors(self) -> pd.DataFrame:
        """Relative errors between the sides, one row a measure and group of pairs; see `agreement.error_table`."""
        return error_table(self.dataset)

    def events(self) -> pd.DataFrame:
        """Sign flips and peaks on both sides; see `agreement.event_table`."""
        return event_table(self.dataset)

    def verdicts(self) -> list[Verdict]:
        """Every claim judged; see `agreement.verdicts`."""
        return verdicts(self.dataset)

    def summary(self) -> str:
        """Errors and verdicts as text; what holds names the smallest error that it would have caught."""
        errors = self.errors().to_string(index=False, float_format=lambda x: f"{x:.3g}", na_rep="")
        return f"{errors}\n\nClaims\n" + "\n".join(_line(verdict) for verdict in self.verdicts())

    def save(self, path: str | Path) -> None:
        """One netCDF file that `workbench.load` reads again, and xarray with h5netcdf or netCDF4."""
        dataset.write(self.dataset.assign_attrs(notes=json.dumps(self.notes)), Path(path))

    def _repr_html_(self) -> str:
        ds, judged = self.dataset, self.verdicts()
        counts = Counter(verdict.ruling.value for verdict in judged)
        end = f"{ds.sizes['time']} checkpoints to t = {float(ds['time'].values[-1]):.4g}"
        about = f"{ds.attrs['task']}: {ds.sizes['item']} items, {dataset.network_words(ds)}, {end}"
        rows = pd.DataFrame(
            [(v.ruling.value, v.claim, v.found, v.allowed) for v in judged],
            columns=["ruling", "claim", "found", "allowed"],
        )
        return "\n".join(
            [
                f"<p><strong>Comparison</strong> of {html.escape(about)}<br>"
                f"{html.escape(', '.join(f'{n} {word}' for word, n in counts.items()))}</p>",
                rows.to_html(index=False),
                self.errors().to_html(index=False, float_format=lambda x: f"{x:.3g}", na_rep=""),
                "".join(f"<p>{html.escape(note)}</p>" for note in self.notes),
            ]
        )


def load(path: str | Path) -> Comparison:
    """A comparison from the file that `Comparison.save` wrote, or from the directory of ``workbench compare``."""
    ds = dataset.read(Path(path))
    return Comparison(ds, json.loads(ds.attrs.get("notes", "[]")))


def _line(verdict: Verdict) -> str:
    caught = f"; would have caught {verdict.catches}" if verdict.ruling is Ruling.HOLDS else ""
    word = "FAILS" if verdict.ruling is Ruling.FAILS else verdict.ruling.value
    return f"  {word:<12} {verdict.claim}: {verdict.found} (allowed {verdict.allowed}{caught})"

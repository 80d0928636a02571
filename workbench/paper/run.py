"""Run what the sentences assert: one comparison of the toy model, and one language model."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import xarray as xr

from workbench.comparison import Comparison, Settings, compare
from workbench.errors import WorkbenchError
from workbench.influence import Bar, no_bar
from workbench.language.settings import LanguageSettings, Posterior
from workbench.paper.sentence import Sentence
from workbench.paper.tokens import token_sentence
from workbench.paper.toy import toy_sentences
from workbench.semantics import SemanticTask, task_from_spec

#: Measures whose influence the abstract may be speaking of.
MEASURES = ("gradient_kernel", "local_bif", "leave_one_out", "trajectory_derivative")


@dataclass(frozen=True)
class PaperSettings:
    """What is run.

    Attributes:
        quick: fewer checkpoints and shorter chains.
        seed: of everything random.
        language: a result of `workbench language`, to be read in place of a small run of its own.
    """

    quick: bool = False
    seed: int = 0
    language: Path | None = None

    def comparison(self, spec: str | None) -> Settings:
        """Settings of the toy model."""
        checkpoints, draws = (32, 200) if self.quick else (60, 500)
        return Settings(task=spec, measures=MEASURES, seed=self.seed, checkpoints=checkpoints, draws=draws)

    def language_settings(self) -> LanguageSettings:
        """A language model that takes two minutes of a core, or half a minute."""
        small = LanguageSettings(seed=self.seed, documents=4000, observed=12, permutations=10)
        # Log-spaced so that a checkpoint falls into the stage of the class that is named beforehand.
        if self.quick:
            return replace(small, steps=120, checkpoints=5, posterior=Posterior(chains=4, draws=20, batch=8))
        return replace(small, steps=220, checkpoints=10, posterior=Posterior(chains=6, draws=40, batch=8))


def paper(
    settings: PaperSettings | None = None,
    task: SemanticTask | None = None,
    *,
    spec: str | None = None,
    bar: Bar = no_bar,
) -> tuple[list[Sentence], Comparison, xr.Dataset]:
    """The sentences with what was found, and the two results they rest on.

    Args:
        settings: see `PaperSettings`. task: in place of the default tree; spec: as the user named it.
        bar: opens progress bars.
    """
    asked = settings or PaperSettings()
    language = None if asked.language is None else read_language(asked.language)
    comparison = compare(task or task_from_spec("tree"), asked.comparison(spec or "tree"), bar)
    if language is None:
        from workbench.language.study import language_study

        language = language_study(asked.language_settings(), bar=bar)
    return [*toy_sentences(comparison), token_sentence(language)], comparison, language


def read_language(folder: Path) -> xr.Dataset:
    """``language.nc`` of a directory that `workbench language` wrote.

    Raises:
        WorkbenchError: if there is none, or it does not hold what is needed.
    """
    file = folder / "language.nc" if folder.is_dir() else folder
    try:
        ds = xr.load_dataset(file, engine="h5netcdf")
        json.loads(ds.attrs["config"])
        needed = ds["group_correlation"], ds["group_correlation_stderr"], ds["control_correlation"], ds.attrs["chains"]
    except (OSError, ValueError, KeyError) as error:
        raise WorkbenchError(f"{folder} is no result of a language model that can be read: {error}") from None
    if needed[0].sizes["time"] < 3:
        raise WorkbenchError(f"{folder} has {needed[0].sizes['time']} checkpoints; 3 or more are needed for a change")
    return ds

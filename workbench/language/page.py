"""A study as a directory: ``language.nc``, figures, and a page that shows them with tables and words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from workbench import dataset
from workbench.figures import Rendered, save
from workbench.language.extras import Extra
from workbench.language.figures import Drawn, all_figures, stages
from workbench.language.shape import shapes
from workbench.language.study import Bar, no_bar
from workbench.language.text import telling_token, text_html
from workbench.report.directory import MARKER, staged
from workbench.report.images import illustration
from workbench.report.introduction import parameters
from workbench.report.markup import Markup, document, element, slug, together
from workbench.report.page import CSS
from workbench.report.tables import table
from workbench.store.files import write_file

_INTRODUCTION = (
    "A language model is trained, and around each of its checkpoints Markov chains wander in the weights that are "
    "about as good: {posterior}. If the losses of two tokens rise and fall together along the chains, more weight on "
    "the one lowers the loss of the other: influence, minus their covariance, is negative, and the one helps the "
    "other. Here it is averaged over pairs of tokens of two classes.",
    "Correlation (influence relative to how much the losses move at all) is what is compared over training, since "
    "losses of early checkpoints move far more. Standard errors come {stderr}; they say how well the chains know this "
    "network, not how another seed would have trained.",
)


def write_study(
    ds: xr.Dataset,
    target: Path,
    *,
    extras: Sequence[Extra] = (),
    force: bool = False,
    bar: Bar = no_bar,
    within: Path | None = None,
) -> pd.DataFrame:
    """Write ``language.nc``, ``report.html``, ``figures/`` and ``config.json``; returns the table of shapes.

    Args:
        ds: as from `language_study`. target: directory to create; ``force`` replaces an earlier result there.
        extras: further sections, each with a table that is also written as CSV.
        bar: opens progress bars. within: where it is put together, if not beside ``target``.
    """
    shape = shapes(ds)
    ds = ds.merge(xr.merge([extra.arrays for extra in extras if extra.arrays is not None]), combine_attrs="override")
    config = {
        "settings": json.loads(ds.attrs["config"]),
        "resolved": {key: _plain(value) for key, value in ds.attrs.items() if key != "config"},
    }
    with staged(target, force, within) as work:
        dataset.write(ds, work / "language.nc")
        write_file(work / MARKER, json.dumps(config, indent=2) + "\n")
        (work / "figures").mkdir()
        provenance = {"code_version": str(ds.attrs["code_version"]), "config": str(ds.attrs["config"])}
        figures, drawn = all_figures(ds), {}
        figures |= {e.name: Drawn(e.figure, e.words) for e in extras if e.figure is not None and e.words is not None}
        with bar("figures", len(figures)) as advance:
            for name, shown in figures.items():
                drawn[name] = save(shown.image, work / "figures", name, provenance)
                advance(1)
        for extra in extras:
            write_file(work / f"{extra.name}.csv", extra.frame.to_csv(index=False))
        write_file(work / "report.html", page(ds, shape, figures, drawn, config, extras))
    return shape


def page(
    ds: xr.Dataset,
    shape: pd.DataFrame,
    figures: Mapping[str, Drawn],
    drawn: Mapping[str, Rendered],
    config: Mapping[str, Any],
    extras: Sequence[Extra] = (),
) -> str:
    """One HTML file that needs no network and no script."""
    title = "Influence in a language model over its training"
    own = {extra.name for extra in extras}
    sections: Sequence[tuple[str, Markup]] = (
        ("What is shown", together(*(element("p", line.format(**ds.attrs)) for line in _INTRODUCTION))),
        ("Are the curves more than monotone?", _shape_section(ds, shape)),
        ("Figures", _figures({name: shown for name, shown in figures.items() if name not in own}, drawn)),
        *((extra.title, _extra(extra, drawn)) for extra in extras),
        ("The text", _text(ds)),
        ("Classes and chains", together(*(table(*entry) for entry in tables(ds)))),
        (
            "How it was made",
            together(
                table("Parameters", pd.DataFrame(parameters(ds), columns=["name", "value"]).set_index("name"), ""),
                element("pre", json.dumps(config["settings"], indent=2)),
            ),
        ),
    )
    links = [element("li", element("a", name, href=f"#{slug(name)}")) for name, _ in sections]
    body = together(
        element("header", element("h1", title), element("nav", element("ol", *links), aria_label="Contents")),
        element("main", *(element("section", element("h2", name), inner, id=slug(name)) for name, inner in sections)),
    )
    return together(document(title, CSS, body), "\n")


def _shape_section(ds: xr.Dataset, shape: pd.DataFrame) -> Markup:
    both, signs = (shape["verdict"] == "rises and falls").sum(), (shape["sign"] == "changes").sum()
    critical, sure = shape.attrs["critical_difference"], shape.attrs["critical_value"]
    said = (
        f"{both} of {len(shape)} pairs of classes rise and fall beyond noise, {signs} change sign. A rise or fall "
        f"counts from {critical:.1f} of its own standard errors on, a sign from {sure:.1f}: what pure noise with "
        f"{ds.sizes['time']} checkpoints and {ds.attrs['chains']} chains exceeds anywhere in one of 100 cases."
    )
    note = "Influence in thousandths of a correlation, ± one standard error, at the step of the surest value."
    return together(element("p", said), table("Shape of every curve", shape.drop(columns="sureness"), note))


def _figures(figures: Mapping[str, Drawn], drawn: Mapping[str, Rendered]) -> Markup:
    return together(
        *(
            together(element("h3", shown.words.title), illustration(name, shown.words, drawn[name]))
            for name, shown in figures.items()
        )
    )


def _extra(extra: Extra, drawn: Mapping[str, Rendered]) -> Markup:
    image = illustration(extra.name, extra.words, drawn[extra.name]) if extra.words is not None else Markup()
    return together(element("p", extra.said), image, table(extra.title, extra.frame, extra.note))


def _text(ds: xr.Dataset) -> Markup:
    token, at = telling_token(ds), stages(ds)
    written = [
        together(element("h3", f"Step {int(ds['step'].values[k]):,}"), Markup(text_html(ds, k, 0, token))) for k in at
    ]
    note = "Blue tokens help the framed one, orange ones harm it; the number shows when the pointer rests on a token."
    return together(element("p", note, class_="note"), *written)


def tables(ds: xr.Dataset) -> Sequence[tuple[str, pd.DataFrame, str]]:
    """Losses and sizes by class, and how the chains did at every checkpoint."""
    classes = pd.DataFrame({"observed tokens": ds["class_size"].values}, index=ds["class"].values)
    if "learned_at" in ds:
        classes["half of the gain at step"] = ds["learned_at"].values
    for k in stages(ds):
        classes[f"loss at step {int(ds['step'].values[k])}"] = ds["class_loss"].values[k]
    classes.index.name = "class"
    chains = pd.DataFrame(
        {
            "step": ds["step"].values,
            "loss above that at the checkpoint": ds["loss_rise"].values,
            "largest R-hat": ds["rhat"].max("class").values,
            "median effective sample size": ds["ess"].median("class").values,
            "learning coefficient": ds["learning_coefficient"].values,
            "± one standard error": ds["learning_coefficient_stderr"].values,
        }
    )
    return (
        ("Classes", classes, "Losses in nats on the observed documents."),
        ("Chains", chains, "R-hat near 1 and a loss close to that at the checkpoint: the chains have stayed local."),
    )


def summary(ds: xr.Dataset, shape: pd.DataFrame, rows: int = 8) -> str:
    """The surest curves for the terminal."""
    shown = shape.head(rows)[["pair", "verdict", "rise", "fall", "sign", "lowest", "highest"]]
    both, signs = (shape["verdict"] == "rises and falls").sum(), (shape["sign"] == "changes").sum()
    return (
        f"influence class to class (correlation x 1000, minus = helps), {ds.sizes['time']} checkpoints\n"
        f"{shown.to_string(index=False, float_format=lambda x: f'{x:.1f}')}\n"
        f"{both} of {len(shape)} pairs rise and fall beyond noise, {signs} change sign"
    )


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value

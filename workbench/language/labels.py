"""Arrays of all checkpoints of a study under one set of names: the dataset that ``language.nc`` holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench import __version__
from workbench.language.checkpoint import Arrays, Subject
from workbench.language.corpus import class_counts
from workbench.language.settings import Posterior
from workbench.language.training import Trained, half_gain_steps
from workbench.simulation.module.result import SIGN

_DIMS = {
    "class_loss": ("class",),
    "class_loss_stderr": ("class",),
    "rhat": ("class",),
    "ess": ("class",),
    "prefix_matching": ("head",),
    "previous_token": ("head",),
    "token_correlation": ("document", "source_token", "target_token"),
    "token_correlation_stderr": ("document", "source_token", "target_token"),
    "learning_coefficient": (),
    "learning_coefficient_stderr": (),
    "loss_rise": (),
    "even": (),
}
_LONG = {
    "class_loss": ("nat", "mean loss of the tokens of a class at the checkpoint"),
    "group_covariance": ("nat^2", "minus the mean covariance of the losses of distinct tokens of two classes"),
    "group_correlation": ("1", "minus the mean correlation of the losses of distinct tokens of two classes"),
    "group_correlation_null": ("1", "the same with class labels permuted, mean over permutations"),
    "control_covariance": ("nat^2", "group_covariance at n beta = 0: the loss switched off"),
    "control_correlation": ("1", "group_correlation at n beta = 0: the loss switched off"),
    "kernel_covariance": ("nat^2", "minus the mean of g_i . g_j over gamma: the first-order prediction"),
    "kernel_correlation": ("1", "minus the mean cosine of g_i and g_j: the first-order prediction"),
    "prefix_matching": ("1", "attention to the token after the earlier occurrence of the present one"),
    "previous_token": ("1", "attention to the previous token"),
    "learning_coefficient": ("1", "n beta (E L - L(w*)) over the observed documents"),
    "loss_rise": ("nat", "mean loss along the chains minus that at the checkpoint"),
    "rhat": ("1", "largest split R-hat of the losses of a class"),
    "ess": ("1", "median effective sample size of the losses of a class"),
    "token_correlation": ("1", "minus the correlation of the losses of two tokens of a shown document"),
}


def dataset(
    subject: Subject,
    steps: Sequence[float] | NDArray[np.int64],
    measured: Sequence[Arrays],
    posterior: Posterior,
    *,
    config: Mapping[str, Any],
    seed: int,
) -> xr.Dataset:
    """Arrays of all checkpoints under one set of names."""
    observed, names = subject.observed, list(subject.observed.class_names)
    variables: dict[str, Any] = {}
    for name in measured[0]:
        if name in ("batching", "meaning"):
            continue
        dims = _DIMS.get(name, ("source_class", "target_class"))
        unit, said = _LONG.get(name.removesuffix("_stderr").removesuffix("_spread"), ("1", name))
        said = f"standard error of {name.removesuffix('_stderr')}" if name.endswith("_stderr") else said
        said = "standard deviation over permutations" if name.endswith("_spread") else said
        values = np.array([arrays[name] for arrays in measured], dtype=np.float64)
        variables[name] = (("time", *dims), values, {"units": unit, "long_name": said})
    shown = observed.chosen(np.arange(min(subject.shown, observed.documents)))
    variables["class_size"] = ("class", class_counts(observed), {"long_name": "observed tokens of a class"})
    variables["text"] = (("document", "position"), [shown.text(d) for d in range(shown.documents)])
    variables["text_class"] = (("document", "position"), shown.classes, {"long_name": "number of the class; -1: none"})
    n = observed.tokens.shape[1]
    heads = [f"{layer}.{head}" for layer in range(_layers(config)) for head in range(int(config.get("heads", 1)))]
    coords: dict[str, Any] = {
        "step": ("time", np.asarray(steps), {"units": "training steps"}),
        "class": names,
        "source_class": names,
        "target_class": names,
        "position": np.arange(n),
        "source_token": np.arange(1, n),
        "target_token": np.arange(1, n),
    }
    if "prefix_matching" in variables:
        count = variables["prefix_matching"][1].shape[1]
        coords["head"] = heads if len(heads) == count else [str(k) for k in range(count)]
    attrs = {
        "sign": SIGN,
        "posterior": str(measured[0]["meaning"]),
        "batching": "; ".join(dict.fromkeys(str(arrays["batching"]).split(":")[0] for arrays in measured)),
        "stderr": f"from the spread of {posterior.chains} independent chains around one trained network",
        "chains": posterior.chains,
        "n_beta": posterior.n_beta,
        "gamma": posterior.gamma,
        "config": json.dumps(config),
        "seed": seed,
        "code_version": __version__,
    }
    return xr.Dataset(variables, coords=coords, attrs=attrs)


def with_losses(ds: xr.Dataset, trained: Trained) -> xr.Dataset:
    """The losses that were followed during training, and the step at which half of each class's gain was made."""
    half = half_gain_steps(trained.loss_steps, trained.class_loss)
    return ds.assign(
        followed_loss=(("followed_step", "class"), trained.class_loss, {"units": "nat"}),
        learned_at=("class", half, {"units": "training steps", "long_name": "half of the gain in loss is made"}),
    ).assign_coords(followed_step=trained.loss_steps)


def _layers(config: Mapping[str, Any]) -> int:
    return int(config.get("layers", 1))

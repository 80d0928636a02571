"""The options of a comparison: those that belong to no measure, and those that the measures declare."""

from __future__ import annotations

from collections.abc import Mapping

from workbench import influence
from workbench.errors import WorkbenchError
from workbench.influence import DEFAULT_MEASURES, Measure, Option

_TABLE, _NETWORK, _INFLUENCE, _RUNNING = "the table", "network and training", "influence", "running"

#: The settings that belong to no measure, in the order of the command line.
OPTIONS: tuple[Option, ...] = (
    Option(
        "centre",
        "switch",
        "take its mean over the items from every property (column of the table)",
        default=False,
        group=_TABLE,
    ),
    Option(
        "standardise",
        "switch",
        "centre every property and divide it by its standard deviation over the items",
        default=False,
        group=_TABLE,
    ),
    Option(
        "hidden",
        "integer",
        "hidden units; fewer than modes means fewer are learned",
        default=16,
        group=_NETWORK,
        metavar="N",
    ),
    Option("depth", "integer", "layers of weights", default=2, group=_NETWORK, metavar="D"),
    Option(
        "activation",
        "word",
        "of the hidden layers; relu and tanh are trained and measured, without a prediction",
        default="linear",
        choices=("linear", "relu", "tanh"),
        group=_NETWORK,
    ),
    Option(
        "init",
        "word",
        "balanced:a0 starts every mode at strength a0 (the closed forms' case); unequal:a0:lambda the same with two "
        "layers of unequal size, w2^2 - w1^2 = lambda; gaussian:sigma independent weights; "
        "auto: balanced:0.01, smaller for a table in small numbers; gaussian for relu and tanh",
        default="auto",
        group=_NETWORK,
        metavar="I",
    ),
    Option("checkpoints", "integer", "how many, from flow time 0", default=60, group=_NETWORK, metavar="N"),
    Option(
        "spacing",
        "word",
        "of the checkpoints: even or log-spaced in flow time, or the stages that theory predicts and even between",
        default="even",
        choices=("even", "log", "stages"),
        group=_NETWORK,
    ),
    Option(
        "t_max",
        "number",
        "last flow time; auto: 99.5% of the loss gone, and 25% more",
        automatic=True,
        group=_NETWORK,
        metavar="T",
    ),
    Option(
        "eta",
        "number",
        "learning rate; auto: mode strengths within 1e-3 of the flow",
        automatic=True,
        group=_NETWORK,
        metavar="X",
    ),
    Option(
        "eta_fraction",
        "number",
        "learning rate as a fraction of the largest stable one, 1/s_max",
        group=_NETWORK,
        metavar="X",
    ),
    Option(
        "optimizer",
        "word",
        "gradient descent, momentum 0.9 in its averaged form, or Adam, whose steps follow no flow: not predicted",
        default="gd",
        choices=("gd", "momentum", "adam"),
        group=_NETWORK,
    ),
    Option("train_batch", "integer", "items a mini-batch of training (default: all)", group=_NETWORK, metavar="N"),
    Option("measures", "words", "which of {measures}, separated by commas", default=DEFAULT_MEASURES, metavar="M,M"),
    Option("seed", "integer", "of everything random", default=0, group=_RUNNING, metavar="N"),
    Option(
        "seeds",
        "integer",
        "starts, with seed, seed + 1, ..., trained side by side: bands in figures, the spread of events",
        default=1,
        group=_RUNNING,
        metavar="N",
    ),
    Option(
        "device",
        "word",
        "where training and sampling run",
        default="auto",
        choices=("auto", "cpu", "cuda"),
        group=_RUNNING,
    ),
    Option(
        "dtype",
        "word",
        "of the chains; training is float64",
        default="float64",
        choices=("float32", "float64"),
        group=_RUNNING,
    ),
)


def all_options(measures: Mapping[str, Measure] | None = None) -> tuple[Option, ...]:
    """Every option of a comparison: those of no measure, and those of the measures, each once."""
    known = (influence.MEASURES if measures is None else measures).values()
    options = dict.fromkeys([*OPTIONS, *(option for measure in known for option in measure.options)])
    names = [option.name for option in options]
    for name in names:
        if names.count(name) > 1:
            raise WorkbenchError(f"two options are called `{name}`; rename the measure's, or share one Option")
    return tuple(sorted(options, key=lambda option: option.group == _RUNNING))

"""What the measures through training share: the option of how the kept items are weighted."""

from __future__ import annotations

from workbench.influence.option import Option

CONVENTION = Option(
    "convention",
    "word",
    "the other items keep their weight, or the weights are rescaled to sum to 1",
    default="unnormalised",
    choices=("unnormalised", "renormalised"),
)

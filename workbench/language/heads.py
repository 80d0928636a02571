"""What attention heads do: look at the previous token, or at what followed the present one before.

A place p of a document is an induction place where the pair (token p, token p + 1) stood there before, at j, j + 1,
and j is the latest such. A head's **prefix-matching score** is the attention from p to j + 1, the token to be copied;
its **previous-token score** is the attention from every p to p - 1. Both are means, from 0 to 1; a head that spreads
its attention evenly has the mean of 1/(p + 1) in both (`even`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.language.corpus import Ints

Array = NDArray[np.float64]


class HeadScores(NamedTuple):
    """``(layers x heads,)`` scores, layer by layer, and the prefix-matching score of even attention."""

    prefix_matching: Array
    previous_token: Array
    even: float


def induction_places(tokens: Ints) -> Ints:
    """``(K, 3)`` document, place p and place j + 1 to be copied, of tokens ``(documents, n)``."""
    places = []
    for document, row in enumerate(tokens):
        seen: dict[tuple[int, int], int] = {}
        for p, pair in enumerate(zip(row[:-1].tolist(), row[1:].tolist(), strict=True)):
            if pair in seen:
                places.append((document, p, seen[pair] + 1))
            seen[pair] = p
    return np.array(places, dtype=np.int64).reshape(-1, 3)


def head_scores(patterns: list[torch.Tensor], places: Ints) -> HeadScores:
    """Scores of every head.

    Args:
        patterns: ``(documents, heads, n, n)`` attention of every layer.
        places: as from `induction_places`, of the classes that are of interest.
    """
    if not len(places):
        raise WorkbenchError("no pair of tokens comes twice in a document; observe more or longer documents")
    document, p, copied = torch.tensor(places.T)
    prefix = [pattern[document, :, p, copied].mean(dim=0) for pattern in patterns]
    later = torch.arange(1, patterns[0].shape[-1])
    previous = [pattern[:, :, later, later - 1].mean(dim=(0, 2)) for pattern in patterns]
    even = float((1 / (p + 1.0)).mean())
    of_copied, of_previous = (torch.cat(part).double().cpu().numpy() for part in (prefix, previous))
    return HeadScores(of_copied, of_previous, even)

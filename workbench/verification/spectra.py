"""Claims about the spectra of hierarchies."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from workbench.semantics import Hierarchy
from workbench.semantics.hierarchy import Coding
from workbench.theory.modes.spectrum import hierarchy_spectrum
from workbench.verification.claims import Claim, Outcome, compared

Array = NDArray[np.float64]


def _with_multiplicity(tree: Hierarchy, kind: str, **parameters: float) -> Array:
    spectrum = hierarchy_spectrum(tree, kind)
    return np.sort(np.repeat(spectrum.values(**parameters), spectrum.multiplicities))


def _indicator(kind: str, coding: Coding) -> Outcome:
    predicted, computed = [], []
    for branching, copies in (((2, 2, 2), (1, 2, 1, 3)), ((3, 2), (1, 1, 2)), ((2, 4, 3), (2, 0, 1, 1))):
        tree = Hierarchy(branching)
        task = tree.indicator_task(copies, coding=coding)
        predicted.append(_with_multiplicity(tree, kind, **{f"q{level}": q for level, q in enumerate(copies)}))
        computed.append(np.linalg.eigvalsh(task.Y.T @ task.Y))
    return compared(np.concatenate(predicted), np.concatenate(computed))


def _diffusion() -> Outcome:
    """Every way in which the 6 edges of a (2, 2) tree can flip, with its probability."""
    flips, tree = (0.1, 0.23), Hierarchy((2, 2))
    covariance = np.zeros((4, 4))
    for flipped in product((0, 1), repeat=6):
        top, leaves = np.array(flipped[:2]), np.array(flipped[2:])
        chance = np.prod(np.where(top, flips[0], 1 - flips[0])) * np.prod(np.where(leaves, flips[1], 1 - flips[1]))
        value = (1 - 2 * np.repeat(top, 2)) * (1 - 2 * leaves)
        covariance += chance * np.outer(value, value)
    predicted = _with_multiplicity(tree, "diffusion", eps1=flips[0], eps2=flips[1])
    return compared(predicted, np.linalg.eigvalsh(covariance))


def _published() -> Outcome:
    tree = Hierarchy((2, 2, 2))
    indicator = hierarchy_spectrum(tree).values(q0=1, q1=1, q2=1, q3=1)
    diffusion = hierarchy_spectrum(tree, "diffusion").values(eps1=0.1, eps2=0.1, eps3=0.1)
    return compared(np.concatenate([indicator, diffusion]), [15, 7, 3, 1, 3.5078, 1.4106, 0.8208, 0.36], scale=1.0)


_FAMILY = "Spectra of hierarchies"
CLAIMS = (
    Claim(
        _FAMILY,
        "the eigenvalues of Y^T Y of 0/1 trees are nu_k, with their multiplicities",
        ("nu_indicator_k",),
        "dense eigenvalues of three trees",
        1e-13,
        "rounding of a symmetric eigenvalue solver",
        lambda: _indicator("indicator", "01"),
    ),
    Claim(
        _FAMILY,
        "the same for +-1 properties",
        ("nu_pm1_k",),
        "dense eigenvalues of three trees",
        1e-13,
        "rounding of a symmetric eigenvalue solver",
        lambda: _indicator("indicator_pm1", "pm1"),
    ),
    Claim(
        _FAMILY,
        "the eigenvalues of branching diffusion are nu_k",
        ("nu_diffusion_k",),
        "brute force: all 64 ways in which the edges of a (2,2) tree flip",
        1e-13,
        "rounding of sums and eigenvalues",
        _diffusion,
    ),
    Claim(
        _FAMILY,
        "worked values of the 8-item tree: 15, 7, 3, 1 and 3.5078, 1.4106, .8208, .36",
        ("nu_indicator_k", "nu_diffusion_k"),
        "reference values, computed independently",
        5.1e-5,
        "four digits are given",
        _published,
    ),
)

"""Claims about the Bayesian learning process: phases, prior, and the coupled posterior of a hierarchy."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar

from workbench.semantics import Hierarchy, SemanticTask, singular_modes, task_from_spec
from workbench.theory.modes.spectrum import hierarchy_spectrum
from workbench.theory.posterior import coexistence, phases
from workbench.theory.posterior.bayesian_learner import bayesian_learner
from workbench.theory.posterior.coupled_posterior import coupled_covariance, coupled_covariance_by_level, coupled_flips
from workbench.theory.posterior.mode_prior import ModePrior, prior_spread_form
from workbench.theory.posterior.phase_comparison import phase_comparison
from workbench.theory.posterior.scalar_posterior import scalar_posterior
from workbench.verification.claims import Claim, Outcome, compared, pointwise
from workbench.verification.reference import autograd_gradients, autograd_hessian

Array = NDArray[np.float64]
_TREE = Hierarchy((2, 2, 2))


def _levels() -> Array:
    return hierarchy_spectrum(_TREE).singular_values(q0=1, q1=1, q2=1, q3=1)


def _total_covariance() -> Outcome:
    rng = np.random.default_rng(0)
    U, V, share = rng.normal(size=(5, 2)), rng.normal(1.0, 2.0, size=(7, 2)), 0.3
    values = np.concatenate([U, V])
    p = np.concatenate([np.full(5, share / 5), np.full(7, (1 - share) / 7)])
    centred = values - p @ values
    predicted = phases.total_covariance_form()(
        pi_U=share,
        Cov_U=np.cov(U.T, bias=True)[0, 1],
        Cov_V=np.cov(V.T, bias=True)[0, 1],
        mu_iU=U[:, 0].mean(),
        mu_iV=V[:, 0].mean(),
        mu_jU=U[:, 1].mean(),
        mu_jV=V[:, 1].mean(),
    )
    return compared(predicted, (p * centred[:, 0]) @ centred[:, 1])


def _prior() -> Outcome:
    """``E[(w . v)^2]`` by Gauss-Hermite quadrature of all weights, exact for a polynomial of degree 4."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(4)
    predicted, computed = [], []
    for hidden in (1, 2, 3):
        z = np.array(list(product(nodes, repeat=2 * hidden))) / np.sqrt(7.0)
        p = np.prod(np.array(list(product(weights, repeat=2 * hidden))), axis=1)
        a = (z[:, :hidden] * z[:, hidden:]).sum(axis=1)
        predicted.append(float(prior_spread_form()(gamma=7.0, hidden=hidden)))
        computed.append(float(p @ a**2 / p.sum()))
    return pointwise(predicted, computed)


def _moments_of_weights(
    depth: int, gamma: float, n_beta: float, s: float, reach: float, nodes: int
) -> tuple[float, float]:
    """Mean and variance of q by the trapezoid rule over all weights, which converges exponentially here."""
    axis = np.linspace(-reach, reach, nodes)
    grids = np.meshgrid(*[axis] * depth, indexing="ij", sparse=True)
    a, square = np.ones(()), np.zeros(())
    for grid in grids:
        a, square = a * grid, square + grid**2
    q = (s - a) ** 2 / 2
    p = np.exp(-n_beta * q - gamma / 2 * square)
    mean = float((p * q).sum() / p.sum())
    return mean, float((p * (q - mean) ** 2).sum() / p.sum())


def _posterior() -> Outcome:
    predicted, computed = [], []
    for depth, gamma, n_beta, s, reach, nodes in (
        (2, 5.0, 12.0, 1.0, 4.5, 900),
        (2, 5.0, 3.0, 0.6, 4.5, 900),
        (3, 6.0, 16.0, 1.0, 3.6, 120),
    ):
        ours = scalar_posterior(s, 1.0, n_beta, ModePrior(gamma, depth))
        predicted.append((ours.mean[0], ours.variance[0]))
        computed.append(_moments_of_weights(depth, gamma, n_beta, s, reach, nodes))
    return pointwise(predicted, computed)


def _learner() -> Outcome:
    """Two items with two modes: four weights, one pair a mode, integrated mode by mode."""
    modes = singular_modes(Hierarchy((2,)).indicator_task())
    ours = bayesian_learner(modes, [9.0], gamma=4.0)
    V2, per_mode = modes.V**2, []
    for s in modes.s:
        axis = np.linspace(-5.5, 5.5, 1100)
        a = axis[:, None] * axis[None, :]
        q = 2 / (2 * modes.c) * (s - modes.c * a) ** 2
        p = np.exp(-9.0 / 2 * q - 2.0 * (axis[:, None] ** 2 + axis[None, :] ** 2))
        mean = (p * q).sum() / p.sum()
        per_mode.append((p * (q - mean) ** 2).sum() / p.sum())
    computed = np.einsum("k,ik,jk->ij", per_mode, V2, V2)
    whole = np.stack([ours.covariance[0], ours.between[0] + ours.within[0]])
    return compared(whole, np.stack([computed, computed]))


def _low_temperature() -> Outcome:
    """Order in 1/gamma at which the exact posterior approaches the forms, at twice the threshold, s = c = 1."""
    gaps = []
    for gamma in (1e3, 2e3):
        at = {"n_beta": 2 * gamma, "gamma": gamma, "s": 1.0, "c": 1.0}
        exact = scalar_posterior(1.0, 1.0, 2 * gamma, ModePrior(gamma, 2))
        variance, strength = phases.low_temperature_variance_form()(P=1, **at), phases.learned_strength_form()(**at)
        gaps.append((float(exact.variance[0] / variance) - 1, 1 - float(exact.strength[0] / strength)))
    orders = np.log2(np.array(gaps[0]) / np.array(gaps[1]))
    return compared(np.ones(2), orders, scale=1.0)


def _penalty() -> Outcome:
    """Smallest ``gamma/2 sum w^2`` at fixed product, over the ratios of the weights."""
    a, gamma = 0.7, 3.0
    two = minimize_scalar(lambda x: gamma / 2 * a * (np.exp(2 * x) + np.exp(-2 * x)), tol=1e-14).fun
    inner = [
        minimize_scalar(
            lambda x, y=y: gamma / 2 * a ** (2 / 3) * (np.exp(2 * x) + np.exp(2 * y) + np.exp(-2 * (x + y))), tol=1e-14
        ).fun
        for y in np.linspace(-0.5, 0.5, 101)
    ]
    predicted = [float(phases.penalty_form()(a=a, gamma=gamma, D=D)) for D in (2, 3)]
    return pointwise(predicted, [two, min(inner)])


def _coexistence() -> Outcome:
    """n beta at which the numerically lowest learned minimum of the potential is as deep as a = 0."""
    predicted, computed = [], []
    for D in (3, 4, 6):

        def learned(n_beta: float, D: int = D) -> tuple[float, float]:
            def potential(a: float) -> float:
                return float(n_beta * ((1 - a) ** 2 - 1) / 2 + D / 2 * abs(a) ** (2 / D))

            best = minimize_scalar(potential, bounds=(0.35, 1.0), method="bounded", options={"xatol": 1e-12})
            return float(best.fun), float(best.x)

        balance = brentq(lambda n: learned(n)[0], 2.0, 12.0, xtol=1e-13)
        predicted.append(
            (
                float(coexistence.coexistence_temperature_form()(D=D, gamma=1.0, s=1.0, c=1.0)),
                float(coexistence.coexistence_strength_form()(D=D, s=1.0, c=1.0)),
            )
        )
        computed.append((balance, learned(balance)[1]))
    return pointwise(predicted, computed)


def _published_transitions() -> Outcome:
    predicted = [float(coexistence.coexistence_temperature_form()(D=D, gamma=1.0, s=1.0, c=1.0)) for D in (3, 4)]
    return compared(predicted, [2.520, 3.674], scale=1.0)


def _peak() -> Outcome:
    """Where Var q of two layers peaks, in units of the threshold, at gamma s/c = 10."""
    ours = phase_comparison(2, 10.0)
    assert ours.peak is not None
    best = minimize_scalar(
        lambda x: -_moments_of_weights(2, 10.0, 10 * x, 1.0, 4.0, 500)[1],
        bounds=(1.3, 1.8),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return compared(ours.peak / ours.transition, best.x)


def _published_phases() -> Outcome:
    """Balance of the phases, two and three layers, and the peak of three, over the transition; gamma s/c = 10."""
    two, three = (phase_comparison(D, 10.0, cut=0.5) for D in (2, 3))
    assert three.peak is not None
    ratios = [two.equal_mass / two.transition, three.equal_mass / three.transition, three.peak / three.transition]
    return compared(ratios, [2.22, 1.19, 1.05], scale=1.0)


def _map_weights(task: SemanticTask, ratio: float) -> list[Array]:
    """Weights at the maximum of ``exp(-n beta L - gamma |w|^2/2)``, one hidden unit a mode."""
    modes = singular_modes(task)
    root = np.sqrt(np.maximum(modes.s - 1 / ratio, 0) / modes.c)
    return [root[:, None] * modes.V.T, modes.U * root]


def _coupled() -> Outcome:
    """``g^T (n beta H + gamma)^+ g`` by automatic differentiation; the pseudo-inverse leaves out the gauge."""
    task, gamma, predicted, computed = task_from_spec("tree"), 1e4, [], []
    for ratio in (2.3, 2.6, 3.8, 6.0, 12.0):
        layers = _map_weights(task, ratio)
        g, H = autograd_gradients(task, layers), autograd_hessian(task, layers)
        precision = ratio * gamma * H + gamma * np.eye(len(H))
        computed.append(g @ np.linalg.pinv(precision, rcond=1e-9, hermitian=True) @ g.T)
        predicted.append(coupled_covariance(singular_modes(task), ratio * gamma, gamma)[0])
    return compared(predicted, computed)


def _coupled_flips() -> Outcome:
    predicted = [float(times[0]) for times in coupled_flips(_TREE, _levels()).values()]
    return compared(predicted, [2.540, 3.618, 5.848], scale=1.0)


def _exact_sampling() -> Outcome:
    """gamma Cov at gamma = 1e4, from Hamiltonian Monte Carlo with Metropolis correction."""
    sampled = {2.3: (1.616, 0.902, 0.687, 0.316), 2.6: (1.911, 0.879, 0.541, -0.051), 3.8: (1.914, 0.625, -0.108, 0.0)}
    sampled |= {6.0: (1.226, -0.040, 0.0, 0.0), 7.0: (0.944, -0.193, 0.0, 0.0)}
    ratios = np.array(list(sampled))
    predicted = 1e4 * coupled_covariance_by_level(_TREE, _levels(), 1e4 * ratios, 1e4, near_threshold="ignore")
    return compared(predicted[::-1].T, list(sampled.values()), scale=1.0)


_FAMILY = "Bayesian learning"
CLAIMS = (
    Claim(_FAMILY, "law of total covariance", ("total_covariance",), "a mixture of 12 points", 1e-14, "rounding",
          _total_covariance),
    Claim(_FAMILY, "spread of a mode under the prior, 1 to 3 hidden units", ("prior_spread",),
          "quadrature of all weights, exact for this degree", 1e-13, "rounding", _prior),
    Claim(_FAMILY, "mean and variance of a mode's loss, two and three layers", (),
          "trapezoid rule over all weights of the mode", 1e-9, "adaptive nodes of the prediction", _posterior),
    Claim(_FAMILY, "covariances of a learner with two modes", ("total_covariance",),
          "trapezoid rule over all weights", 1e-9, "adaptive nodes of the prediction", _learner),
    Claim(_FAMILY, "low temperature, two layers: strength, variance", ("learned_strength", "low_temperature_variance"),
          "the exact posterior closes in on them as 1/gamma", 0.02, "order of convergence, and a rest of the next",
          _low_temperature),
    Claim(_FAMILY, "localization charges (D gamma/2) |a|^(2/D)", ("penalty",), "numerical minimum over the weights",
          1e-12, "minimum of a smooth function", _penalty),
    Claim(_FAMILY, "coexistence of two phases, D = 3, 4, 6: n beta and strength",
          ("coexistence_temperature", "coexistence_strength"), "numerical minima of the potential", 1e-6,
          "the place of a minimum is found to the square root of rounding", _coexistence),
    Claim(_FAMILY, "the transition is at 2.520 gamma (D = 3) and 3.674 gamma (D = 4)", ("coexistence_temperature",),
          "reference values, computed independently", 5.1e-4, "three decimals are given", _published_transitions),
    Claim(_FAMILY, "two layers: the variance peaks at 1.506 gamma/s, far from where the phases balance", (),
          "trapezoid rule over all weights, maximised", 1e-6, "the place of a maximum is found to the root of rounding",
          _peak),
    Claim(_FAMILY, "phases balance at 2.22 (D = 2) and 1.19 (D = 3), where the variance peaks at 1.05", (),
          "reference values, computed independently", 5.1e-3, "two decimals are given", _published_phases),
    Claim(_FAMILY, "covariance of losses of a hierarchy at low temperature", ("learned_pair", "unlearned_pair"),
          "dense matrices by automatic differentiation, 184 weights", 1e-9, "rounding of a pseudo-inverse", _coupled),
    Claim(_FAMILY, "it flips once per level: n beta / gamma = 2.540, 3.618, 5.848", ("unlearned_pair",),
          "reference values, computed independently", 5.1e-4, "three decimals are given", _coupled_flips),
    Claim(_FAMILY, "it is what exact sampling finds at gamma = 1e4", ("learned_pair", "unlearned_pair"),
          "reference values of Hamiltonian Monte Carlo", 0.025,
          "Monte Carlo error, and corrections of order gamma^-1/2", _exact_sampling),
)  # fmt: skip

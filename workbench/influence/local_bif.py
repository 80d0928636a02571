"""``-Cov(l_i, l_j)`` under the local posterior around every checkpoint (Kreer et al. 2025).

Analytic: Gaussian prediction, second order at the localised maximum. Simulated: sampled chains; beside the covariances
stand their standard errors, the correlations, R-hat, effective sample sizes and the local learning coefficient.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import xarray as xr

from workbench import theory
from workbench.errors import WorkbenchError, human_bytes
from workbench.influence.curvatures import curvatures
from workbench.influence.measure import Measure
from workbench.influence.networks import unknown_hessian
from workbench.influence.posterior_options import BESIDE, OPTIONS
from workbench.influence.quantities import Array, Expectation, Measured, Options, Request
from workbench.influence.work import Work
from workbench.theory.posterior.dense_posterior import refuse_if_too_large
from workbench.theory.posterior.hessian import check_local_posterior
from workbench.theory.posterior.restricted import layer_number, restricted_curvatures, restricted_posterior
from workbench.trajectory import Trajectory

#: Batches that a chain is cut into for its Monte Carlo error, each with its own sums.
_BATCHES = 40


def _analytic(trajectory: Trajectory, options: Options, work: Work) -> Measured:
    network, task, times = trajectory.network, trajectory.task, trajectory.times
    local: dict[str, float] = {"n_beta": options["n_beta"], "gamma": options["gamma"]}
    with work.bar("local posterior, theory", len(times)) as advance:
        values: Array
        if options["restrict"] != "none":
            layer = layer_number(options["restrict"], network.depth)
            values = -restricted_posterior(trajectory, layer, **local).covariance
            advance(len(times))
        elif network.active is None and network.depth != 2:
            values = theory.dense_bif(task.X, task.Y, trajectory.weights, times, progress=advance, **local)
        elif network.active is None:
            W1, W2 = trajectory.W1, trajectory.W2
            values = theory.dense_local_bif(task.X, task.Y, W1, W2, times, progress=advance, **local)
        else:
            values = theory.local_bif(
                network.modes,
                theory.mode_strengths(network, times),
                times,
                hidden=network.widths,
                depth=network.depth,
                n_outputs=task.n_outputs,
                active=network.active,
                n_beta=local["n_beta"],
                gamma=local["gamma"],
                progress=advance,
            )
    return Measured(values, attrs=local)


def _simulated(trajectory: Trajectory, options: Options, work: Work) -> Measured:
    from workbench import simulation

    local: dict[str, float] = {"n_beta": options["n_beta"], "gamma": options["gamma"]}
    sampling = replace(sampling_of(options, work), layer=_layer(trajectory, options))
    ends = _curvatures(trajectory, options)
    plan = simulation.plan(trajectory, local["n_beta"], local["gamma"], sampling, curvatures=ends)
    steps = plan.steps(sampling.draws) * sampling.chains * len(trajectory.times)
    with work.bar("local posterior, chains", steps) as advance:
        samples = simulation.sample_local_posterior(
            trajectory, sampling=sampling, planned=plan, progress=advance, slot=work.slot, **local
        )
    estimate = samples.estimate
    volume = simulation.local_learning_coefficient(estimate, local["n_beta"])
    return Measured(
        -estimate.covariance,
        beside={
            "stderr": estimate.stderr,
            "stderr_between_chains": estimate.stderr_between,
            "parts": -estimate.parts,
            "correlation": -estimate.correlation,
            "correlation_stderr": estimate.correlation_stderr,
            "rhat": estimate.rhat,
            "ess": estimate.ess,
            "learning_coefficient": volume.value,
            "learning_coefficient_stderr": volume.stderr,
            "lambda_min": plan.lambda_min,
        },
        attrs={
            **local,
            "sampler": sampling.sampler,
            "restrict": options["restrict"],
            "chains": sampling.chains,
            "draws": sampling.draws,
            "step_size": plan.step,
            "burn_in": plan.burn_in,
            "thin": plan.thin,
            "leapfrogs": plan.leapfrogs,
            "expected_step_size_bias": plan.expected_bias,
            "sampling_seed": sampling.seed,
        },
    )


def _layer(trajectory: Trajectory, options: Options) -> int | None:
    """Number of the layer that moves; None where all do."""
    name = options["restrict"]
    return None if name == "none" else layer_number(name, trajectory.network.depth)


def _curvatures(trajectory: Trajectory, options: Options) -> Array:
    """``(T, 2)`` smallest and largest curvature of the loss in the weights that move."""
    layer = _layer(trajectory, options)
    return curvatures(trajectory) if layer is None else restricted_curvatures(trajectory, layer)


def sampling_of(options: Options, work: Work) -> Any:
    """The `simulation.Sampling` that the options ask for."""
    import torch

    from workbench.simulation import Place, Sampling

    return Sampling(
        chains=options["chains"],
        draws=options["draws"],
        sampler=options["sampler"],
        step=options["step_size"],
        batches=_BATCHES,
        batch_size=options["batch_size"],
        force_short=options["force_short"],
        seed=work.seed,
        place=Place(work.device, torch.float64 if work.precision == "float64" else torch.float32),
    )


def _refuse_size(request: Request, options: Options) -> None:
    task, chains, numbers = request.task, options["chains"], request.n_weights
    # A chain has its weights and its noise; those of one checkpoint keep their sums over pairs of items together.
    one = 64.0 * numbers + 4.0 * min(64 * numbers, 2**20)
    needed = one + chains * 16.0 * _BATCHES * task.n_items**2
    if needed > request.memory:
        raise WorkbenchError(
            f"{chains} chains of {numbers} weights take {human_bytes(needed)} "
            f"(limit {human_bytes(request.memory)}); use fewer `chains` and more `draws`"
        )
    if request.init.kind != "balanced" and request.predicted and len(request.sizes) == 3:
        refuse_if_too_large(task.n_inputs, request.sizes[1], task.n_outputs, task.n_items)


def _refuse(predicted: Trajectory, options: Options, work: Work) -> None:
    from workbench.influence.chains import plan_ahead

    ends, n_beta, gamma = _curvatures(predicted, options), options["n_beta"], options["gamma"]
    check_local_posterior(predicted.times, ends[:, 0], n_beta, gamma)
    # Weights spread by 1 / sqrt(gamma), of which enough digits must be left beside the weights themselves.
    largest = max(float(abs(W).max()) for W in predicted.weights)
    most = (1e20 if work.precision == "float64" else 1e8) / largest**2
    if gamma > most:
        raise WorkbenchError(
            f"`gamma` {gamma:g} holds the weights so tightly that their spread is lost in rounding; use at most "
            f"{most:.1g}"
        )
    plan_ahead(predicted, ends, n_beta, gamma, sampling_of(options, work))


def _notes(options: Options, simulated: xr.DataArray | None) -> list[str]:
    lines = [f"local posterior: n beta = {options['n_beta']:g}, gamma = {options['gamma']:g}"]
    if options["restrict"] != "none":
        lines.append(f"local posterior of {options['restrict']} alone, the other layers held: exactly Gaussian")
    if simulated is None:
        return lines
    ran, sampler = simulated.attrs, simulated.attrs["sampler"]
    if not ran["expected_step_size_bias"]:
        return [
            *lines,
            f"sampler {sampler}: {ran['leapfrogs']} leapfrog steps of {ran['step_size']:.2g} at first, burn-in "
            f"{ran['burn_in']}, a draw every {ran['thin']} trajectories; no bias from the step",
        ]
    return [
        *lines,
        f"sampler {sampler}: step {ran['step_size']:.2g}, variances high by up to "
        f"{ran['expected_step_size_bias']:.2%}; burn-in {ran['burn_in']} steps, a draw every {ran['thin']}",
    ]


local_bif = Measure(
    name="local_bif",
    title="local BIF, posterior covariance",
    short="local BIF",
    formula=r"$I_{ij}=-\mathrm{Cov}(l_i,l_j)$  under  $e^{-n\beta L(w)-\gamma|w-w^*|^2/2}$",
    definition="-Cov(l_i, l_j) under exp(-n beta L - gamma |w - w*|^2 / 2)",
    units="loss^2",
    meaning="Minus the covariance of the losses of i and j when the weights fluctuate around the checkpoint, as in a "
    "posterior tied to it: items whose losses rise and fall together help each other.",
    analytic=_analytic,
    simulated=_simulated,
    by_theory="Gaussian prediction, second order at the localised maximum",
    by_simulation="SGLD chains around the trained network",
    options=OPTIONS,
    beside=BESIDE,
    pace="how losses vary together near $t$: ways down count more, so it is ahead",
    quick_up_to=200,
    unpredicted=unknown_hessian,
    refuse_size=_refuse_size,
    refuse=_refuse,
    notes=_notes,
    expectations=(
        Expectation("local_bif", "sampled covariances are those of the Gaussian prediction", "chains"),
        Expectation("local_bif_chains", "the chains of a checkpoint agree", "chains"),
    ),
)

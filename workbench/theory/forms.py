"""Where the closed forms of the package are made: what `catalogue` lists. A new form is one line here."""

from __future__ import annotations

#: Family: name: (module, function, one line).
FIXED: dict[str, dict[str, tuple[str, str, str]]] = {
    "Mode dynamics": {
        "mode_strength": ("modes.balanced", "mode_strength_form", "strength a(t) of a mode, two layers, balanced"),
        "mode_residual": ("modes.balanced", "residual_form", "what is still to be learned of a mode, e(t)"),
        "half_rise_time": ("modes.balanced", "half_rise_form", "when a mode has reached half of its final strength"),
        "mode_loss": ("modes.balanced", "mode_loss_form", "loss in one mode"),
        "step_size_shift": ("modes.step_size", "step_size_form", "what a finite learning rate does to a(t)"),
        "mode_strength_depth_1": ("modes.depth", "shallow_form", "strength of a mode without hidden layer"),
        "infinite_depth_time": (
            "modes.infinite_depth",
            "infinite_depth_form",
            "time t(a) in the limit of infinite depth",
        ),
        "unbalanced_strength": ("modes.unbalanced", "unbalanced_form", "strength of a mode with unequal layers"),
        "unbalanced_weight": (
            "modes.unbalanced_weights",
            "unbalanced_weight_form",
            "weights of a mode with unequal layers",
        ),
        "lazy_strength": ("modes.unbalanced", "lazy_limit_form", "strength of a mode in the lazy limit"),
        "stable_manifold": ("modes.unbalanced", "stable_manifold_form", "a mode that starts with the wrong sign"),
    },
    "Exact matrix solution": {
        "growth_rate": ("flow.riccati", "eigenvalue_form", "growth rate of a mode from a balanced start"),
        "riccati_solution": ("flow.riccati", "riccati_form", "Riccati solution, one mode in the eigenbasis of F"),
    },
    "Influence": {
        "gradient_kernel": ("influence.gradient_kernel", "kernel_form", "one-step influence in modes, -K"),
        "flip_limit": (
            "influence.flips",
            "flip_limit_form",
            "sign flip of the kernel for a vanishing initial strength",
        ),
        "unbalanced_kernel": (
            "influence.unbalanced",
            "unbalanced_kernel_form",
            "one-step influence with unequal layers",
        ),
        "pair_curvature": (
            "posterior.hessian",
            "pair_block_form",
            "blocks of the Hessian, smallest curvature of two modes",
        ),
        "damped_pair": ("influence.damped_newton", "damped_pair_form", "damped influence function, pair of modes"),
        "mode_response": (
            "influence.mode_response",
            "mode_response_form",
            "response of two modes to the weight of an item",
        ),
        "equal_mode_response": (
            "influence.mode_response",
            "equal_mode_response_form",
            "response of a mode with itself",
        ),
        "frozen_response": (
            "influence.frozen_input",
            "frozen_response_form",
            "response of two modes to louder targets of an item",
        ),
        "equal_frozen_response": (
            "influence.frozen_input",
            "equal_frozen_response_form",
            "response of a mode to louder targets of an item",
        ),
        "stage_time_response": (
            "influence.on_quantities",
            "stage_time_response_form",
            "how much earlier a stage is over for a weight on an item",
        ),
    },
    "Influence at any depth": {
        "end_to_end_rate": ("flow.end_to_end", "end_to_end_form", "rate of the product of balanced layers"),
        "four_measures": ("posterior.deep_forms", "four_measures_form", "one formula for four measures"),
        "infinite_depth_gain": (
            "influence.infinite_depth",
            "infinite_depth_gain_form",
            "gain of a pair of modes in the limit of infinite depth",
        ),
        "unique_gamma": ("posterior.deep_forms", "unique_gamma_form", "gamma beyond which a posterior has one maximum"),
        "unequal_transport_sum": (
            "influence.unequal_forms",
            "unequal_transport_form",
            "transport of a pair's sum, two layers of unequal size",
        ),
        "unequal_transport_difference": (
            "influence.unequal_forms",
            "unequal_difference_form",
            "transport of a pair's difference, two layers of unequal size",
        ),
        "difference_transport": (
            "influence.transport_forms",
            "difference_transport_form",
            "transport of a pair's difference, four layers",
        ),
    },
    "Bayesian learning": {
        "total_covariance": ("posterior.phases", "total_covariance_form", "law of total covariance of two phases"),
        "prior_spread": ("posterior.mode_prior", "prior_spread_form", "mean square strength of a mode under the prior"),
        "penalty": ("posterior.phases", "penalty_form", "localization penalty of a mode, |a|^(2/D)"),
        "learned_strength": ("posterior.phases", "learned_strength_form", "most probable strength, two layers"),
        "low_temperature_variance": (
            "posterior.phases",
            "low_temperature_variance_form",
            "variance of a learned mode's loss",
        ),
        "coexistence_strength": (
            "posterior.coexistence",
            "coexistence_strength_form",
            "strength of the learned phase, D >= 3",
        ),
        "coexistence_temperature": (
            "posterior.coexistence",
            "coexistence_temperature_form",
            "n beta of the transition, D >= 3",
        ),
        "loss_off_covariance": (
            "posterior.loss_off",
            "loss_off_form",
            "covariance of losses with the loss switched off",
        ),
        "learned_pair": ("posterior.coupled_forms", "learned_pair_form", "coupling of two learned modes"),
        "unlearned_pair": (
            "posterior.coupled_forms",
            "unlearned_pair_form",
            "coupling of a learned and an unlearned mode",
        ),
    },
    "Learning coefficient": {
        "scalar_volume": (
            "posterior.learning_coefficient",
            "scalar_volume_form",
            "volume of almost-zero loss, case (1, 1, 1)",
        ),
    },
}

#: Name up to the depth: (module, function, smallest depth, largest depth or None, depths listed, one line).
BY_DEPTH: dict[str, tuple[str, str, int, int | None, tuple[int, ...], str]] = {
    "mode_time_depth_": ("modes.depth", "depth_time_form", 3, None, (3, 4, 5), "time t(a) with {} layers, s > 0"),
    "mode_time_negative_depth_": ("modes.depth", "depth_time_form", 3, None, (3,), "time t(a) with {} layers, s < 0"),
    "phi_": ("modes.depth", "explicit_time_form", 3, 4, (3, 4), "t(a) with {} layers in elementary functions"),
    "gradient_kernel_depth_": (
        "influence.gradient_kernel",
        "kernel_form",
        3,
        5,
        (3, 4),
        "one-step influence in modes, {} layers",
    ),
    "pair_blocks_depth_": (
        "posterior.deep_forms",
        "deep_block_form",
        2,
        6,
        (2, 3, 4),
        "Hessian of a pair of modes, {} layers",
    ),
    "pair_transport_depth_": (
        "influence.transport_forms",
        "pair_transport_form",
        2,
        5,
        (2, 3, 4),
        "how a pair of modes carries its responses, {} layers",
    ),
    "null_mode_depth_": ("modes.depth", "null_mode_form", 2, None, (2, 3), "decay of a mode without signal, {} layers"),
}

#: Name up to the level: (module, function, whether level D counts, one line).
BY_LEVEL: dict[str, tuple[str, str, bool, str]] = {
    "tree_kernel_m": (
        "influence.tree_kernel",
        "tree_kernel_form",
        False,
        "one-step influence, common ancestor on level {}",
    ),
    "flip_equation_m": (
        "influence.flips",
        "flip_equation_form",
        False,
        "sign flip of one-step influence, ancestor on level {}",
    ),
    "tree_derivative_m": (
        "influence.mode_response",
        "tree_derivative_form",
        True,
        "trajectory derivative, ancestor on level {}",
    ),
}

SPECTRA = {
    "nu_indicator_k": ("indicator", "eigenvalue of level {}, 0/1 properties"),
    "nu_pm1_k": ("indicator_pm1", "eigenvalue of level {}, -1/1 properties"),
    "nu_diffusion_k": ("diffusion", "eigenvalue of level {}, branching diffusion"),
}

"""What a study of a language model is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from workbench.errors import WorkbenchError
from workbench.simulation.module import ModuleSampling


@dataclass(frozen=True)
class Posterior:
    """The local posterior ``exp(-n beta L - gamma |w - w*|^2 / 2)`` and its chains, one setting for all checkpoints.

    n_beta multiplies L, the mean of the losses over all tokens of a mini-batch of ``batch`` documents. The defaults
    suit the 45,000 weights of the small transformer: at gamma = 10,000 its loss stays within some hundredths of that
    at the checkpoint, while at the gamma = 300 published for larger models the noise destroys it.

    Attributes:
        n_beta, gamma, step: see `sample_module_posterior`. sampler: ``"sgld"`` or ``"rmsprop"``.
        chains, draws, burn_in, thin: of the chains, in steps. batch: documents a mini-batch.
        parameters: names or patterns of those that move; none: all.
    """

    n_beta: float = 1000.0
    gamma: float = 10_000.0
    step: float = 2e-5
    sampler: Literal["sgld", "rmsprop"] = "sgld"
    chains: int = 12
    draws: int = 60
    burn_in: int = 40
    thin: int = 4
    batch: int = 16
    parameters: tuple[str, ...] = ()

    def sampling(self, seed: int) -> ModuleSampling:
        """As `sample_module_posterior` wants it."""
        if self.chains < 2:
            raise WorkbenchError(f"`chains` {self.chains}; give 2 or more, for standard errors from their spread")
        return ModuleSampling(
            chains=self.chains,
            draws=self.draws,
            sampler=self.sampler,
            step=self.step,
            burn_in=self.burn_in,
            thin=self.thin,
            batch_size=self.batch,
            parameters=self.parameters,
            batches=min(20, self.draws),
            seed=seed,
        )


@dataclass(frozen=True)
class LanguageSettings:
    """A study of the small transformer on the generated corpus.

    Attributes:
        steps: of training. checkpoints: log-spaced, step 0 included.
        documents: of the corpus it is trained on. observed: held-out documents whose losses are followed by the chains,
            those richest in rare classes. shown: of them, those whose text is drawn token by token.
        width, heads, layers: of the transformer.
        permutations: of class labels, for the null.
        seed: of everything random. device: of torch, for the chains and gradients; training stays on the processor.
    """

    steps: int = 1200
    checkpoints: int = 24
    documents: int = 8000
    observed: int = 32
    shown: int = 3
    width: int = 64
    heads: int = 4
    layers: int = 2
    permutations: int = 50
    seed: int = 0
    device: str = "cpu"
    posterior: Posterior = Posterior()

    def quick(self) -> LanguageSettings:
        """12 checkpoints and 4 chains: minutes on two cores.

        Mini-batches are half as large: their noise, n beta eps / 2 times that of a gradient, is far below sqrt(eps).
        """
        few = replace(self.posterior, chains=4, draws=80, batch=8)
        return replace(self, steps=600, checkpoints=12, observed=24, permutations=30, posterior=few)

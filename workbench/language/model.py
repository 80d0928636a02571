"""An attention-only transformer with its attention written out, so that gradients of many chains can be batched.

    x = E[token] + p[position];  for every layer: x <- x + sum_h A_h(ln x) (ln x) V_h O_h;  logits = ln(x) U

``A_h = softmax(causal(q k^T / sqrt(d)))``. Two layers of four heads of width 16 are the smallest that form induction
heads: one that looks at the previous token and, above it, one that looks where the present token was seen before.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from workbench.errors import WorkbenchError
from workbench.language.corpus import CONTEXT, VOCABULARY


@dataclass(frozen=True)
class Shape:
    """Sizes of a transformer."""

    vocabulary: int = VOCABULARY
    context: int = CONTEXT
    width: int = 64
    heads: int = 4
    layers: int = 2

    def __post_init__(self) -> None:
        if min(asdict(self).values()) < 1 or self.width % self.heads:
            raise WorkbenchError(
                f"width {self.width} with {self.heads} heads; the width must be a multiple of the heads"
            )


class Attention(nn.Module):
    """Causal self-attention of several heads, without biases."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.norm = nn.LayerNorm(shape.width)
        self.qkv = nn.Linear(shape.width, 3 * shape.width, bias=False)
        self.out = nn.Linear(shape.width, shape.width, bias=False)
        ahead = torch.full((shape.context, shape.context), -torch.inf).triu(1)
        self.register_buffer("ahead", ahead, persistent=False)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """``(B, n, width)`` to what is added to it, and the pattern ``(B, heads, n, n)``."""
        B, n, width = x.shape
        q, k, v = self.qkv(self.norm(x)).view(B, n, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        ahead: Any = self.ahead
        scores = q @ k.mT * (width // self.heads) ** -0.5 + ahead[:n, :n]
        pattern = scores.softmax(dim=-1)
        return self.out((pattern @ v).transpose(1, 2).reshape(B, n, width)), pattern


class Transformer(nn.Module):
    """See the module; ``model(tokens)`` gives ``(B, n, vocabulary)`` logits."""

    def __init__(self, shape: Shape | None = None, seed: int = 0) -> None:
        super().__init__()
        self.shape = shape or Shape()
        s = self.shape
        self.token, self.position = nn.Embedding(s.vocabulary, s.width), nn.Embedding(s.context, s.width)
        self.layers = nn.ModuleList(Attention(s) for _ in range(s.layers))
        self.norm = nn.LayerNorm(s.width)
        self.unembed = nn.Linear(s.width, s.vocabulary, bias=False)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, weights in self.named_parameters():
                if "norm" not in name:
                    # Small unembedding weights: at the start every token is about as likely as any other.
                    scale = (
                        0.02
                        if name.startswith("unembed")
                        else 0.1
                        if weights.ndim == 2 and "layers" not in name
                        else s.width**-0.5 / 2
                    )
                    weights.normal_(0.0, scale, generator=generator)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits of the next token at every position."""
        return self.read(tokens)[0]

    def read(self, tokens: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Logits, and the attention pattern ``(B, heads, n, n)`` of every layer."""
        # By position, not a fresh range: vmap then needs no rule for making one.
        x, patterns = self.token(tokens) + self.position.weight[: tokens.shape[1]], []
        for layer in self.layers:
            added, pattern = layer(x)
            x = x + added
            patterns.append(pattern)
        return self.unembed(self.norm(x)), patterns

    @property
    def n_weights(self) -> int:
        """How many."""
        return sum(weights.numel() for weights in self.parameters())


def token_losses(model: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """``(B, n - 1)`` cross-entropy of every token after the first, in nats."""
    return next_token_losses(model(tokens), tokens)


def next_token_losses(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """``(B, n - 1)`` from logits ``(B, n, vocabulary)``."""
    return nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")

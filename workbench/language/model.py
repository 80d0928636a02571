"""An attention-only transformer whose attention is one fused operation, and written out where its pattern is asked for.

    x = E[token] + p[position];  for every layer: x <- x + sum_h A_h(ln x) (ln x) V_h O_h;  logits = ln(x) U

``A_h = softmax(causal(q k^T / sqrt(d)))``. Two layers of four heads of width 16 are the smallest that form induction
heads: one that looks at the previous token and, above it, one that looks where the present token was seen before.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn import functional as F

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

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What is added to ``(B, n, width)``."""
        q, k, v = self._qkv(x)
        heads = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        added: torch.Tensor = self.out(heads.transpose(1, 2).flatten(2))
        return added

    def pattern(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, heads, n, n)``: how much each position looks at which."""
        q, k, _ = self._qkv(x)
        ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        scores: torch.Tensor = q @ k.mT * q.shape[-1] ** -0.5
        return scores.masked_fill(ahead, -torch.inf).softmax(dim=-1)

    def _qkv(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries, keys and values ``(B, heads, n, width / heads)``."""
        B, n, width = x.shape
        q, k, v = self.qkv(self.norm(x)).view(B, n, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        return q, k, v


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
        x = self._embedded(tokens)
        for layer in self.layers:
            x = x + layer(x)
        logits: torch.Tensor = self.unembed(self.norm(x))
        return logits

    def patterns(self, tokens: torch.Tensor) -> list[torch.Tensor]:
        """The attention pattern ``(B, heads, n, n)`` of every layer."""
        x, patterns = self._embedded(tokens), []
        for layer in self.layers:
            assert isinstance(layer, Attention)
            patterns.append(layer.pattern(x))
            x = x + layer(x)
        return patterns

    def of_head(self, layer: int, head: int) -> tuple[str, ...]:
        """The weights of one head, as `ModuleSampling.parameters` takes them: its queries, keys, values and output."""
        width, d = self.shape.width, self.shape.width // self.shape.heads
        a = head * d
        rows = [f"layers.{layer}.qkv.weight[{k * width + a}:{k * width + a + d}]" for k in range(3)]
        return (*rows, f"layers.{layer}.out.weight[:, {a}:{a + d}]")

    def _embedded(self, tokens: torch.Tensor) -> torch.Tensor:
        # By position, not a fresh range: vmap then needs no rule for making one.
        embedded: torch.Tensor = self.token(tokens) + self.position.weight[: tokens.shape[1]]
        return embedded

    @property
    def n_weights(self) -> int:
        """How many."""
        return sum(weights.numel() for weights in self.parameters())


def token_losses(model: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """``(B, n - 1)`` cross-entropy of every token after the first, in nats."""
    return next_token_losses(model(tokens), tokens)


def next_token_losses(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """``(B, n - 1)`` from logits ``(B, n, vocabulary)``; those of the last position are about no token."""
    following = tokens.roll(-1, dims=1)
    losses = F.cross_entropy(logits.flatten(0, 1), following.flatten(), reduction="none")
    return losses.view(tokens.shape)[:, :-1]

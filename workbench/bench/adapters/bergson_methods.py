"""bergson: its gradient inner products; the row says why where the library is not installed or has changed."""

from __future__ import annotations

import torch
from torch import nn

from workbench.bench.method import method
from workbench.bench.run import Examples
from workbench.errors import WorkbenchError


@method(
    "bergson", sign="positive_helps", scale="arbitrary", source="bergson, not adapted yet: see the reason in its row"
)
def bergson(network: nn.Module, examples: Examples) -> torch.Tensor:
    """Refused: bergson collects gradients of Hugging Face language models from token data, not of any module."""
    import bergson as library

    version = getattr(library, "__version__", "")
    raise WorkbenchError(
        f"bergson {version}: its collectors take a Hugging Face model and tokenised data, not a module"
    )

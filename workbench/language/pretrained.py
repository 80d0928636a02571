"""Checkpointed causal language models, as `transformers` loads them: from the Hub, or from a directory.

A model on the Hub keeps its checkpoints as revisions (Pythia: ``step0``, ``step1``, ``step2``, ``step4``, ...,
``step143000``); a directory keeps each in a directory of that name, the tokenizer in each or beside them. Only
safetensors are read, and no code that comes with a model is ever run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from workbench.errors import WorkbenchError
from workbench.language.checkpoint import Subject
from workbench.language.labels import dataset
from workbench.language.model import next_token_losses
from workbench.language.rules import Encoder, corpus_of_text, with_enough
from workbench.language.settings import Posterior
from workbench.language.study import Bar, measure_all, no_bar, observed_documents
from workbench.store import Store

#: Published for Pythia-1.4B (susceptibilities, arXiv 2601.12703): RMSProp-preconditioned, chains of 100 draws.
PYTHIA = Posterior(
    n_beta=10.0, gamma=300.0, step=1e-5, sampler="rmsprop", chains=4, draws=100, burn_in=160, thin=160, batch=16
)
SOURCE = "n beta, gamma, step, sampler, batch and draws as published for Pythia-1.4B in arXiv 2601.12703"


@dataclass(frozen=True)
class PretrainedSettings:
    """A study of a checkpointed language model.

    Attributes:
        model: name on the Hub, or a directory. revisions: of its checkpoints, in order of training.
        context: tokens a document. observed: documents followed by the chains, shown: token by token.
        permutations: of class labels. seed: of everything random. device: of torch.
    """

    model: str
    revisions: tuple[str, ...]
    context: int = 128
    observed: int = 32
    shown: int = 3
    permutations: int = 50
    seed: int = 0
    device: str = "cpu"
    posterior: Posterior = PYTHIA


def pretrained_study(
    settings: PretrainedSettings, text: str, *, bar: Bar = no_bar, store: Store | None = None
) -> xr.Dataset:
    """Influence class to class of a text at every revision of a model; the dataset of `language_study`."""
    if not settings.revisions:
        raise WorkbenchError("no revisions; give those of at least one checkpoint, such as step0,step512,step143000")
    encode, limit = load_tokenizer(settings.model, settings.revisions[-1])
    if limit < settings.context:
        raise WorkbenchError(
            f"`context` {settings.context}, while the model reads {limit} tokens; give {limit} or less"
        )
    corpus = corpus_of_text(text, encode, settings.context)
    if corpus.documents < settings.posterior.batch:
        raise WorkbenchError(
            f"the text has {corpus.documents} documents of {settings.context} tokens, and a mini-batch takes "
            f"{settings.posterior.batch}; give more text, or a smaller `batch_size` or `context`"
        )
    observed = with_enough(observed_documents(corpus, settings.observed))
    model = load_model(settings.model, settings.revisions[-1])
    most, known = int(corpus.tokens.max()), int(model.get_input_embeddings().weight.shape[0])
    if most >= known:
        raise WorkbenchError(f"the tokenizer gives token {most}, and the model knows {known}; give those of one model")
    patterns = attention if tells_attention(model, torch.tensor(corpus.tokens[:1])) else None
    subject = Subject(model, causal_losses, patterns, torch.tensor(corpus.tokens), observed, settings.shown)
    check_revisions(settings)
    states: list[Callable[[], Mapping[str, torch.Tensor]]] = [
        lambda revision=revision: load_model(settings.model, revision).state_dict()  # type: ignore[misc]
        for revision in settings.revisions
    ]
    measured = measure_all(
        subject.on(settings.device), states, [f"revision {r}" for r in settings.revisions], settings.posterior,
        seed=settings.seed, permutations=settings.permutations, bar=bar, store=store,
    )  # fmt: skip
    steps = step_numbers(settings.revisions)
    heads = int(getattr(model.config, "num_attention_heads", 1))
    layers = int(getattr(model.config, "num_hidden_layers", 1))
    config = {"model": settings.model, "revisions": list(settings.revisions), "heads": heads, "layers": layers}
    ds = dataset(subject, steps, measured, settings.posterior, config=config, seed=settings.seed)
    ds.attrs["settings_source"] = SOURCE if settings.posterior == PYTHIA else "given"
    return ds.assign_coords(revision=("time", list(settings.revisions)))


def step_numbers(revisions: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """``step512`` is 512; where a name has no number, its place in the list."""
    digits = ["".join(letter for letter in revision if letter.isdigit()) for revision in revisions]
    numbers = [int(text) for text in digits if text]
    whole = len(numbers) == len(revisions) and numbers == sorted(set(numbers))
    return np.array(numbers if whole else range(len(revisions)), dtype=np.int64)


def check_revisions(settings: PretrainedSettings) -> None:
    """Refuse a model whose revisions are missing, or are the same weights under two names."""
    seen: dict[float, str] = {}
    for revision in settings.revisions:
        weights = load_model(settings.model, revision).state_dict().values()
        digest = float(sum(value.double().square().sum() for value in weights if value.is_floating_point()))
        if digest in seen:
            raise WorkbenchError(f"revisions {seen[digest]} and {revision} have the same weights; name different ones")
        seen[digest] = revision


def load_model(name: str, revision: str) -> Any:
    """A causal language model in float32, its attention written out where it can be."""
    transformers = _transformers()
    place, options = _place(name, revision)
    common = {"use_safetensors": True, "trust_remote_code": False, "dtype": torch.float32, **options}
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(place, attn_implementation="eager", **common)
    except (OSError, ValueError, ImportError, RuntimeError, KeyError) as error:
        raise WorkbenchError(f"model {name!r}, revision {revision!r} cannot be loaded: {_line(error)}") from None
    return model.eval()


def load_tokenizer(name: str, revision: str) -> tuple[Encoder, int]:
    """Its tokenizer, and how many tokens the model reads."""
    transformers = _transformers()
    place, options = _place(name, revision)
    own = (Path(place) / "tokenizer_config.json").is_file() or not (Path(name) / "tokenizer_config.json").is_file()
    common = {"trust_remote_code": False, "use_fast": True, **options}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(place if own else name, **common)
        config = transformers.AutoConfig.from_pretrained(place, trust_remote_code=False, **options)
    except (OSError, ValueError, ImportError, RuntimeError, KeyError) as error:
        raise WorkbenchError(f"model {name!r}, revision {revision!r} cannot be loaded: {_line(error)}") from None
    if not tokenizer.is_fast:
        raise WorkbenchError(f"the tokenizer of {name!r} does not say which letters a token stands for; use a fast one")

    def encode(text: str) -> tuple[list[int], list[str]]:
        encoding = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False, verbose=False)
        return list(encoding["input_ids"]), [text[a:b] for a, b in encoding["offset_mapping"]]

    return encode, int(getattr(config, "max_position_embeddings", 2048))


def causal_losses(model: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """``(B, n - 1)`` losses of a model of `transformers`."""
    return next_token_losses(model(input_ids=tokens, use_cache=False).logits, tokens)


def tells_attention(model: nn.Module, tokens: torch.Tensor) -> bool:
    """Whether `attention` can be asked of a model; some have none."""
    try:
        with torch.no_grad():
            return bool(attention(model, tokens))
    except (TypeError, ValueError, AttributeError, WorkbenchError):
        return False


def attention(model: nn.Module, tokens: torch.Tensor) -> list[torch.Tensor]:
    """Attention ``(B, heads, n, n)`` of every layer."""
    told = model(input_ids=tokens, use_cache=False, output_attentions=True).attentions
    if not told:
        raise WorkbenchError("the model does not tell its attention")
    return list(told)


def _place(name: str, revision: str) -> tuple[str, dict[str, str]]:
    """Where a revision is: a directory of its own, never the same one for all; or a revision on the Hub."""
    folder = Path(name)
    if not folder.is_dir():
        if folder.is_absolute() or name.startswith("."):
            raise WorkbenchError(f"model {name!r} does not exist; give a directory, or a name on the Hub")
        return name, {"revision": revision}
    place = folder / revision
    if not (place / "config.json").is_file():
        single = "only itself, which is called ." if (folder / "config.json").is_file() else "none"
        known = sorted(path.parent.name for path in folder.glob("*/config.json"))
        raise WorkbenchError(f"{name} has no revision {revision!r}; it has {', '.join(known) or single}")
    return str(place), {}


def _transformers() -> Any:
    try:
        transformers: Any = import_module("transformers")
    except ImportError:
        raise WorkbenchError(
            'checkpoints of language models need transformers; pip install "stagewise-workbench[language]"'
        ) from None
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    import_module("huggingface_hub").logging.set_verbosity_error()  # else every try to connect is told
    return transformers


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:240] or type(error).__name__

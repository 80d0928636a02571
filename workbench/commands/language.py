"""``workbench language``: influence between classes of tokens while a language model learns."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.commands.console import Help
from workbench.commands.console import bar as shown_bar
from workbench.commands.keeping import add_result_options, keeping, store_for
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

    from workbench.language.extras import Extra
    from workbench.language.settings import Posterior
    from workbench.language.study import Bar
    from workbench.store import Store

_LANGUAGE = """\
Train a small attention-only transformer on a generated language, sample around its checkpoints, and measure how the
classes of tokens (word parts, digits, brackets, names that recur, ...) influence one another at every stage.

  workbench language --out results/language --quick       12 checkpoints, minutes on two cores
  workbench language --out results/language               24 checkpoints, 12 chains
  workbench language --out results/mine --text book.txt   the same on your own text, classes found by rule
  workbench language --out results/pythia --model EleutherAI/pythia-14m --revisions step0,step512,step143000 \\
      --text book.txt                                     a real model's checkpoints (safetensors only)

what comes out, in DIR
  language.nc    everything, with labels; xarray.open_dataset("DIR/language.nc")
  report.html    figures, tables and the coloured text in one page
  figures/       PNG and SVG
  config.json    all settings

While it runs, DIR.partial keeps what is done; the same command with --resume goes on from there.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of `workbench`."""
    p = commands.add_parser(
        "language",
        help="influence between classes of tokens while a language model learns",
        description=_LANGUAGE,
        formatter_class=Help,
    )
    add_result_options(p)
    p.add_argument("--quick", action="store_true", help="12 checkpoints of 600 steps, 4 chains")
    p.add_argument("--bridge", action="store_true", help="also: the tree of `compare` told to four networks")
    p.add_argument("--intervention", action="store_true", help="also: induction documents up-weighted, 25 trainings")
    p.add_argument("--text", type=Path, metavar="FILE", help="learn, or with --model read, this text (UTF-8)")
    g = p.add_argument_group("the small transformer")
    g.add_argument("--steps", type=int, metavar="N", help="of training (default: 1200; quick: 600)")
    g.add_argument("--checkpoints", type=int, metavar="N", help="log-spaced (default: 24; quick: 12)")
    g = p.add_argument_group("a model of your own")
    g.add_argument(
        "--model", metavar="NAME", help="causal language model: a directory, or a name on the Hugging Face Hub"
    )
    g.add_argument("--revisions", metavar="R,R", help="its checkpoints: directories in it, or revisions on the Hub")
    g.add_argument("--context", type=int, default=128, metavar="N", help="tokens a document")
    g = p.add_argument_group("local posterior exp(-n beta L - gamma |w - w*|^2 / 2), L the mean loss of all tokens")
    g.add_argument("--n-beta", type=float, metavar="X", help="inverse temperature (default: 1000; of a model: 10)")
    g.add_argument("--gamma", type=float, metavar="X", help="localization (default: 10000; of a model: 300)")
    g.add_argument("--step-size", type=float, metavar="X", help="of the sampler (default: 2e-5; of a model: 1e-5)")
    g.add_argument("--chains", type=int, metavar="N", help="per checkpoint (default: 12; quick and of a model: 4)")
    g.add_argument("--draws", type=int, metavar="N", help="of each chain (default: 60; quick: 80; of a model: 100)")
    g.add_argument("--thin", type=int, metavar="N", help="steps between draws (default: 4; of a model: 160)")
    g.add_argument("--batch-size", type=int, metavar="N", help="documents a mini-batch (default: 16; quick: 8)")
    g.add_argument(
        "--observed", type=int, metavar="N", help="documents whose losses are followed (default: 32; quick: 24)"
    )
    p.add_argument("--device", choices=("cpu", "cuda"), help="for sampling (default: cuda where torch finds one)")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random")
    p.add_argument("--quiet", action="store_true", help="no progress bars")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train or load, sample, write."""
    from workbench.report.directory import check_target

    check_target(args.out, args.force)
    if (args.model is None) != (args.revisions is None):
        raise WorkbenchError("--model and --revisions go together; give both, or neither")
    if args.model is not None and args.text is None:
        raise WorkbenchError("--model reads a text; give one with --text FILE")
    text = _read(args.text) if args.text is not None else None
    from workbench.comparison.identity import code_digest
    from workbench.language.page import summary, write_study
    from workbench.language.study import no_bar

    settings, study = _asked(args, text)
    bar = no_bar if args.quiet else shown_bar
    identity = {"settings": settings, "text": text and _digest(text), "code": code_digest()}
    store = store_for(args.out, identity, resume=args.resume, force=args.force)
    with keeping(store):
        try:
            ds = study(bar, store)
            extras = _extras(args, bar, store)
        except WorkbenchError:
            store.remove()  # the same would happen again
            raise
        place = store.folder if store.pieces else None
        shape = write_study(ds, args.out, extras=extras, force=args.force, bar=bar, within=place)
        store.remove()
    print("\n".join([summary(ds, shape), *(extra.said for extra in extras)]))
    print(f"\nwrote {args.out}/: open {args.out / 'report.html'} in a browser")
    return 0


def _extras(args: argparse.Namespace, bar: Bar, store: Store) -> list[Extra]:
    from workbench.language.extras import bridge_extra, intervention_extra
    from workbench.language.settings import LanguageSettings

    asked = [bridge_extra(bar)] if args.bridge else []
    return asked + ([intervention_extra(bar, LanguageSettings(seed=args.seed), store)] if args.intervention else [])


def _asked(args: argparse.Namespace, text: str | None) -> tuple[dict[str, Any], Callable[[Bar, Store], xr.Dataset]]:
    """Settings as plain data, and the study that they ask for."""
    if args.model is not None:
        from workbench.language.pretrained import PretrainedSettings, pretrained_study

        assert text is not None
        names = tuple(name.strip() for name in args.revisions.split(",") if name.strip())
        own = PretrainedSettings(args.model, names, context=args.context, seed=args.seed, device=_device(args.device))
        own = replace(own, posterior=_posterior(args, own.posterior), **_given(args, observed="observed"))
        return asdict(own), lambda bar, store: pretrained_study(own, text, bar=bar, store=store)
    from workbench.language.settings import LanguageSettings
    from workbench.language.study import language_study

    plain = LanguageSettings(seed=args.seed, device=_device(args.device))
    plain = plain.quick() if args.quick else plain
    plain = replace(
        plain,
        posterior=_posterior(args, plain.posterior),
        **_given(args, steps="steps", checkpoints="checkpoints", observed="observed"),
    )
    return asdict(plain), lambda bar, store: language_study(plain, text, bar=bar, store=store)


def _device(asked: str | None) -> str:
    import torch

    if asked == "cuda" and not torch.cuda.is_available():
        raise WorkbenchError("--device cuda, and torch finds no such device; leave it out, or install a CUDA build")
    return asked or ("cuda" if torch.cuda.is_available() else "cpu")


def _posterior(args: argparse.Namespace, default: Posterior) -> Posterior:
    names = {"n_beta": "n_beta", "gamma": "gamma", "step_size": "step", "chains": "chains", "draws": "draws"}
    return replace(default, **_given(args, **names, thin="thin", batch_size="batch"))


def _given(args: argparse.Namespace, **names: str) -> dict[str, Any]:
    """Options that were given, by the names of their parameters."""
    values = {parameter: getattr(args, option) for option, parameter in names.items()}
    for (option, _), value in zip(names.items(), values.values(), strict=True):
        least = 0 if option == "n_beta" else 1 if isinstance(value, int) else None
        if value is not None and (not value >= (least or 0) or (least is None and value <= 0)):
            raise WorkbenchError(f"--{option.replace('_', '-')} {value:g}; give a positive number")
    return {parameter: value for parameter, value in values.items() if value is not None}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # with the mark that Windows writes, or without
    except UnicodeDecodeError:
        raise WorkbenchError(f"--text {path} is not in UTF-8; convert it, for instance with iconv") from None
    except OSError as error:
        raise WorkbenchError(f"--text {path}: {error.strerror}; give a text file") from None


def _digest(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()

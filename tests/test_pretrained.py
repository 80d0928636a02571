"""Checkpoints of a causal language model, made and saved here and loaded by name; any text by rule."""

import json
import shutil
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from workbench.errors import WorkbenchError
from workbench.language.rules import RULE_CLASSES, byte_pairs, corpus_of_text, rule_class, with_enough
from workbench.language.settings import Posterior

# Importing it takes seconds, which collecting tests should not.
pytestmark = pytest.mark.skipif(
    find_spec("transformers") is None, reason='models need pip install "stagewise-workbench[language]"'
)

REVISIONS = ("step0", "step8", "step64")
TEXT = "".join(
    f"The {a} saw {n} of the {b}s (those in [{a}] and the {b}ing ones), said {a}ly {b}.\n"
    for n, (a, b) in enumerate([("cat", "walk"), ("dog", "jump"), ("bird", "sing"), ("tree", "grow")] * 30)
)
FEW = Posterior(n_beta=10.0, gamma=1000.0, step=1e-5, chains=2, draws=5, burn_in=1, thin=1, batch=4)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A tiny GPTNeoX and a byte-pair tokenizer in a directory, one directory a revision."""
    import transformers

    folder = tmp_path_factory.mktemp("hub") / "tiny"
    tokenizer = tokenizer_of(TEXT)
    config = transformers.GPTNeoXConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64,
    )  # fmt: skip
    for seed, revision in enumerate(REVISIONS):
        torch.manual_seed(seed)
        transformers.GPTNeoXForCausalLM(config).save_pretrained(folder / revision)
        tokenizer.save_pretrained(folder / revision)
    return folder


def tokenizer_of(text):
    import tokenizers
    import transformers

    plain = tokenizers.Tokenizer(tokenizers.models.BPE())
    plain.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    plain.train_from_iterator([text], tokenizers.trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=plain)


def settings(place, **changes):
    from workbench.language.pretrained import PretrainedSettings

    return replace(
        PretrainedSettings(str(place), REVISIONS, context=32, observed=6, shown=1, permutations=2, posterior=FEW),
        **changes,
    )


@pytest.fixture(scope="module")
def study(saved):
    from workbench.language.pretrained import pretrained_study

    return pretrained_study(settings(saved), TEXT)


def test_a_study_of_revisions_has_the_arrays_of_any_other(study):
    assert study["step"].values.tolist() == [0, 8, 64] and study["revision"].values.tolist() == list(REVISIONS)
    assert study["prefix_matching"].sizes["head"] == 4
    assert set(study["class"].values) <= set(RULE_CLASSES) and study.sizes["class"] >= 3
    for name in ("group_correlation", "group_correlation_stderr", "kernel_correlation"):
        assert np.isfinite(study[name]).all()
    # Every revision is itself: none has the numbers of another.
    losses = study["class_loss"].values
    assert all(np.abs(losses[a] - losses[b]).max() > 1e-4 for a, b in ((0, 1), (0, 2), (1, 2)))


def test_losses_are_those_that_the_model_itself_reports(saved):
    from workbench.language.pretrained import causal_losses, load_model, load_tokenizer

    model, (encode, limit) = load_model(str(saved), "step8"), load_tokenizer(str(saved), "step8")
    ids, pieces = encode(TEXT)
    assert "".join(pieces) == TEXT and limit == 64
    tokens = torch.tensor(ids[:60]).view(2, 30)
    theirs = model(input_ids=tokens, labels=tokens).loss
    assert torch.allclose(causal_losses(model, tokens).mean(), theirs, atol=1e-6)


def test_a_revision_in_the_cache_of_the_hub_is_found_by_its_name(saved, tmp_path, monkeypatch):
    """What `transformers` does with a name and a revision, without a network: the layout of its cache."""
    from workbench.language import pretrained

    cache = tmp_path / "models--somebody--tiny"
    for number, revision in enumerate(REVISIONS[:2]):
        commit = f"{number:040x}"
        (cache / "refs").mkdir(parents=True, exist_ok=True)
        (cache / "refs" / revision).write_text(commit)
        shutil.copytree(saved / revision, cache / "snapshots" / commit)
    import huggingface_hub.constants
    import transformers.utils.hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(transformers.utils.hub, "TRANSFORMERS_CACHE", str(tmp_path), raising=False)
    there = pretrained.load_model("somebody/tiny", "step8").state_dict()
    here = pretrained.load_model(str(saved), "step8").state_dict()
    assert all(torch.equal(there[name], here[name]) for name in here)
    with pytest.raises(WorkbenchError, match=r"revision 'step9' cannot be loaded"):
        pretrained.load_model("somebody/tiny", "step9")


def test_only_safetensors_are_read_and_no_code_is_run(saved, tmp_path):
    from workbench.language.pretrained import load_model

    shutil.copytree(saved, tmp_path / "pickled")
    for revision in REVISIONS:
        place = tmp_path / "pickled" / revision
        weights = load_model(str(saved), revision).state_dict()
        (place / "model.safetensors").unlink()
        torch.save(weights, place / "pytorch_model.bin")
    with pytest.raises(WorkbenchError, match="cannot be loaded"):
        load_model(str(tmp_path / "pickled"), "step0")
    config = json.loads((saved / "step0" / "config.json").read_text())
    shutil.copytree(saved / "step0", tmp_path / "own" / "step0")
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"}}
    (tmp_path / "own" / "step0" / "config.json").write_text(json.dumps(config))
    (tmp_path / "own" / "step0" / "mine.py").write_text("raise SystemExit('code that came with a model was run')")
    with pytest.raises(WorkbenchError, match="cannot be loaded"):
        load_model(str(tmp_path / "own"), "step0")


@pytest.mark.parametrize(
    ("change", "text", "message"),
    [
        ({"model": "/nowhere/at/all"}, TEXT, "does not exist"),
        ({"revisions": ("step0", "step7")}, TEXT, "has no revision 'step7'; it has step0, step64, step8"),
        ({"revisions": ()}, TEXT, "no revisions"),
        ({}, "Too short.", r"the text has \d+ tokens, and a document takes 32"),
        ({}, TEXT[:250], r"the text has \d documents of 32 tokens, and a mini-batch takes 4"),
        ({"context": 128}, TEXT, "the model reads 64 tokens"),
    ],
)
def test_bad_input_is_one_line(saved, change, text, message):
    from workbench.language.pretrained import pretrained_study

    with pytest.raises(WorkbenchError, match=message) as caught:
        pretrained_study(settings(saved, **change), text)
    assert "\n" not in str(caught.value)


def test_a_tokenizer_beside_the_checkpoints_is_theirs(saved, tmp_path):
    from workbench.language.pretrained import load_tokenizer

    shutil.copytree(saved, tmp_path / "beside")
    for revision in REVISIONS:
        for file in (tmp_path / "beside" / revision).glob("tokenizer*"):
            file.replace(tmp_path / "beside" / file.name)
    assert load_tokenizer(str(tmp_path / "beside"), "step8")[0](TEXT) == load_tokenizer(str(saved), "step8")[0](TEXT)
    with pytest.raises(WorkbenchError, match=r"has no revision 'main'; it has only itself, which is called \."):
        load_tokenizer(str(saved / "step8"), "main")
    assert load_tokenizer(str(saved / "step8"), ".")[1] == 64


def test_tokens_that_the_model_does_not_know_are_refused(saved, tmp_path):
    import transformers

    from workbench.language.pretrained import pretrained_study

    shutil.copytree(saved, tmp_path / "other")
    config = transformers.AutoConfig.from_pretrained(saved / "step0", vocab_size=100)
    transformers.GPTNeoXForCausalLM(config).save_pretrained(tmp_path / "other" / "step64")
    with pytest.raises(WorkbenchError, match=r"the tokenizer gives token \d+, and the model knows 100"):
        pretrained_study(settings(tmp_path / "other"), TEXT)


def test_a_model_without_attention_is_asked_for_none(saved):
    import transformers

    from workbench.language.pretrained import load_model, tells_attention

    tokens = torch.zeros((1, 8), dtype=torch.int64)
    config = transformers.MambaConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, state_size=2)
    assert not tells_attention(transformers.MambaForCausalLM(config).eval(), tokens)
    assert tells_attention(load_model(str(saved), "step8"), tokens)


def test_the_same_weights_under_two_names_are_refused(saved, tmp_path):
    from workbench.language.pretrained import pretrained_study

    shutil.copytree(saved, tmp_path / "twice")
    shutil.copytree(saved / "step8", tmp_path / "twice" / "step9")
    with pytest.raises(WorkbenchError, match="revisions step8 and step9 have the same weights"):
        pretrained_study(settings(tmp_path / "twice", revisions=("step0", "step8", "step9")), TEXT)


@pytest.mark.parametrize(
    ("piece", "before", "name"),
    [
        (" cat", "the", "word start"), ("Cat", "\n", "word start"), ("ing", " walk", "word part"),
        (" ", "a", "spacing"), ("\n", ".", "formatting"), (" (", "a", "left delimiter"), ("]", "a", "right delimiter"),
        (").", "a", "formatting"), (" 12", "a", "numeric"), ("#", " ", "formatting"),
        ("「", "。", "left delimiter"), ("）", "字", "right delimiter"), (" „", ",", "left delimiter"),
        ("》", "字", "right delimiter"), ("。", "字", "formatting"), ("字", "字", "word part"),
        (">", "a", "right delimiter"),
    ],
)  # fmt: skip
def test_the_class_of_a_piece_of_text(piece, before, name):
    assert RULE_CLASSES[rule_class(piece, before)] == name


def test_a_pair_of_words_seen_before_in_a_document_is_an_induction_pattern():
    words = ["one", "two", "x", "one", "two", "x", "three", "two", "x", "one", "two"]
    number = {word: k for k, word in enumerate(dict.fromkeys(words))}

    def encode(text):
        pieces = [f" {word}" for word in text.split()]
        return [number[piece.strip()] for piece in pieces], pieces

    corpus = corpus_of_text(" ".join(words * 2), encode, len(words))
    marked = [bool(cls == RULE_CLASSES.index("induction")) for cls in corpus.classes[0]]
    assert marked == [False, False, False, False, True, True, False, False, True, True, True]
    assert np.array_equal(corpus.classes[0], corpus.classes[1])  # documents do not see one another
    kept = with_enough(corpus, least=8)
    assert kept.class_names == ("word start", "induction") and (kept.classes >= -1).all()


def test_a_text_of_ones_own_is_learned_with_a_vocabulary_of_byte_pairs():
    encode, words = byte_pairs(TEXT, 300)
    ids, pieces = encode(TEXT)
    assert len(words) == 300 and "".join(pieces) == TEXT and max(ids) < 300
    assert "saw" in [word.strip() for word in words]


def test_a_text_of_ones_own_is_learned_and_measured_to_the_end():
    """Its held-out documents may have fewer classes than the whole; the pieces put together are the text."""
    from workbench.language.settings import LanguageSettings
    from workbench.language.study import language_study

    few = Posterior(chains=2, draws=5, burn_in=1, thin=1, batch=2)
    small = LanguageSettings(
        steps=2, checkpoints=2, observed=4, shown=1, width=4, heads=1, layers=1, permutations=1, posterior=few
    )
    ds = language_study(small, TEXT * 3)
    assert set(ds["class"].values) <= set(RULE_CLASSES) and ds.sizes["class"] >= 3
    assert ds["followed_loss"].dims == ("followed_step", "class") and np.isfinite(ds["group_correlation"]).all()
    written = "".join(ds["text"].values[0]).replace("\N{RETURN SYMBOL}", "")
    assert len(written) > 100 and written in "".join((TEXT * 3).split())

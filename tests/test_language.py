"""Language models: the corpus and its classes, the transformer, group influence, shapes, and a whole tiny study."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import t as t_law

from workbench.errors import WorkbenchError
from workbench.language.corpus import CLASSES, CONTEXT, VOCABULARY, Corpus, Grammar, check_classes, class_counts
from workbench.language.groups import group_influence
from workbench.language.heads import head_scores, induction_places
from workbench.language.model import Shape, Transformer, token_losses
from workbench.language.settings import LanguageSettings, Posterior
from workbench.language.shape import critical_difference, critical_value, steepest
from workbench.language.training import Training, Upweighted, half_gain_steps, log_spaced, losses_of, train
from workbench.simulation.module import ModuleLosses, ModuleSampling, group_kernel, sample_module_posterior

TINY = Shape(VOCABULARY, CONTEXT, width=8, heads=2, layers=2)


def corpus(documents=40, seed=0):
    return Grammar().corpus(documents, seed)


def kind(name):
    return CLASSES.index(name)


def test_the_same_seed_writes_the_same_documents_and_another_others():
    assert np.array_equal(corpus().tokens, corpus().tokens)
    assert not np.array_equal(corpus().tokens, corpus(seed=1).tokens)


def test_classes_hold_by_construction():
    c = corpus(60)
    for tokens, classes in zip(c.tokens, c.classes, strict=True):
        words = [c.words[t] for t in tokens]
        opened = []
        for k, (word, cls) in enumerate(zip(words, classes, strict=True)):
            if cls == kind("left bracket"):
                opened.append(word)
                assert len(opened) <= 2
            elif cls == kind("right bracket"):
                assert opened.pop() + word in ("()", "[]")
            elif cls == kind("digit"):
                assert word.isdigit() and words[k - 1] == "#"
            elif cls == kind("word part"):
                assert word.startswith("-") and classes[k - 1] == kind("word start")
            elif cls == kind("induction"):
                # It follows its predecessor as it did before.
                earlier = [j for j in range(1, k) if tokens[j - 1] == tokens[k - 1] and tokens[j] == tokens[k]]
                assert earlier


def test_suffixes_follow_their_stems_in_four_of_five_cases():
    c = corpus(800)
    stems = c.classes[:, :-1] == kind("word start")
    pairs = np.stack([c.tokens[:, :-1][stems], c.tokens[:, 1:][stems]])
    share = []
    for stem in range(12):
        following = pairs[1][pairs[0] == stem]
        if len(following) > 200:
            share.append(np.bincount(following).max() / len(following))
    # 0.8 and a chance hit of one in eight among the rest; errors of a share of some hundred words.
    assert np.allclose(np.mean(share), 0.8 + 0.2 / 8, atol=0.03)


def test_classes_with_few_tokens_are_refused_by_name():
    few = corpus(1)
    with pytest.raises(WorkbenchError, match=r"classes with fewer than 10 tokens: .*digit \(\d\)"):
        check_classes(few)
    check_classes(corpus(60))
    assert class_counts(few).sum() == CONTEXT - 1


def test_attention_is_causal_and_a_distribution():
    model, tokens = Transformer(TINY), torch.tensor(corpus(3).tokens)
    logits, patterns = model(tokens), model.patterns(tokens)
    assert logits.shape == (3, CONTEXT, VOCABULARY) and len(patterns) == 2
    for pattern in patterns:
        assert torch.allclose(pattern.sum(dim=-1), torch.ones(()))
        assert pattern.triu(1).abs().max() == 0
    layer, x = model.layers[0], torch.randn(3, CONTEXT, TINY.width)
    v = layer.qkv(layer.norm(x)).chunk(3, dim=-1)[2].view(3, CONTEXT, TINY.heads, -1).transpose(1, 2)
    written_out = layer.out((layer.pattern(x) @ v).transpose(1, 2).flatten(2))
    assert torch.allclose(layer(x), written_out, atol=1e-6)  # the fused one looks where the pattern says
    changed = tokens.clone()
    changed[:, 40:] = 0
    assert torch.allclose(model(changed)[:, :40], logits[:, :40], atol=1e-6)


def test_the_weights_of_one_head_change_no_other_head():
    model, tokens = Transformer(TINY), torch.tensor(corpus(2).tokens)
    own = ModuleLosses.at(model, token_losses, None, model.of_head(0, 1))
    assert own.n_weights == 4 * TINY.width * TINY.width // TINY.heads

    def patterns(w):
        return torch.func.functional_call(_FirstPatterns(model), own.weights(w), (tokens,))

    before, after = patterns(own.star), patterns(2 * own.star)
    assert torch.equal(before[:, 0], after[:, 0]) and not torch.allclose(before[:, 1], after[:, 1])


class _FirstPatterns(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, tokens):
        return self.model.patterns(tokens)[0]


def test_it_starts_near_the_uniform_distribution_and_learns():
    model, c = Transformer(TINY), corpus(60)
    assert losses_of(model, c).mean() == pytest.approx(np.log(VOCABULARY), abs=0.05)
    trained = train(
        model, c, np.array([0, 40]), Training(steps=40, rate=1e-2, batch=16), evaluate=c, loss_steps=np.array([0, 40])
    )
    assert list(trained.steps) == [0, 40] and trained.class_loss.shape == (2, len(CLASSES))
    space = trained.class_loss[:, kind("space")]
    assert space[1] < space[0] / 2


def test_up_weighting_changes_nothing_outside_its_window_and_something_inside():
    def losses(upweighted):
        model = Transformer(TINY)
        train(model, corpus(50), np.array([12]), Training(steps=12, batch=8), upweighted=upweighted)
        return losses_of(model, corpus(5, seed=1))

    plain = losses(None)
    documents = np.arange(25)
    assert np.array_equal(plain, losses(Upweighted(documents, 3.0, 12, 20)))
    assert not np.array_equal(plain, losses(Upweighted(documents, 3.0, 4, 8)))


def test_heads_that_copy_and_look_back_score_one():
    tokens = np.array([[1, 2, 3, 1, 2, 3, 1, 2]])
    places = induction_places(tokens)
    assert places.tolist() == [[0, 3, 1], [0, 4, 2], [0, 5, 3], [0, 6, 4]]
    copying, previous = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    for _, p, j in places:
        copying[0, 0, p, j] = 1
    for p in range(1, 8):
        previous[0, 0, p, p - 1] = 1
    scores = head_scores([copying, previous], places)
    assert scores.prefix_matching.tolist() == [1, 0] and scores.previous_token[1] == 1
    assert scores.even == pytest.approx(np.mean([1 / 4, 1 / 5, 1 / 6, 1 / 7]))


def test_group_influence_is_the_mean_over_distinct_pairs_of_its_definition():
    rng = np.random.default_rng(0)
    groups = np.array([0, 0, 0, 1, 1, -1, 2, 2])
    common = rng.normal(size=(8, 8))
    traces = rng.normal(size=(3, 400, 8)) @ common
    found = group_influence(traces, groups, 3, permutations=2)
    z = (traces - traces.mean(axis=1, keepdims=True)) / traces.std(axis=1, keepdims=True)
    correlation = np.einsum("cdi,cdj->cij", z, z) / 400
    for a in range(3):
        for b in range(3):
            pairs = [(i, j) for i in np.flatnonzero(groups == a) for j in np.flatnonzero(groups == b) if i != j]
            by_chain = np.array([[chain[i, j] for i, j in pairs] for chain in correlation]).mean(axis=1)
            # The correction for finite chains is of order 1 / draws.
            assert found.correlation[a, b] == pytest.approx(-by_chain.mean(), abs=0.01)
            assert found.correlation_stderr[a, b] == pytest.approx(by_chain.std(ddof=1) / 3**0.5, abs=0.006)


def test_critical_numbers_of_one_value_and_of_one_difference_are_those_of_students_law():
    """A value may be off to either side, a difference is asked about one way; 4000 curves leave an error of .1."""
    for chains in (6, 12):
        assert critical_value(1, chains) == pytest.approx(t_law.ppf(0.995, chains - 1), rel=0.06)
        assert critical_difference(2, chains) == pytest.approx(t_law.ppf(0.99, 2 * (chains - 1)), rel=0.06)


def test_two_tokens_covary_alike_whether_they_are_of_one_class_or_of_two():
    """Exactly: what a chain's own mean hides is made up for in variances as in covariances."""
    traces = np.cumsum(np.random.default_rng(3).normal(size=(3, 60, 2)), axis=1) + [0.0, 5.0]
    together = group_influence(traces, np.array([0, 0]), 1, permutations=1)
    apart = group_influence(traces, np.array([0, 1]), 2, permutations=1)
    for name in ("covariance", "correlation"):
        assert getattr(together, name)[0, 0] == pytest.approx(getattr(apart, name)[0, 1], rel=1e-9)


def test_standard_errors_of_groups_are_the_spread_over_repetitions():
    rng = np.random.default_rng(1)
    groups = np.repeat([0, 1], 6)
    shared = rng.normal(size=(2, 12)) / 2

    def autocorrelated(chains, draws):
        x = rng.normal(size=(chains, draws, 2))
        for t in range(1, draws):
            x[:, t] = 0.8 * x[:, t - 1] + 0.6 * x[:, t]
        return x @ shared + rng.normal(size=(chains, draws, 12)) / 2

    found = [group_influence(autocorrelated(6, 100), groups, 2, permutations=1) for _ in range(150)]
    for name in ("covariance", "correlation"):
        spread = np.std([getattr(f, name) for f in found], axis=0)
        told = np.sqrt(np.mean([getattr(f, f"{name}_stderr") ** 2 for f in found], axis=0))
        # The spread of 150 has an error of 6%.
        assert np.allclose(spread / told, 1, atol=0.25)


def test_permuted_classes_leave_no_difference_between_classes():
    rng = np.random.default_rng(2)
    groups = np.repeat([0, 1], 40)
    traces = rng.normal(size=(4, 100, 80))
    traces[:, :, :40] += rng.normal(size=(4, 100, 1))
    found = group_influence(traces, groups, 2, permutations=60)
    assert found.correlation[0, 0] < -0.4 and abs(found.correlation[1, 1]) < 0.05
    assert np.abs(found.null - found.null.mean()).max() < 3 * found.null_spread.max()


def test_with_the_loss_off_and_gamma_large_group_correlations_are_the_mean_cosines_of_the_kernel():
    model, c = Transformer(TINY, seed=1), corpus(4)
    tokens, groups = torch.tensor(c.tokens), c.targets.ravel()
    chains = ModuleSampling(chains=8, draws=60, step=1e-7, burn_in=5, thin=2, batches=10, batching="loop")
    samples = sample_module_posterior(model, token_losses, None, tokens, n_beta=0.0, gamma=1e7, sampling=chains)
    found = group_influence(samples.traces, groups, len(CLASSES), permutations=1)
    kernel = group_kernel(ModuleLosses.at(model, token_losses), tokens, groups, len(CLASSES))
    z = (found.correlation - kernel.cosine) / found.correlation_stderr
    upper = np.triu_indices(len(CLASSES))
    # t-distributed with 7 degrees of freedom, 66 values: 6 is exceeded once in 30 times.
    assert np.nanmax(np.abs(z[upper])) < 6
    assert np.nanstd(z[upper]) < 1.6


def test_curves_are_called_neither_rising_nor_falling_where_there_is_only_noise():
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(200):
        draws = rng.normal(size=(12, 6))
        mean, error = draws.mean(axis=1), draws.std(axis=1, ddof=1) / 6**0.5
        wrong += steepest(mean, error).z > critical_difference(12, 6)
    assert wrong <= 8  # 2 expected
    bump = np.array([0.0, 0, 5, 0, 0])
    assert steepest(bump, np.full(5, 0.3))[1:] == (0, 2)
    assert critical_value(12, 6) > critical_value(12, 30) > 2.5


def test_half_of_the_gain_is_found_between_steps_after_the_highest_loss():
    steps = np.array([0, 10, 20, 30])
    losses = np.array([[4.0, 1.0, 3.0], [4.0, 1.0, 5.0], [2.0, 0.9, 5.0], [2.0, 1.0, 1.0]])
    half = half_gain_steps(steps, losses)
    assert half[0] == 15 and np.isnan(half[1]) and half[2] == 25


@pytest.mark.parametrize(("last", "count"), [(600, 12), (1200, 24), (30, 24), (5, 5)])
def test_checkpoints_are_spaced_in_their_logarithm(last, count):
    steps = log_spaced(last, count)
    assert len(steps) == count and steps[0] == 0 and steps[-1] == last and (np.diff(steps) > 0).all()


def tiny_settings(**changes):
    few = Posterior(chains=3, draws=12, burn_in=1, thin=1, batch=2)
    return replace(
        LanguageSettings(
            steps=8, checkpoints=3, documents=60, observed=8, shown=2, width=8, heads=2, permutations=3, posterior=few
        ),
        **changes,
    )


@pytest.fixture(scope="module")
def study():
    from workbench.language.study import language_study

    return language_study(tiny_settings())


def test_a_study_holds_what_it_promises(study):
    G = len(CLASSES)
    assert dict(study.sizes) | {"time": 3, "class": G, "head": 4} == dict(study.sizes)
    for name in ("group_covariance", "group_correlation", "control_correlation"):
        for suffix in ("", "_stderr"):
            assert study[name + suffix].dims == ("time", "source_class", "target_class")
            assert np.isfinite(study[name + suffix]).all()
    assert {"group_correlation_null", "kernel_covariance", "kernel_correlation", "learning_coefficient"} <= set(study)
    assert study["step"].dims == ("time",) and study["step"].values.tolist() == [0, 1, 8]
    assert "n beta multiplies L, the mean of the losses over all tokens" in study.attrs["posterior"]
    assert "negative helps" in study.attrs["sign"]
    assert study["prefix_matching"].dims == ("time", "head")
    assert study["class_loss_stderr"].dims == ("time", "class") and (study["class_loss_stderr"] > 0).all()


def test_the_error_of_a_class_loss_is_that_of_the_means_of_documents():
    from workbench.language.corpus import Corpus
    from workbench.language.training import class_mean_errors

    classes = np.tile([0, 0, 1, 1, -1], (6, 1))  # the first token of a document is not predicted
    losses = np.random.default_rng(0).normal(size=(6, 4)) + np.arange(6)[:, None]
    errors = class_mean_errors(losses, Corpus(classes, classes, ("a", "b", "none"), ()))
    by_document = losses[:, 1:3].mean(axis=1)
    assert errors[1] == pytest.approx(by_document.std(ddof=1) / 6**0.5)
    assert errors[0] == pytest.approx(losses[:, 0].std(ddof=1) / 6**0.5) and np.isnan(errors[2])


def test_a_study_that_was_cut_off_goes_on_to_the_same_numbers(study, tmp_path):
    from contextlib import contextmanager

    from workbench.language.study import language_study
    from workbench.store import Store

    @contextmanager
    def cut(title, total):
        done = []

        def advance(steps):
            done.append(steps)
            if title == "sampling" and sum(done) > total / 2:
                raise KeyboardInterrupt

        yield advance

    store = Store.create(tmp_path / "partial", {})
    with pytest.raises(KeyboardInterrupt):
        language_study(tiny_settings(), bar=cut, store=store)
    store.close()
    again = language_study(tiny_settings(), store=Store.resume(tmp_path / "partial", {}))
    for name in study.data_vars:
        if study[name].dtype.kind == "f":
            # Chains may be moved the other way than before, which rounds differently.
            np.testing.assert_allclose(again[name], study[name], rtol=2e-3, atol=1e-4, err_msg=str(name))


def test_a_study_is_drawn_and_its_text_written(study):
    from workbench.language.figures import all_figures
    from workbench.language.shape import shapes
    from workbench.language.text import telling_token, text_html

    figures = all_figures(study)
    assert set(figures) == {
        "class_loss", "influence_over_training", "influence_matrices", "circuits", "kernel_beside", "text",
    }  # fmt: skip
    assert all(shown.words.caption and shown.words.alt and "{" not in shown.words.caption for shown in figures.values())
    token = telling_token(study)
    page = text_html(study, 1, 0, token)
    assert page.count("<span") == CONTEXT and page.count("the chosen token") == 1
    assert len(shapes(study)) == len(CLASSES) * (len(CLASSES) + 1) // 2


def test_corpora_are_chosen_by_document():
    c = corpus(5)
    some = c.chosen(np.array([3, 1]))
    assert isinstance(some, Corpus) and np.array_equal(some.tokens, c.tokens[[3, 1]]) and len(some.text(0)) == CONTEXT


def test_the_panel_rewrites_the_text_when_a_control_moves(study):
    from workbench.language.panel import text_panel

    box = text_panel(study)
    (time, document, token), text = box.children[0].children, box.children[1]
    seen = [text.value]
    time.value = 2
    seen.append(text.value)
    token.value = 5
    seen.append(text.value)
    document.value = 1
    seen.append(text.value)
    assert len(set(seen)) == 4
    with pytest.raises(WorkbenchError, match="has no text"):
        text_panel(study.drop_vars("token_correlation"))


def few_interventions(**changes):
    from workbench.language.intervention import Intervention

    few = Intervention(extra=0.0, length=3, ahead=1, level=4.04, every=2, steps=12, seeds=2, batch=8)
    return replace(few, **changes), LanguageSettings(documents=60, width=8, heads=2)


def test_an_intervention_tells_gains_against_its_own_seed_and_no_gain_where_nothing_is_weighted():
    from workbench.language.intervention import crossing, effects, intervention_study

    assert crossing(np.array([0, 4, 8]), np.array([3.0, 2.0, 0.0]), 1.0) == 6
    assert np.isnan(crossing(np.array([0, 4]), np.array([3.0, 2.0]), 1.0))
    runs = intervention_study(*few_interventions())
    assert len(runs) == 2 * 5 and (runs["gain"] == 0).all()
    told = effects(runs)
    assert set(told["documents"]) == {"induction", "random", "induction - random"} and (told["seeds"] == 2).all()


def test_interventions_go_on_where_they_were_cut_off_and_stand_in_the_dataset_and_on_the_page(
    study, tmp_path, monkeypatch
):
    import xarray as xr

    from workbench.language.extras import intervention_extra
    from workbench.language.page import write_study
    from workbench.store import Store

    plan, settings = few_interventions(extra=4.0)
    trained = []

    def bar(title, total):
        from contextlib import nullcontext

        def advance(done):
            trained.append(title)
            if len(trained) == 4:
                raise KeyboardInterrupt

        return nullcontext(advance)

    store = Store.create(tmp_path / "partial", {})
    with pytest.raises(KeyboardInterrupt):
        intervention_extra(bar, settings, store, plan)
    store.close()
    resumed = intervention_extra(bar, settings, Store.resume(tmp_path / "partial", {}), plan)
    whole = intervention_extra(bar, settings, None, plan)
    xr.testing.assert_identical(resumed.arrays, whole.arrays)
    assert resumed.said == whole.said and "surely" in whole.said  # three steps on eight documents show nothing
    monkeypatch.setattr("workbench.language.page.all_figures", lambda ds: {})  # drawn in another test
    write_study(study, tmp_path / "result", extras=[whole])
    with xr.open_dataset(tmp_path / "result" / "language.nc", engine="h5netcdf") as ds:
        assert ds["intervention_gain"].dims == ("seed", "window", "documents")
        assert ds["window"].values.tolist() == ["before", "during", "after"]
        assert (ds["intervention_gain"].sel(window="after") == 0).all() and "group_correlation" in ds
        assert "posterior" in ds.attrs
    page = (tmp_path / "result" / "report.html").read_text(encoding="utf-8")
    assert whole.title in page and (tmp_path / "result" / "intervention.csv").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--revisions", "step0"), "--model and --revisions go together"),
        (("--model", "x", "--revisions", "step0"), "--model reads a text"),
        (("--text", "/nowhere.txt"), "--text /nowhere.txt: No such file"),
        (("--chains", "1"), "--chains 1; give 2 or more"),
        (("--checkpoints", "1"), "--checkpoints 1 in --steps"),
        (("--gamma", "-1"), "--gamma -1; give a positive number"),
        (("--device", "cuda"), "--device cuda, and torch finds no such device"),
        (("--observed", "1"), "classes with fewer than 10 tokens"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(run_cli, tmp_path, argv, message):
    ran = run_cli("language", "--out", tmp_path / "result", "--quick", "--quiet", *argv)
    assert ran.code == 2 and ran.err.count("\n") == 1 and message in ran.err, ran.err
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_asked_for_is_refused_before_a_corpus_is_made(monkeypatch):
    from workbench.language.study import language_study

    monkeypatch.setattr("workbench.language.study.corpora", lambda settings: pytest.fail("a corpus was made"))
    settings = LanguageSettings()
    for wrong in (replace(settings, checkpoints=1), replace(settings, posterior=Posterior(chains=1))):
        with pytest.raises(WorkbenchError, match=r"`ch\w+` 1"):
            language_study(wrong)


def test_a_text_shorter_than_the_context_is_refused(run_cli, tmp_path):
    (tmp_path / "short.txt").write_text("A short text.", encoding="utf-8")
    ran = run_cli("language", "--out", tmp_path / "result", "--quiet", "--text", tmp_path / "short.txt")
    assert ran.code == 2 and "a document takes 64" in ran.err and ran.err.count("\n") == 1


@pytest.mark.slow
def test_the_command_writes_what_it_says_and_the_page_holds_the_figures(run_cli, tmp_path):
    import xarray as xr

    ran = run_cli(
        "language", "--out", tmp_path / "result", "--quiet", "--steps", 6, "--checkpoints", 3, "--chains", 2,
        "--draws", 6, "--thin", 1, "--batch-size", 2, "--observed", 8,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "rise and fall beyond noise" in ran.out
    with xr.open_dataset(tmp_path / "result" / "language.nc", engine="h5netcdf") as ds:
        assert ds.sizes["time"] == 3
    page = (tmp_path / "result" / "report.html").read_text(encoding="utf-8")
    assert page.count("<figure") == 6 and "Are the curves more than monotone?" in page and "<script" not in page
    again = run_cli("language", "--out", tmp_path / "result", "--quiet")
    assert again.code == 2 and "--force" in again.err


def test_the_flips_of_the_theory_hold_in_the_linear_network_and_levels_are_learned_in_order(monkeypatch):
    from workbench.language import bridge
    from workbench.language.extras import bridge_extra
    from workbench.semantics import task_from_spec

    levels, projectors = bridge._levels(task_from_spec("tree"))
    assert np.allclose(sum(projectors), np.eye(8)) and np.allclose([np.trace(H) for H in projectors], [1, 1, 2, 4])
    assert all(np.allclose(H @ H, H) for H in projectors) and (levels.diagonal() == -1).all()
    monkeypatch.setattr(bridge, "NETWORKS", ("linear",))
    curves = bridge.bridge(seeds=1)
    assert bridge.in_order(curves) == {"linear": 1}
    learned = [bridge.crossing_up(curves[0].times, row, 0.5) for row in curves[0].learned]
    assert (np.diff(learned) > 0).all()
    extra = bridge_extra(lambda title, total: bridge.no_bar(title, total), seeds=1)
    assert "linear 1 of 1" in extra.said and len(extra.frame) == 3


def test_a_crossing_without_harm_after_it_is_no_flip():
    from workbench.language.bridge import flip_time

    times = np.arange(6.0)
    assert flip_time(times, np.array([-1.0, -0.5, 0.5, 1.0, 0.5, 0.2])) == 1.5
    assert np.isnan(flip_time(times, np.array([-1.0, -0.5, 0.01, -0.01, 0.01, 0.02])))

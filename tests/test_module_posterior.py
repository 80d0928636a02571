"""Any torch module on the bench: its posterior and kernel against what is exact, refusals, resuming."""

import numpy as np
import pytest
import torch
from torch import nn

from workbench.errors import ConditionError, SamplingError, WorkbenchError
from workbench.simulation.module import (
    ModuleLosses,
    ModuleSampling,
    gradient_kernel,
    group_kernel,
    sample_module_checkpoints,
    sample_module_posterior,
)
from workbench.simulation.module.curvature import extreme_curvatures, hessian_product
from workbench.store import Slot, Store


class Weights(nn.Module):
    """Three numbers, and one that is not looked at."""

    def __init__(self, *values):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(values or (0.0, 0.0, 0.0), dtype=torch.float64))
        self.idle = nn.Parameter(torch.zeros(2, dtype=torch.float64))


#: Curvatures of the mean loss of `quadratic`, and rows that give them: l_i = 3 h_i w_i^2 / 2.
H = torch.tensor([4.0, 1.0, 0.25], dtype=torch.float64)
ROWS = torch.arange(3)


def quadratic(model, index):
    return 1.5 * H[index] * model.w[index] ** 2 + 0 * model.idle.sum()


class TwoLayers(nn.Module):
    def __init__(self, W1, W2):
        super().__init__()
        self.W1, self.W2 = (nn.Parameter(torch.tensor(W)) for W in (W1, W2))


def item_losses(Y):
    target = torch.tensor(Y)
    return lambda model, items: 0.5 * (target[:, items] - (model.W2 @ model.W1)[:, items]).square().sum(dim=0)


def network(seed=0, hidden=3):
    rng = np.random.default_rng(seed)
    Y = np.array([[1.0, 1, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 0]])
    return Y, TwoLayers(rng.normal(0, 0.4, (hidden, 4)), rng.normal(0, 0.4, (4, hidden)))


def spread(step, n_beta=30.0, gamma=5.0, draws=100, **options):
    """Variances of w at a quadratic from the variances of what `quadratic` observes, w_i for every i."""
    sampling = ModuleSampling(chains=100, draws=draws, step=step, burn_in=300, thin=8, batching="vmap", **options)
    # The loss that is observed is linear in w, the one that is sampled is its square.
    both = lambda model, rows: model.w[rows] if rows.dtype == torch.int32 else quadratic(model, rows)  # noqa: E731
    watched = ROWS.int()
    samples = sample_module_posterior(
        Weights(), both, None, ROWS, n_beta=n_beta, gamma=gamma, sampling=sampling, observed=watched
    )
    found = samples.estimate()
    return found.covariance[0].diagonal(), found.stderr[0].diagonal(), (n_beta * H + gamma).numpy()


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_the_variance_around_a_quadratic_is_the_stationary_one_of_its_step(share):
    step = 4 * share / 125  # share of the largest stable step is 4 / p with p = 30 * 4 + 5
    variance, error, p = spread(step / 2)
    exact = 1 / (p * (1 - step / 2 * p / 4))
    assert (np.abs(variance - exact) < 4 * error).all()
    assert (error < 0.1 * exact).all()


def test_at_n_beta_zero_the_chains_are_those_of_the_localization_and_take_no_gradient():
    variance, error, _ = spread(0.02, n_beta=0.0, gamma=20.0)
    exact = 1 / (20 * (1 - 0.02 * 20 / 4))
    assert (np.abs(variance - exact) < 4 * error).all()


def test_rmsprop_gives_the_precisions_of_the_quadratic_within_its_known_bias():
    variance, error, p = spread(0.01, draws=60, sampler="rmsprop")
    assert (np.abs(variance * p - 1) < 0.05 + 4 * error * p).all()


def test_it_gives_the_covariance_of_the_sampler_of_two_layer_networks():
    from workbench.networks import network
    from workbench.semantics import task_from_spec
    from workbench.simulation import Sampling, sample_local_posterior
    from workbench.theory.flow.aligned import aligned_trajectory

    task = task_from_spec("tree:2,2")
    path = aligned_trajectory(network(task, 3, "balanced:0.01"), np.array([5.0]))
    model, n_beta, gamma, step = TwoLayers(path.W1[0], path.W2[0]), 100.0, 1000.0, 1e-4
    theirs = sample_local_posterior(
        path, n_beta=n_beta, gamma=gamma, sampling=Sampling(chains=16, draws=2000, step=step, burn_in=200, thin=10)
    ).estimate
    ours = sample_module_posterior(
        model, item_losses(task.Y), None, torch.arange(task.n_items), n_beta=n_beta, gamma=gamma,
        sampling=ModuleSampling(chains=100, draws=40, step=step, burn_in=100, thin=10, batching="vmap"),
    ).estimate()  # fmt: skip
    error = np.hypot(theirs.stderr[0], ours.stderr[0])
    assert (np.abs(ours.covariance[0] - theirs.covariance[0]) < 4 * error).all()
    assert error.max() < 0.08 * theirs.covariance[0].max()


def test_at_large_gamma_it_is_the_gradient_kernel_over_gamma():
    Y, model = network()
    sampling = ModuleSampling(chains=400, draws=50, step=1e-6, burn_in=10, thin=4, batching="vmap")
    losses, rows = item_losses(Y), torch.arange(4)
    found = sample_module_posterior(model, losses, None, rows, n_beta=10.0, gamma=1e6, sampling=sampling).estimate()
    kernel = gradient_kernel(ModuleLosses.at(model, losses), rows) / 1e6
    bias = 1 / (1 - 1e-6 * 1e6 / 4)  # of the step size, known
    assert (np.abs(found.covariance[0] + kernel * bias) < 4 * found.stderr[0]).all()
    assert found.stderr[0].max() < 0.05 * np.abs(kernel).max()


def test_the_kernel_is_that_of_automatic_differentiation_and_its_group_means_those_of_its_pairs():
    Y, model = network()
    losses, rows = item_losses(Y), torch.arange(4)
    own = ModuleLosses.at(model, losses)
    kernel = gradient_kernel(own, rows)
    g = []
    for item in rows:
        parts = torch.autograd.grad(losses(model, item[None]).sum(), (model.W1, model.W2))
        g.append(torch.cat([part.flatten() for part in parts]).numpy())
    assert np.allclose(kernel, -np.array(g) @ np.array(g).T, rtol=1e-12)
    groups = np.array([0, 0, 1, -1])
    product, cosine = group_kernel(own, rows, groups, 2)
    angle = kernel / np.sqrt(np.outer(kernel.diagonal(), kernel.diagonal()))
    assert np.isclose(product[0, 0], kernel[0, 1]) and np.isclose(cosine[0, 0], angle[0, 1])
    assert np.isclose(product[0, 1], kernel[:2, 2].mean()) and np.isclose(cosine[1, 0], angle[:2, 2].mean())
    assert np.isnan(product[1, 1])


def test_curvatures_are_those_of_the_dense_hessian_dense_or_by_lanczos():
    Y, model = network()
    own = ModuleLosses.at(model, item_losses(Y))
    rows = torch.arange(4)
    H = np.stack([hessian_product(own, rows, v) for v in np.eye(24)])
    assert np.allclose(H, H.T, atol=1e-12)
    assert np.allclose(extreme_curvatures(own, rows), np.linalg.eigvalsh(H)[[0, -1]])
    Y, wide = network(hidden=40)
    own = ModuleLosses.at(wide, item_losses(Y))
    exact = np.linalg.eigvalsh(np.stack([hessian_product(own, rows, v) for v in np.eye(320)]))
    assert np.allclose(extreme_curvatures(own, rows), exact[[0, -1]], rtol=0.05)


@pytest.mark.parametrize("batch_size", [None, 2])
def test_chains_batched_by_vmap_are_those_of_a_loop(batch_size):
    Y, model = network()
    traces = []
    for batching in ("loop", "vmap"):
        sampling = ModuleSampling(
            chains=3, draws=20, step=1e-4, burn_in=3, thin=2, batch_size=batch_size, batching=batching
        )
        samples = sample_module_posterior(
            model, item_losses(Y), None, torch.arange(4), n_beta=30.0, gamma=500.0, sampling=sampling
        )
        traces.append(samples.traces)
    assert np.allclose(*traces, rtol=1e-10)
    assert np.ptp(traces[0][:, -1], axis=0).min() > 0  # chains differ


@pytest.mark.parametrize("batching", ["loop", "vmap"])
def test_many_checkpoints_side_by_side_are_sampled_as_each_by_itself(batching):
    Y, model = network()
    states = [network(seed)[1].state_dict() for seed in (1, 2, 3)]
    sampling = ModuleSampling(chains=2, draws=8, step=1e-4, burn_in=3, thin=2, batches=4, batching=batching)
    options = {"n_beta": 30.0, "gamma": 500.0, "sampling": sampling}
    together = sample_module_checkpoints(model, item_losses(Y), states, torch.arange(4), **options)
    for number, (one, state) in enumerate(zip(together, states, strict=True)):
        alone = sample_module_posterior(model, item_losses(Y), state, torch.arange(4), number=number, **options)
        assert np.allclose(one.traces, alone.traces, rtol=1e-10) and np.allclose(one.reference, alone.reference)
    with pytest.raises(WorkbenchError, match="give all three"):
        sample_module_checkpoints(
            model, item_losses(Y), states, torch.arange(4), **options | {"sampling": ModuleSampling(step=1e-4)}
        )


def test_mini_batches_differ_from_chain_to_chain():
    """At gamma so large that noise is nothing, only the mini-batches can tell chains apart."""
    seen = []

    def losses(model, rows):
        seen.append(tuple(rows.tolist()))
        return quadratic(model, rows)

    sampling = ModuleSampling(chains=2, draws=20, step=1e-4, burn_in=0, thin=1, batch_size=1, batching="loop")
    sample_module_posterior(Weights(1, 1, 1), losses, None, ROWS, n_beta=1.0, gamma=1.0, sampling=sampling)
    single = [batch[0] for batch in seen if len(batch) == 1][2:]  # the first two: losses asked by themselves
    first, second = single[::2], single[1::2]
    assert len(first) == len(second) == 20 and first != second


def test_only_chosen_parameters_move_and_the_module_itself_never():
    model = Weights(1.0, 1.0, 1.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    own = ModuleLosses.at(model, quadratic, None, ("w",))
    assert own.names == ("w",) and own.n_weights == 3
    sampling = ModuleSampling(chains=2, draws=20, step=1e-2, burn_in=0, thin=1, parameters=("id*",))
    samples = sample_module_posterior(model, quadratic, None, ROWS, n_beta=1.0, gamma=1.0, sampling=sampling)
    assert np.ptp(samples.traces, axis=(0, 1)).max() == 0  # idle weights change no loss
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_part_of_a_parameter_can_be_sampled_and_its_gradient_is_that_part_of_the_whole():
    Y, model = network()
    losses, rows = item_losses(Y), torch.arange(4)
    whole, own = ModuleLosses.at(model, losses), ModuleLosses.at(model, losses, None, ("W1[1:2]", "W1[:, 3:]"))
    places = torch.tensor([3, 4, 5, 6, 7, 11])  # row 1 and column 3 of the 3 by 4 numbers of W1
    assert own.n_weights == 6 and torch.equal(own.star, whole.star[places])
    w = own.star + torch.arange(6)
    moved = whole.star.clone()
    moved[places] = w
    expected = whole.gradient(moved, rows)[places]
    assert torch.allclose(own.gradient(w, rows), expected, rtol=1e-12)
    by_copy = torch.empty_like(w)
    own.movable().gradient(w, rows, out=by_copy)
    assert torch.allclose(by_copy, expected, rtol=1e-12)
    traces = []
    for batching in ("loop", "vmap"):
        sampling = ModuleSampling(
            chains=2, draws=8, step=1e-4, burn_in=3, thin=2, batches=4, batching=batching, parameters=("W1[1:2]",)
        )
        traces.append(
            sample_module_posterior(model, losses, None, rows, n_beta=9.0, gamma=500.0, sampling=sampling).traces
        )
    assert np.allclose(*traces, rtol=1e-10)
    for wrong, message in (("W1[9:]", "names no weight"), ("W1[1:2, 0:1, :]", "give slices"), ("W3[1:2]", "no param")):
        with pytest.raises(WorkbenchError, match=message):
            ModuleLosses.at(model, losses, None, (wrong,))


def test_checkpoints_that_differ_in_what_is_not_sampled_are_refused_side_by_side():
    Y, model = network()
    states = [network(seed)[1].state_dict() for seed in (1, 2)]
    sampling = ModuleSampling(chains=2, draws=8, step=1e-4, burn_in=3, thin=2, batches=4, parameters=("W1",))
    with pytest.raises(WorkbenchError, match="differ in W2"):
        sample_module_checkpoints(
            model, item_losses(Y), states, torch.arange(4), n_beta=1.0, gamma=1.0, sampling=sampling
        )


class Tied(nn.Module):
    """Reads and writes words by one matrix."""

    def __init__(self):
        super().__init__()
        self.read = nn.Embedding(7, 4)
        self.write = nn.Linear(4, 7, bias=False)
        self.write.weight = self.read.weight

    def forward(self, x):
        return self.write(torch.tanh(self.read(x)))


def next_word(model, words):
    return nn.functional.cross_entropy(model(words[:, 0]), words[:, 1], reduction="none")


def test_a_weight_that_is_used_twice_is_one_weight_whose_checkpoints_can_be_sampled_side_by_side():
    words = torch.tensor([[0, 1], [2, 3], [4, 5], [6, 0]])
    states = [(torch.manual_seed(seed), Tied().double().state_dict())[1] for seed in (1, 2)]
    sampling = ModuleSampling(chains=2, draws=8, step=1e-5, burn_in=3, thin=2, batches=4, batching="loop")
    arguments = {"n_beta": 1.0, "gamma": 100.0, "sampling": sampling}
    both = sample_module_checkpoints(Tied().double(), next_word, states, words, **arguments)
    alone = sample_module_posterior(Tied().double(), next_word, states[1], words, number=1, **arguments)
    assert ModuleLosses.at(Tied(), next_word).n_weights == 28
    assert np.allclose(both[1].traces, alone.traces, rtol=1e-12)


class Sine(torch.autograd.Function):
    """As written before `torch.func`: without setup_context."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.saved_tensors[0].cos()


class Awkward(nn.Module):
    """What `torch.func` cannot follow: counts its calls in a buffer, branches on a value, has a gradient of its own."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(5, 4), nn.Linear(4, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        rows = [Sine.apply(self.inner(row)) if float(row.sum()) > 0 else torch.tanh(self.inner(row)) for row in x]
        return self.outer(torch.stack(rows))


def squares(model, batch):
    inputs, targets = batch
    return (model(inputs) - targets).square().sum(dim=1)


def test_a_module_that_cannot_be_transformed_has_its_kernel_and_is_sampled_chain_by_chain():
    torch.manual_seed(0)
    model, data = Awkward().double(), (torch.randn(4, 5).double(), torch.randn(4, 3).double())
    g = []
    for loss in squares(model, data):
        g.append(
            torch.cat([p.flatten() for p in torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)])
        )
    kernel = gradient_kernel(ModuleLosses.at(model, squares), data)
    assert np.allclose(kernel, -(torch.stack(g) @ torch.stack(g).T).numpy(), rtol=1e-10)
    # eps p = 0.2: variances are 5% large, and draws 10 steps apart are all but independent.
    sampling = ModuleSampling(chains=2, draws=40, step=2e-7, burn_in=20, thin=10)
    samples = sample_module_posterior(model, squares, None, data, n_beta=0.1, gamma=1e6, sampling=sampling)
    assert samples.batching.startswith("chains one after another")
    influence = samples.influence()
    z = (1e6 * influence["local_bif"] - kernel) / (1e6 * influence["local_bif_stderr"])
    assert np.abs(z).max() < 5


def test_a_loss_that_depends_on_the_other_examples_of_its_batch_is_refused():
    def centred(model, batch):
        inputs, targets = batch
        outputs = model(inputs)
        return (outputs - outputs.mean(dim=0) - targets).square().sum(dim=1)

    data = (torch.randn(6, 5), torch.randn(6, 3))
    with pytest.raises(WorkbenchError, match=r"of example \d changes by .* when it is asked by itself"):
        gradient_kernel(ModuleLosses.at(nn.Linear(5, 3), centred), data)


def test_curvature_is_zero_where_a_loss_is_linear_in_weights_that_are_zero():
    model, losses = nn.Linear(5, 1), lambda model, x: model(x)[:, 0]
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    assert extreme_curvatures(ModuleLosses.at(model, losses), torch.randn(6, 5)) == pytest.approx((0, 0), abs=1e-4)


def test_a_diverged_chain_is_named_with_a_step_that_would_do():
    def run(step):
        sampling = ModuleSampling(chains=2, draws=400, step=step, burn_in=0, thin=1)
        return sample_module_posterior(
            Weights(), quadratic, None, ROWS, n_beta=30.0, gamma=5.0, sampling=sampling, label="step 7"
        )

    with pytest.raises(SamplingError, match=r"of 2 chains diverged at step 7.*steps below 0\.032") as caught:
        run(0.1)
    advised = float(str(caught.value).split("use `step` ")[1])
    assert np.isfinite(run(advised).traces).all()


def test_loss_times_two_with_half_the_n_beta_gives_identical_draws():
    traces = []
    for factor in (1.0, 2.0):
        sampling = ModuleSampling(chains=2, draws=50, step=1e-3, burn_in=10, thin=1, batching="loop")
        samples = sample_module_posterior(
            Weights(1.0, 1.0, 1.0),
            lambda model, rows, factor=factor: factor * quadratic(model, rows),
            None,
            ROWS,
            n_beta=8.0 / factor,
            gamma=5.0,
            sampling=sampling,
        )
        traces.append(samples.traces / factor)
    assert np.array_equal(*traces)


def test_learning_coefficient_of_a_quadratic_is_the_one_of_its_curvatures():
    sampling = ModuleSampling(chains=60, draws=60, step=4e-3, burn_in=300, thin=10, batching="vmap")
    n_beta, gamma = 30.0, 5.0
    samples = sample_module_posterior(Weights(), quadratic, None, ROWS, n_beta=n_beta, gamma=gamma, sampling=sampling)
    p = n_beta * H.numpy() + gamma
    exact = (n_beta * H.numpy() / (p * (1 - 4e-3 * p / 4))).sum() / 2
    value, error = samples.learning_coefficient()
    assert abs(value[0] - exact) < 4 * error[0] and error[0] < 0.1 * exact


def test_a_run_that_was_cut_off_goes_on_bit_by_bit(tmp_path):
    Y, model = network()

    def run(slot, progress=None):
        sampling = ModuleSampling(chains=2, draws=30, step=1e-4, burn_in=5, thin=2, batch_size=2, sampler="rmsprop")
        return sample_module_posterior(
            model, item_losses(Y), None, torch.arange(4), n_beta=30.0, gamma=500.0, sampling=sampling, slot=slot,
            progress=progress,
        )  # fmt: skip

    class Cut(Slot):
        asked = 0

        def due(self):
            self.asked += 1
            return self.asked % 15 == 0

    def stop_after(steps):
        done = []

        def progress(chain_steps):
            done.append(chain_steps)
            if sum(done) >= 2 * steps:
                raise KeyboardInterrupt

        return progress

    whole = run(Cut(Store.create(tmp_path / "whole", {}), "chains"))
    store = Store.create(tmp_path / "cut", {})
    with pytest.raises(KeyboardInterrupt):
        run(Cut(store, "chains"), stop_after(31))
    store.close()
    again = run(Cut(Store.resume(tmp_path / "cut", {}), "chains"))
    assert np.allclose(whole.traces, again.traces, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"losses": lambda model, rows: quadratic(model, rows).mean()}, r"gave \(\) for a batch of 3"),
        ({"losses": lambda model, rows: quadratic(model, rows)[:2]}, r"gave \(2,\) for a batch of 3"),
        ({"losses": lambda model, rows: quadratic(model, rows) / 0}, "not finite at the checkpoint"),
        ({"checkpoint": {"w": torch.zeros(3)}}, "none of this module"),
        ({"data": np.arange(3)}, "data of <class 'numpy.ndarray'>; give a tensor"),
        ({"data": ()}, "no data; give a tensor"),
        ({"data": (ROWS, ROWS[:2])}, "data of 2, 3 rows"),
        ({"model": Weights(1.0, 1.0, 1.0).bfloat16()}, "torch.bfloat16 round the steps"),
        ({"n_beta": -1.0}, "an n beta of 0 or more"),
        ({"gamma": 0.0}, "a positive gamma"),
        ({"sampling": {"batch_size": 4}}, "`batch_size` 4 of 3 examples"),
        ({"sampling": {"parameters": ("head.*",)}}, "no parameter is called"),
        ({"sampling": {"sampler": "hmc"}}, "`sampler` 'hmc' is unknown"),
        ({"sampling": {"step": 0.001, "thin": 1, "burn_in": None, "draws": 50}}, "chains too short"),
    ],
)
def test_bad_input_is_refused_in_one_line(change, message):
    arguments = {"losses": quadratic, "checkpoint": None, "n_beta": 1.0, "gamma": 1.0} | change
    sampling = arguments.pop("sampling", {})
    model, data = arguments.pop("model", Weights(1.0, 1.0, 1.0)), arguments.pop("data", ROWS)
    losses, checkpoint = arguments.pop("losses"), arguments.pop("checkpoint")
    with pytest.raises(WorkbenchError, match=message) as caught:
        sample_module_posterior(model, losses, checkpoint, data, sampling=ModuleSampling(**sampling), **arguments)
    assert "\n" not in str(caught.value)


def test_where_no_posterior_exists_the_needed_gamma_is_named():
    with pytest.raises(ConditionError, match=r"use `gamma` above 8"):
        sample_module_posterior(
            Weights(1.0, 1.0, 1.0), lambda m, r: -quadratic(m, r), None, ROWS, n_beta=2.0, gamma=1.0
        )


def test_labels_errors_and_the_posterior_in_words_come_with_the_influence():
    Y, model = network()
    samples = sample_module_posterior(
        model, item_losses(Y), None, torch.arange(4), n_beta=40.0, gamma=4000.0,
        sampling=ModuleSampling(chains=2, draws=40, step=1e-5, burn_in=10, thin=2),
    )  # fmt: skip
    ds = samples.influence(names="abcd")
    assert ds["local_bif"].dims == ("source", "target") and (ds["local_bif_stderr"] > 0).all()
    assert np.array_equal(ds["local_bif"].values, -samples.estimate().covariance[0])
    assert "n beta multiplies L, the mean of the losses over all examples" in ds.attrs["posterior"]
    assert "loop" in ds.attrs["batching"] or "one after another" in ds.attrs["batching"]
    with pytest.raises(WorkbenchError, match="3 names for 4 losses"):
        samples.influence(names="abc")

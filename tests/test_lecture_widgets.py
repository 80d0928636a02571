"""The small widgets for lectures: one mode from rich to lazy, one pair of items and the sign of its kernel."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

pytest.importorskip("ipywidgets")

import matplotlib.pyplot as plt

import workbench.explorer as explorer
from workbench import Hierarchy, theory
from workbench.errors import WorkbenchError
from workbench.explorer import ExplorerState, one_mode, one_pair
from workbench.explorer.chosen_pair import pair_anatomy
from workbench.explorer.lecture_mode import EXPONENTIAL, KEPT, ModeView, sharpness
from workbench.explorer.lecture_pair import PairView
from workbench.explorer.model import curves, start_of
from workbench.explorer.scene import Scene
from workbench.networks import Network
from workbench.theory.modes.rise_time import rise_time

Array = NDArray[np.float64]


def integrated(layers: Array, s: float, c: float, end: float, level: float | None = None) -> tuple[Array, float]:
    """Product of the layers' weights at 50 times up to ``end`` under gradient flow, and when it reaches ``level``."""

    def flow(_: float, w: Array) -> Array:
        error = s - c * w.prod()
        return np.array([error * np.delete(w, k).prod() for k in range(len(w))])

    def reached(_: float, w: Array) -> float:
        return float(w.prod()) - (level if level is not None else np.inf)

    t = np.linspace(0, end, 50)
    found = solve_ivp(flow, (0, end), layers, method="DOP853", t_eval=t, rtol=1e-11, atol=1e-14, events=reached)
    when = found.t_events[0][0] if len(found.t_events[0]) else np.inf
    return found.y.prod(axis=0), float(when)


def layers_of(depth: int, a0: float, lam: float) -> Array:
    if depth != 2:
        return np.full(depth, a0 ** (1 / depth))
    w2 = np.sqrt((lam + np.sqrt(lam**2 + 4 * a0**2)) / 2)
    return np.array([a0 / w2, w2])


@pytest.fixture(scope="module")
def mode_view() -> ModeView:
    return one_mode()


@pytest.fixture
def mode(mode_view: ModeView) -> ModeView:
    mode_view.drop()
    for name, value in {"depth": 2, "a0": 0.01, "lam": 0.0, "s": 1.0}.items():
        mode_view.controls[name].value = value
    return mode_view


@pytest.fixture(scope="module")
def pair_view() -> PairView:
    return one_pair("tree:2,2,2", "dog", "sparrow")


@pytest.fixture
def pair(pair_view: PairView) -> PairView:
    for name, value in {"source": "dog", "target": "sparrow", "a0": 0.01, "lam": 0.0, "time": 4.0}.items():
        pair_view.controls[name].value = value
    return pair_view


# One mode


@pytest.mark.parametrize(("depth", "lam"), [(1, 0.0), (2, 0.0), (2, 0.3), (2, 8.0), (3, 0.0), (5, 0.0)])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_the_time_to_any_share_is_that_of_the_integrated_weights(depth: int, lam: float, share: float) -> None:
    s, c, a0 = 0.8, 0.5, 0.03
    predicted = float(rise_time(share, s, c=c, a0=a0, depth=depth, lam=lam))
    _, when = integrated(layers_of(depth, a0, lam), s, c, 1.5 * predicted + 1, share * s / c)
    # Near the end the strength creeps: an error of 1e-10 in it is one of 1e-8 in time.
    assert predicted == pytest.approx(when, rel=1e-7)


def test_a_share_that_the_start_has_or_that_is_never_reached_is_refused() -> None:
    for share in (0.01, 1.0):
        with pytest.raises(WorkbenchError, match="a start that grows"):
            rise_time(share, 1.0, c=1.0, a0=0.02)


@pytest.mark.parametrize(("depth", "lam", "s"), [(1, 0.0, 1.0), (2, 0.0, 1.5), (2, 3.0, 0.5), (4, 0.0, 1.0)])
def test_the_sliders_draw_the_rise_of_the_integrated_weights(mode: ModeView, depth: int, lam: float, s: float) -> None:
    for name, value in {"depth": depth, "a0": 0.05, "lam": lam, "s": s}.items():
        mode.controls[name].value = value
    t, drawn = mode.line_now.get_data()
    a, _ = integrated(layers_of(depth, 0.05, lam), s, 1.0, float(t[-1]))
    # Between its points the drawn curve is straight: h^2/8 times the curvature, below 1e-3 of the strength.
    np.testing.assert_allclose(np.interp(np.linspace(0, t[-1], 50), t, drawn), a, atol=1e-3 * s)
    assert drawn[-1] >= 0.98 * s


def test_a_linear_model_is_as_lazy_from_every_start_and_a_deep_one_only_from_a_large_one() -> None:
    start = np.geomspace(1e-6, 0.5, 7)
    np.testing.assert_allclose(sharpness(start, 1), EXPONENTIAL, rtol=1e-9)
    for depth in (2, 3, 6):
        values = sharpness(start, depth)
        assert (np.diff(values) > 0).all() and values[-1] < EXPONENTIAL
    # From a small start half of the way is half of the final strength, where the logistic curve has closed forms.
    assert sharpness(1e-6, 2) == pytest.approx(np.log(81) / np.log(1e6 - 1), rel=1e-4)
    np.testing.assert_allclose(sharpness(start, 2, lam=1000.0), EXPONENTIAL, rtol=1e-4)


def test_the_mark_stands_where_the_numbers_say(mode: ModeView) -> None:
    mode.controls["a0"].value = 1e-3
    (at,), (value,) = mode.here.get_data()
    assert (at, value) == pytest.approx((1e-3, float(sharpness(1e-3, 2))))
    assert f"{value:.2f} times the wait" in mode.line and "rich" in mode.line
    (half,), _ = mode.half.get_data()
    # Half of the way, at (1 + a0)/2 on the logistic curve.
    share = (1 + 1e-3) / 2
    assert half == pytest.approx(np.log(share / (1 - share) * (1e3 - 1)) / 2)


def test_imbalance_has_no_say_at_other_depths(mode: ModeView) -> None:
    mode.controls["lam"].value = 5.0
    assert mode.mode.lam == 5.0 and not mode.controls["lam"].disabled
    mode.controls["depth"].value = 3
    assert mode.mode.lam == 0.0 and mode.controls["lam"].disabled and mode.error.value == ""


def test_kept_curves_stay_on_the_axis_of_the_present_one(mode: ModeView) -> None:
    mode.keep()
    t, before = mode.kept_lines[0].get_data()
    mode.controls["depth"].value, mode.controls["a0"].value = 4, 1e-4
    wide, after = mode.kept_lines[0].get_data()
    assert wide[-1] > t[-1] and list(wide) == list(mode.line_now.get_xdata())
    np.testing.assert_allclose(after, 1 / (1 + 99 * np.exp(-2 * wide)), rtol=1e-9)
    np.testing.assert_allclose(before, 1 / (1 + 99 * np.exp(-2 * t)), rtol=1e-9)
    names = [text.get_text() for text in mode.rise.get_legend().get_texts()]
    assert len(names) == 1 and "D = 2" in names[0]
    for k in range(KEPT + 2):
        mode.controls["a0"].value = 10 ** (-2 - 0.5 * k)
        mode.keep()
        mode.keep()
    assert len(mode.kept) == KEPT and len({kept.a0 for kept in mode.kept}) == KEPT
    mode.drop()
    assert mode.rise.get_legend() is None and not any(line.get_visible() for line in mode.kept_lines)


@pytest.mark.parametrize("end", ["min", "max"])
def test_every_slider_reaches_both_of_its_ends(mode: ModeView, end: str) -> None:
    for name, widget in mode.controls.items():
        widget.value = 10 ** getattr(widget, end) if name == "a0" else getattr(widget, end)
        assert mode.error.value == ""
    assert np.isfinite(mode.line_now.get_ydata()).all()


@pytest.mark.parametrize("given", [{"depth": 0}, {"a0": 0.7}, {"lam": 1.0, "depth": 3}, {"s": 9.0}])
def test_a_mode_outside_the_sliders_is_refused_in_one_line(given: dict[str, float]) -> None:
    with pytest.raises(WorkbenchError) as caught:
        one_mode(**given)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


# One pair


def gradients(task, W1: Array, W2: Array) -> Array:
    """``(P, weights)``: gradient of every item's loss, item by item from the chain rule."""
    rows = []
    for x, y in zip(task.X.T, task.Y.T, strict=True):
        h = W1 @ x
        r = y - W2 @ h
        rows.append(np.concatenate([-np.outer(W2.T @ r, x).ravel(), -np.outer(r, h).ravel()]))
    return np.array(rows)


def trained(start: Network, times: Array) -> list[tuple[Array, Array]]:
    """Both weight matrices at some times, by integrating the gradient of the mean loss."""
    X, Y, P = start.task.X, start.task.Y, start.task.n_items
    cut, shapes = start.W1.size, (start.W1.shape, start.W2.shape)

    def split(w: Array) -> tuple[Array, Array]:
        return w[:cut].reshape(shapes[0]), w[cut:].reshape(shapes[1])

    def flow(_: float, w: Array) -> Array:
        W1, W2 = split(w)
        S = (Y - W2 @ W1 @ X) @ X.T / P
        return np.concatenate([(W2.T @ S).ravel(), (S @ W1.T).ravel()])

    begin = np.concatenate([start.W1.ravel(), start.W2.ravel()])
    found = solve_ivp(flow, (0, times[-1]), begin, method="DOP853", t_eval=times, rtol=1e-10, atol=1e-12)
    return [split(w) for w in found.y.T]


@pytest.mark.parametrize("lam", [0.0, 1.5, -1.5])
@pytest.mark.parametrize("spec", ["tree:2,2,2", "tree:3,2", "table:rumelhart"])
def test_the_product_of_the_factors_is_the_kernel_of_explicit_gradients(spec: str, lam: float) -> None:
    state = ExplorerState(task=spec, a0=0.02, lam=lam, hidden=16)
    view = one_pair(spec, a0=0.02, lam=lam)
    scene, found = view.scene, view.anatomy
    i, j = (scene.task.item_index(view.controls[name].value) for name in ("source", "target"))
    kernel = []
    for W1, W2 in trained(start_of(state, scene), found.times[::40]):
        g = gradients(scene.task, W1, W2)
        kernel.append(g[i] @ g[j])
    np.testing.assert_allclose(found.influence[::40], -np.array(kernel), atol=1e-7 * np.abs(kernel).max())
    np.testing.assert_allclose(found.shares.sum(axis=1), found.error, atol=1e-12)


@pytest.mark.parametrize(("target", "when"), [("cat", 10.1965), ("sparrow", 7.0922), ("oak", 5.8193)])
def test_the_sign_flips_when_explicit_gradients_of_the_trained_network_do(
    pair: PairView, target: str, when: float
) -> None:
    # From an ODE solver and the gradients of the weights: one-hot items, a0 = 0.01.
    pair.controls["target"].value = target
    assert pair.anatomy.flips == pytest.approx([when], abs=1e-4)
    assert f"changes at t = {when:.3g}" in pair.line
    pair.controls["time"].value = 0.9 * when
    assert f"helps {target}" in pair.line
    pair.controls["time"].value = 1.1 * when
    assert f"harms {target}" in pair.line and "opposite ways" in pair.line


def test_without_the_root_property_the_product_across_the_first_split_is_nothing() -> None:
    scene = Scene.of(Hierarchy((2, 2, 2)).indicator_task(root=False))
    found = pair_anatomy(scene, 0, 4, a0=0.01)
    assert np.abs(found.influence).max() < 1e-12 and found.flips.size == 0


def test_the_formula_has_the_numbers_of_the_pair(pair: PairView) -> None:
    formulas = [text.get_text() for text in pair.formulas]
    assert formulas[0] == r"$R_1[a]$ = $(a_0+a_1-2a_2)\,/\,8$"
    assert formulas[1] == r"$R_1[e^2]$ = $(e_0^2+e_1^2-2e_2^2)\,/\,8$"
    pair.controls["target"].value = "daisy"
    assert pair.formulas[1].get_text() == r"$R_0[e^2]$ = $(e_0^2-e_1^2)\,/\,8$"


def test_a_slider_moves_the_factors_and_time_only_the_marks(pair: PairView) -> None:
    before, picture = pair.error_line.get_ydata(), pair.canvas.widget.value
    pair.controls["time"].value = 9.0
    np.testing.assert_array_equal(pair.error_line.get_ydata(), before)
    assert pair.canvas.widget.value != picture
    (at,), (value,) = pair.here[2].get_data()
    assert at == 9.0 and value == pytest.approx(np.interp(9.0, *pair.product_line.get_data()))
    pair.controls["a0"].value = 0.1
    s, c = np.array([15, 7, 3]) ** 0.5 / 8, 1 / 8
    e = s - c * theory.mode_strength(pair.anatomy.times[:, None], s, c=c, a0=0.1)
    np.testing.assert_allclose(pair.error_line.get_ydata(), (e**2 @ [1, 1, -2]) / 8, atol=1e-12)


def test_the_kernel_is_that_of_the_explorer(pair: PairView) -> None:
    state = ExplorerState(hidden=8)
    found = curves(state, pair.scene)
    np.testing.assert_allclose(pair.product_line.get_ydata(), found.influence[:, 0, 2], atol=1e-12)


def test_an_item_with_itself_says_one_line_and_leaves_the_picture(pair: PairView) -> None:
    before, line = pair.canvas.widget.value, pair.line
    pair.controls["target"].value = "dog"
    assert "both dog" in pair.error.value and pair.canvas.widget.value == before and pair.line == line
    pair.controls["target"].value = "robin"
    assert pair.error.value == "" and "robin" in pair.line


def test_a_pair_not_named_is_one_whose_sign_changes() -> None:
    view = one_pair("table:rumelhart", "Robin")
    assert view.anatomy.influence.min() < 0 < view.anatomy.influence.max()
    assert one_pair("tree:2,2", target="item 1.1").controls["source"].value == "item 1.2"
    with pytest.raises(WorkbenchError, match="two different"):
        one_pair("tree:2,2,2", "dog", "dog")
    with pytest.raises(WorkbenchError, match="unicorn"):
        one_pair("tree:2,2,2", "unicorn")


# Both


@pytest.mark.parametrize("name", ["mode", "pair"])
def test_moving_sliders_adds_no_artists_and_no_pyplot_figures(name: str, request: pytest.FixtureRequest) -> None:
    view = request.getfixturevalue(name)

    def count() -> list[int]:
        return [len(part.get_children()) for part in (view.figure, *view.figure.axes)]

    before = count()
    for k in range(1, 5):
        view.controls["a0"].value = 10 ** (-2 - 0.4 * k)
    assert count() == before and plt.get_fignums() == []


@pytest.mark.parametrize("name", ["mode", "pair"])
def test_a_display_carries_the_picture_for_readers_without_widgets(name: str, request: pytest.FixtureRequest) -> None:
    view = request.getfixturevalue(name)
    bundle = view._repr_mimebundle_()
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert view.line in bundle["text/plain"]
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == view.model_id


def test_running_a_cell_again_closes_its_old_views_of_the_same_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explorer, "_cell", lambda: "cell-1")
    monkeypatch.setattr(explorer, "_VIEWS", {})
    mode, pair = one_mode(), one_pair("tree:2,2")
    assert mode.comm is not None and pair.comm is not None
    again = one_mode()
    assert mode.comm is None and mode.controls["a0"].comm is None
    assert pair.comm is not None and again.comm is not None

"""The multilayer perceptron."""

from __future__ import annotations

import jax
import numpy as np

from engine.tasks.mlp import init_mlp, mlp
from engine.tasks.parts import Design, step_key


def made(**changes):
    design = Design(**{"given": (5,), "answers": 3, "depth": 3, "width": 4, **changes})
    return design, init_mlp(np.random.default_rng(0), design)


def test_it_has_the_layers_asked_for():
    _, params = made()
    assert [own["w"].shape for own in params["layers"]] == [(5, 4), (4, 4), (4, 4), (4, 3)]


def test_without_hidden_layers_it_is_a_single_linear_one():
    _, params = made(depth=0)
    assert [own["w"].shape for own in params["layers"]] == [(5, 3)]


def test_the_last_layer_has_no_activation():
    design, _ = made(given=(2,), answers=2, depth=0)
    params = {"layers": [{"w": np.eye(2, dtype=np.float32), "b": np.zeros(2, np.float32)}]}
    x = np.array([[-3.0, 5.0]], np.float32)
    np.testing.assert_array_equal(mlp(params, x, design), x)


def test_it_is_the_formula_that_one_writes_in_numpy():
    design, params = made()
    x = np.random.default_rng(1).normal(size=(7, 5))
    h = x
    for own in params["layers"][:-1]:
        h = np.tanh(h @ own["w"] + own["b"])
    np.testing.assert_allclose(mlp(params, np.float32(x), design), h @ params["layers"][-1]["w"], rtol=1e-4, atol=1e-6)


def test_weights_of_the_first_page_are_those_of_its_seed():
    """Drawn layer by layer, with variance one over the inputs, from NumPy's default generator."""
    _, params = made()
    rng = np.random.default_rng(0)
    for own, (n, m) in zip(params["layers"], [(5, 4), (4, 4), (4, 4), (4, 3)], strict=True):
        np.testing.assert_array_equal(own["w"], rng.normal(size=(n, m), scale=n**-0.5).astype(np.float32))


def test_each_hidden_layer_drops_others_and_the_last_none():
    design, params = made(dropout=0.5, width=64, answers=64, activation=lambda x: x * 0 + 1)
    for own in params["layers"]:
        own["w"] = np.eye(*own["w"].shape, dtype=np.float32)
    y = np.asarray(mlp(params, np.ones((8, 5), np.float32), design, step_key(0, np.int32(0))))
    assert set(np.unique(y)) == {0.0, 2.0}


def test_twenty_layers_have_finite_gradients():
    design, params = made(depth=20, width=32)
    x = np.random.default_rng(1).normal(size=(7, 5)).astype(np.float32)
    gradient = jax.jit(jax.grad(lambda params: (mlp(params, x, design) ** 2).mean()))(params)
    sizes = [float(np.abs(own["w"]).max()) for own in gradient["layers"]]
    assert len(sizes) == 21
    assert np.isfinite(sizes).all()
    assert min(sizes) > 0

"""The convolutional network against loops in NumPy."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from engine.tasks import conv as model
from engine.tasks.conv import init_conv, max_pool
from engine.tasks.norms import batch_norm
from engine.tasks.parts import Design, step_key

pytestmark = pytest.mark.once

conv = jax.jit(model.conv, static_argnums=2)
conv_layer = jax.jit(model.conv_layer, static_argnums=2)
DESIGN = Design(given=(8, 8, 1), answers=10, depth=3, width=4)
PARAMS = init_conv(np.random.default_rng(0), DESIGN)
X = np.random.default_rng(1).normal(size=(2, 8, 8, 1)).astype(np.float32)


def convolved(params, x):
    n, height, width, _ = x.shape
    padded = np.pad(x.astype(float), ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = np.zeros((n, height, width, params["w"].shape[-1])) + params["b"]
    for i in range(height):
        for j in range(width):
            y[:, i, j] += np.einsum("nhwc,hwcm->nm", padded[:, i : i + 3, j : j + 3], params["w"])
    return y


def test_a_layer_is_an_activation_of_a_window_that_goes_over_the_picture():
    own = {**PARAMS["layers"][0], "b": np.arange(4, dtype=np.float32)}
    np.testing.assert_allclose(conv_layer(own, X, DESIGN), np.tanh(convolved(own, X)), rtol=1e-4, atol=1e-5)


def test_pooling_takes_the_brightest_of_four():
    x = np.random.default_rng(2).normal(size=(2, 4, 6, 3)).astype(np.float32)
    wanted = [[x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max((1, 2)) for j in range(3)] for i in range(2)]
    np.testing.assert_array_equal(max_pool(x), np.transpose(wanted, (2, 0, 1, 3)))


def test_the_gradient_of_pooling_goes_to_the_brightest():
    x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    gradient = jax.grad(lambda x: max_pool(x).sum())(x)
    assert np.argwhere(gradient[0, :, :, 0]).tolist() == [[1, 1], [1, 3], [3, 1], [3, 3]]


def test_the_first_two_layers_halve_the_picture():
    shapes = [own["w"].shape for own in PARAMS["layers"]]
    assert shapes == [(3, 3, 1, 4), (3, 3, 4, 4), (3, 3, 4, 4), (2 * 2 * 4, 10)]
    assert conv(PARAMS, X, DESIGN).shape == (2, 10)


def test_the_whole_is_its_parts():
    first, second, third, last = PARAMS["layers"]
    y = max_pool(conv_layer(second, max_pool(conv_layer(first, X, DESIGN)), DESIGN))
    wanted = conv_layer(third, y, DESIGN).reshape(2, -1) @ last["w"]
    np.testing.assert_allclose(conv(PARAMS, X, DESIGN), wanted, rtol=1e-5, atol=1e-6)


def test_residual_connections_where_the_channels_fit():
    design = dataclasses.replace(DESIGN, residual=True)
    x = np.random.default_rng(3).normal(size=(2, 4, 4, 4)).astype(np.float32)
    wanted = x + conv_layer(PARAMS["layers"][1], x, DESIGN)
    np.testing.assert_allclose(conv_layer(PARAMS["layers"][1], x, design), wanted, rtol=1e-6)
    assert conv_layer(PARAMS["layers"][0], X, design).shape == (2, 8, 8, 4)


@pytest.mark.parametrize("norm", ["layer", "batch", "rms"])
def test_it_is_normalised_before_the_activation(norm):
    design = dataclasses.replace(DESIGN, norm=norm)
    own = init_conv(np.random.default_rng(0), design)["layers"][0]
    y = np.asarray(design.normalise(own["norm"], np.float32(convolved(own, X))))
    np.testing.assert_allclose(conv_layer(own, X, design), np.tanh(y), rtol=1e-3, atol=1e-4)


def test_batch_normalisation_makes_one_of_all_places():
    params = {"scale": np.ones(1, np.float32), "offset": np.zeros(1, np.float32)}
    y = np.asarray(batch_norm(params, 5 + X))
    assert (y.mean(), y.var()) == (pytest.approx(0, abs=1e-5), pytest.approx(1, rel=1e-3))


def test_dropout_drops():
    design = dataclasses.replace(DESIGN, dropout=0.5, activation=lambda x: x * 0 + 1)
    y = np.asarray(conv_layer(PARAMS["layers"][0], X, design, step_key(0, np.int32(0)), 0))
    assert set(np.unique(y)) == {0.0, 2.0}

"""Normalisation against NumPy."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from engine.tasks.norms import NORMS, batch_norm, init_norm, layer_norm, rms_norm

pytestmark = pytest.mark.once

RNG = np.random.default_rng(0)
SHAPES = [(6, 5), (6, 4, 5), (6, 4, 3, 5)]
PARAMS = {"scale": RNG.normal(size=5).astype(np.float32), "offset": RNG.normal(size=5).astype(np.float32)}


def values(shape):
    return (3 + 2 * np.random.default_rng(1).normal(size=shape)).astype(np.float32)


def standard(x, axes):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_layer_norm_is_over_the_units_of_each_example(shape):
    x = values(shape)
    wanted = standard(x.astype(float), -1) * PARAMS["scale"] + PARAMS["offset"]
    np.testing.assert_allclose(layer_norm(PARAMS, x), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("shape", "axes"), [((6, 5), 0), ((6, 4, 5), 0), ((6, 4, 3, 5), (0, 1, 2))])
def test_batch_norm_is_over_the_examples_and_over_the_places_of_pictures(shape, axes):
    x = values(shape)
    wanted = standard(x.astype(float), axes) * PARAMS["scale"] + PARAMS["offset"]
    np.testing.assert_allclose(batch_norm(PARAMS, x), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_may_go_by_the_first_examples_alone(shape):
    x = values(shape)
    other = x.copy()
    other[4:] += 100
    first, second = (batch_norm(PARAMS, each, known=4) for each in (x, other))
    np.testing.assert_array_equal(first[:4], second[:4])
    np.testing.assert_allclose(first[:4], batch_norm(PARAMS, x[:4]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(second[4:] - first[4:], np.broadcast_to(rise(x), x[4:].shape), rtol=1e-2)


def rise(x):
    axes = (0, 1, 2) if x.ndim == 4 else (0,)
    return 100 / np.sqrt(x[:4].astype(float).var(axes) + 1e-5) * PARAMS["scale"]


@pytest.mark.parametrize("shape", SHAPES)
def test_rms_norm_takes_no_mean_off(shape):
    x = values(shape).astype(float)
    wanted = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * PARAMS["scale"]
    np.testing.assert_allclose(rms_norm(PARAMS, values(shape)), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", ["layer", "batch", "rms"])
def test_at_first_values_are_only_brought_to_one_size(norm):
    params = init_norm(norm, 5)
    assert set(params) == ({"scale"} if norm == "rms" else {"scale", "offset"})
    y = np.asarray(NORMS[norm](params, 1000 * values((64, 5))))
    assert np.sqrt(np.mean(y**2)) == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("norm", ["layer", "batch", "rms"])
def test_gradients_of_equal_values_are_finite(norm):
    gradient = jax.grad(lambda x: NORMS[norm](PARAMS, x).sum())(np.ones((3, 5), np.float32))
    assert np.isfinite(gradient).all()

"""Norms over the whole range of float32, against float64."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine import magnitudes
from engine.magnitudes import norms, precision, record

RANDOM = np.random.default_rng(0).normal(size=257).astype(np.float32)


@pytest.mark.parametrize("size", [1.0, 1e-25, 1e-35, 3e-23, 1e19, 1e25, 1e37])
def test_a_norm_is_that_in_double_precision(size):
    array = (RANDOM * size).astype(np.float32)
    np.testing.assert_allclose(norms([jnp.asarray(array)]), [np.linalg.norm(array.astype(np.float64))], rtol=1e-5)


def test_one_extreme_array_leaves_the_others_right():
    arrays = [RANDOM, RANDOM * np.float32(1e-30), np.zeros(3, np.float32), np.zeros(0, np.float32)]
    wanted = [np.linalg.norm(array.astype(np.float64)) for array in arrays]
    np.testing.assert_allclose(jax.jit(norms)(list(map(jnp.asarray, arrays))), wanted, rtol=1e-5)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_isnt_finite_travels(odd):
    found = np.asarray(norms([jnp.array([1.0, odd]), jnp.ones(4)]))
    assert not np.isfinite(found[0])
    assert np.isnan(found[0]) == np.isnan(odd)
    assert found[1] == 2.0


def test_a_record_is_loss_weights_updates_and_gradients():
    before, after = {"a": jnp.array([3.0, 4.0]), "b": jnp.array(1.0)}, {"a": jnp.array([3.0, 5.0]), "b": jnp.array(1.5)}
    grads = {"a": jnp.array([6.0, 8.0]), "b": jnp.array(-2.0)}
    assert record(jnp.array(7.0), before, after, grads).tolist() == [7, 5, 1, 1, 0.5, 10, 2]


def test_magnitudes_of_complex_and_half_parameters_are_recorded_in_single_precision():
    params = {"c": jnp.array([3 + 4j]), "h": jnp.array([300.0], jnp.float16)}
    found = record(jnp.array(0.0), params, params, params)
    assert found.tolist() == pytest.approx([0, 5, 300, 0, 0, 5, 300])
    assert found.dtype == precision(params) == jnp.float32


def test_double_precision_is_kept():
    with jax.enable_x64(True):
        found = record(jnp.array(1 / 3, jnp.float64), *[{"w": jnp.array([1e-200], jnp.float64)}] * 3)
        assert (found.dtype, float(found[0]), float(found[1])) == (jnp.float64, 1 / 3, 1e-200)


def test_on_the_host_a_large_array_is_measured_piece_by_piece():
    array = np.linspace(-1, 2, (1 << 20) + 3, dtype=np.float32).reshape(1, -1)
    assert magnitudes.on_host(array) == pytest.approx(float(np.linalg.norm(array.astype(np.float64))), rel=1e-12)
    assert magnitudes.on_host(array, array) == 0
    assert magnitudes.on_host(np.float32(3)) == 3


def test_on_the_host_complex_numbers_are_measured_by_their_magnitude():
    array = np.array([3 + 4j, -12j], np.complex64)
    assert magnitudes.on_host(array) == 13
    assert magnitudes.on_host(array, array.real) == pytest.approx(np.hypot(4, 12))

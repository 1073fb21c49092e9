"""A function at many points: each point's own result, however many are computed at a time."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from engine.sweep import at_a_time, split, sweep

POINTS = np.linspace(-1, 1, 7, dtype=np.float32)
W = np.arange(6, dtype=np.float32).reshape(2, 3)


def loss(point, w):
    return lax.scan(lambda c, x: (jnp.tanh(c + x * point), None), jnp.sum(w), w[0])[0]


@pytest.mark.parametrize("budget", [0, 200, 2**28])
def test_each_point_has_its_own_result(budget):
    found = jax.jit(lambda points: sweep(loss, points, W, budget=budget))(POINTS)
    np.testing.assert_allclose(found, [loss(point, W) for point in POINTS], rtol=1e-6)


def test_points_can_be_trees():
    found = sweep(lambda point: point["a"] * point["b"], {"a": POINTS, "b": POINTS})
    np.testing.assert_allclose(found, POINTS**2, rtol=1e-6)


def big(point, w):
    return jnp.sum(jnp.tanh(w * point) ** 2)


def test_what_a_point_computes_is_what_it_takes():
    w = np.ones(1000, np.float32)
    size = sum(4 * count for count in (1, 1000, 1000, 1000, 1000, 1))  # point, w, product, tanh, square, sum
    assert at_a_time(big, (POINTS[0], w), 100, budget=10 * size) == 10
    assert at_a_time(big, (POINTS[0], w), 100, budget=10 * size - 1) == 9


def test_at_least_one_point_and_at_most_all():
    assert at_a_time(big, (POINTS[0], W), 7, budget=1) == 1
    assert at_a_time(big, (POINTS[0], W), 7, budget=2**30) == 7


def test_arguments_are_split_and_filled_again():
    args = ({"x": W, "kind": "relu"}, 2.0, None, "end")
    arrays, rest = split(args)
    assert len(arrays) == 2
    assert rest.filled([W + 1, 3.0])[1:] == (3.0, None, "end")
    assert rest.filled([W + 1, 3.0])[0]["kind"] == "relu"
    np.testing.assert_array_equal(rest.filled([W + 1, 3.0])[0]["x"], W + 1)


def test_the_rest_is_equal_where_strings_are_and_arrays_needn_t_be():
    assert split((W, "a"))[1] == split((W + 1, "a"))[1]
    assert split((W, "a"))[1] != split((W, "b"))[1]
    assert hash(split((W, "a"))[1]) == hash(split((W + 1, "a"))[1])

"""Paths, counted and walked."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax import lax

from engine.expansion import expand


def expanded(fun, *args, chosen=(0,)):
    return expand(jax.make_jaxpr(fun)(*args).jaxpr, chosen)


def test_the_course_example_has_a_path_for_each_argument():
    found = expanded(lambda x, y, z: (x + y) * z, 1.0, 2.0, 3.0, chosen=(0, 1, 2))
    assert (found.paths, found.factors) == (3, 2 + 2 + 1)
    assert found.operations == 2  # 1·z, twice; z's path has a single factor


def test_fan_out_adds_paths():
    found = expanded(lambda x: jnp.sin(x) * x + x, 1.0)
    assert (found.paths, found.factors) == (3, 3 + 2 + 1)


def test_a_chain_of_doublings_has_paths_without_end():
    def loss(x):
        for _ in range(200):
            x = x * x
        return x

    assert expanded(loss, 1.0).paths == 2**200


def test_what_only_moves_numbers_is_no_factor():
    assert expanded(lambda x: jnp.sum(x.reshape(6).reshape(3, 2).T), np.ones((2, 3))).factors == 6


ONES = np.ones((3, 4), np.float32)
W = np.ones((4, 4), np.float32)
LINEAR = {
    "sums": lambda w: jnp.sum(jnp.sum(w, axis=0) + w),
    "joined": lambda w: jnp.sum(jnp.concatenate([w, w + W, w], axis=1)),
    "cut": lambda w: jnp.sum((w + w)[1:3]),
    "padded": lambda w: jnp.sum(jnp.pad(w, 2)),
    "summed up": lambda w: jnp.sum(jnp.cumsum(w, axis=0)),
    "scanned": lambda w: jnp.sum(
        lax.scan(lambda c, x: (c + jnp.sum(w + x, axis=0), c), ONES[0], np.ones((5, 4), np.float32))[0]
    ),
    "stacked": lambda w: jnp.sum(lax.scan(lambda c, x: (c + x, c + x), jnp.zeros(4), w)[1]),
    "jitted": lambda w: jnp.sum(jax.jit(lambda a: a + a)(w)),
    "rematerialised": lambda w: jnp.sum(jax.checkpoint(lambda a: a + a)(w)),
    "branched": lambda w: lax.cond(jnp.sum(w) > 0, lambda a: jnp.sum(a + a), lambda a: jnp.sum(a), w),
    "looked up": lambda w: jnp.sum(w[np.array([0, 0, 3])]),
    "added at": lambda w: jnp.sum(w.at[1].add(w[2])),
    "pooled": lambda w: jnp.sum(lax.reduce_window(w, 0.0, lax.add, (2, 2), (1, 1), "VALID")),
}
"""Losses whose every local derivative is 1: the sum of the gradient is the number of paths."""


@pytest.mark.parametrize("name", LINEAR)
def test_the_gradient_counts_its_own_paths(name):
    fun = LINEAR[name]
    assert expanded(fun, W).paths == int(jax.grad(fun)(W).sum())


def added(a, b):
    """What a matrix product reads, added up instead of multiplied: every derivative is 1."""
    return jnp.sum(a[..., :, None] + b, axis=-2)


MIXED = {
    "layers": lambda times, w: jnp.sum(times(times(times(ONES, w), w), w)),
    "scanned": lambda times, w: jnp.sum(
        lax.scan(lambda c, x: (times(c, w) + x, c), ONES, np.ones((5, 1, 1), np.float32))[0]
    ),
}


@pytest.mark.parametrize("name", MIXED)
def test_a_product_has_the_paths_of_a_sum_over_the_same_pairs(name):
    sums = partial(MIXED[name], added)
    assert expanded(partial(MIXED[name], jnp.matmul), W).paths == int(jax.grad(sums)(W).sum())


def test_a_convolution_has_a_path_for_each_pair_that_meets():
    x = np.ones((1, 2, 5, 5), np.float32)
    fun = lambda w: jnp.sum(lax.conv_general_dilated(x, w, (1, 1), "SAME"))
    w = np.ones((3, 2, 3, 3), np.float32)
    assert expanded(fun, w).paths == int(jax.grad(fun)(w).sum())


def test_no_path_leads_through_what_has_no_derivative():
    assert expanded(lambda x: jnp.sum(jnp.round(x) + lax.stop_gradient(x) + jnp.argmax(x)), np.ones(3)).paths == 0


def test_a_parameter_without_a_path_has_no_share():
    found = expanded(lambda x, y: jnp.sum(x) + 0 * jnp.round(y), np.ones(3), 1.0, chosen=(0, 1))
    assert (found.paths, found.entries) == (3, 3)


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=12))
def test_counting_agrees_with_walking(pairs):
    """Random graphs of additions: each node adds two earlier ones; the paths are walked one by one."""

    def loss(x):
        values = [x]
        for a, b in pairs:
            values.append(values[a % len(values)] + values[b % len(values)])
        return values[-1]

    def walk(node):
        if node == 0:
            return [0]
        return [1 + steps for parent in pairs[node - 1] for steps in walk(parent % node)]

    lengths = walk(len(pairs))
    found = expanded(loss, 1.0)
    assert (found.paths, found.factors) == (len(lengths), sum(lengths))

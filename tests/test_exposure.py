"""What leaves the step as it is: now and then in a long row, never a product before a sum."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine.exposure import LONGEST, ROW, bare_gradients, bare_values

VECTOR = np.ones(4, np.float32)


def factors(x, w, count=60):
    for _ in range(count):
        x = jnp.sin(x * w)
    return jnp.sum(x)


def sums(x, w, count=20):
    for _ in range(count):
        x = x + jnp.sin(x) * w
    return jnp.sum(x)


@pytest.mark.parametrize("chosen", [bare_values, bare_gradients])
def test_a_short_program_leaves_as_copies_only(chosen):
    assert not chosen(engine.trace(lambda x, w: factors(x, w, ROW // 2 - 1), VECTOR, VECTOR))


@pytest.mark.parametrize("chosen", [bare_values, bare_gradients])
def test_in_a_row_of_factors_one_in_sixteen_leaves_as_it_is(chosen):
    graph = engine.trace(factors, VECTOR, VECTOR)
    assert len(chosen(graph)) == (len(graph.nodes) - 3) // (ROW + 1)


def test_a_product_before_a_sum_is_always_a_copy():
    graph = engine.trace(sums, VECTOR, VECTOR)
    assert {graph.node(id).op for id in bare_values(graph)} <= {"sin"}
    assert bare_values(graph)


def test_a_row_of_sums_ends_at_last():
    graph = engine.trace(lambda x, w: sums(x, w, LONGEST + 2), VECTOR, VECTOR)
    added = [node.id for node in graph.nodes if node.op == "add"]
    assert len(bare_values(graph) & set(added)) == 1


@pytest.mark.parametrize("chosen", [bare_values, bare_gradients])
def test_half_precision_leaves_as_copies_only(chosen):
    half = jnp.ones(4, jnp.bfloat16)
    assert not chosen(engine.trace(lambda x, w: factors(x, w, 30), half, half))

"""What leaves the step as it is: now and then in a long row, never a product before a sum."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine import exposure
from engine.exposure import LONGEST, ROW, held_gradients, held_values
from engine.flow import downstream, senders, upstream

VECTOR = np.ones(4, np.float32)
MATRIX = np.ones((4, 4), np.float32)


def bare_values(graph):
    return exposure.bare_values(graph, held_values(graph)) - held_values(graph)


def bare_gradients(graph):
    active = downstream(graph, graph.inputs)
    return exposure.bare_gradients(graph, active, senders(graph, upstream(graph, graph.outputs[:1]))) - gradients(graph)


def gradients(graph, active=None):
    active = downstream(graph, graph.inputs) if active is None else active
    return held_gradients(graph, active, senders(graph, upstream(graph, graph.outputs[:1])))


def names(graph, ids):
    return {graph.node(id).name for id in ids if graph.node(id).kind == "op"}


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


# ---- what is in memory in any case -----------------------------------------------------------------------------------


def dense(w, x):
    return jnp.sum(jnp.sin(jnp.tanh(x @ w) @ w))


def loop(w, xs):
    def step(h, x):
        h = jnp.tanh(h @ w + x)
        return h, jnp.cos(h)

    return jnp.sum(jax.lax.scan(step, jnp.zeros((4, 4)), xs)[1])


def test_what_a_product_makes_or_reads_is_in_memory():
    graph = engine.trace(dense, MATRIX, MATRIX)
    assert names(graph, held_values(graph)) == {"dot_general", "tanh", "dot_general#2", "reduce_sum"}


def test_what_a_product_reads_or_makes_on_the_way_back_is_in_memory():
    graph = engine.trace(dense, MATRIX, MATRIX)
    assert names(graph, gradients(graph)) == {
        "dot_general",
        "tanh",
        "dot_general#2",
    }


def test_a_gradient_that_only_watching_computes_is_a_copy_unless_a_product_returns_it():
    graph = engine.trace(dense, MATRIX, MATRIX)
    assert {graph.node(id).name for id in gradients(graph, frozenset())} == {"x", "tanh"}


def test_a_sum_over_rows_is_in_memory_where_it_is_an_arguments_gradient():
    """Elsewhere XLA may make a sum in the loop that reads it, and the loss comes out different in its last bit."""
    graph = engine.trace(lambda b, x: jnp.sum(jnp.tanh(x + b) - jnp.log(jnp.sum(jnp.exp(x)))), VECTOR, MATRIX)
    assert {graph.node(id).name for id in gradients(graph)} == {"broadcast_in_dim", "reduce_sum"}


def test_what_comes_back_through_a_logarithm_of_a_sum_is_divided_once():
    graph = engine.trace(lambda x: jnp.sum(jnp.log(jnp.sum(x, 1)) + jnp.log(x[0] * x[1])), MATRIX)
    assert names(graph, gradients(graph)) == {"reduce_sum"}


def test_what_comes_back_to_where_much_was_picked_is_in_memory():
    for places, found in ((np.array([0, 2]), {"tanh"}), (np.array([0]), set())):
        graph = engine.trace(lambda x: jnp.sum(jnp.tanh(x)[places]), MATRIX)
        assert names(graph, gradients(graph)) == found


def test_what_xla_never_computes_twice_needs_no_copy():
    graph = engine.trace(lambda x: jnp.sum(jnp.exp(jnp.sin(x)) * jnp.log(x + 2)), MATRIX)
    assert {graph.node(id).name for id in bare_values(graph)} == {"exp", "log"}
    half = jnp.ones(4, jnp.bfloat16)
    assert not bare_values(engine.trace(lambda x: jnp.sum(jnp.exp(x)), half))


def test_a_difference_hands_its_gradient_on_to_what_nothing_else_comes_back_to():
    def stable(w, x):
        logits = x @ w
        return jnp.sum(jnp.exp(logits - jax.lax.stop_gradient(jnp.max(logits, 1, keepdims=True))))

    graph = engine.trace(stable, MATRIX, MATRIX)
    assert {"dot_general", "sub"} <= names(graph, gradients(graph))


def test_a_sum_hands_the_gradient_on_as_it_is():
    graph = engine.trace(lambda w, x, b: jnp.sum(jnp.tanh(x @ w + b) ** 2), MATRIX, MATRIX, MATRIX)
    assert names(graph, gradients(graph)) == {"dot_general", "add"}


def test_what_a_loop_hands_on_to_the_next_iteration_is_in_memory():
    graph = engine.trace(loop, MATRIX, np.ones((3, 4, 4), np.float32))
    inner = {graph.node(id).op for id in held_values(graph) if graph.node(id).places}
    assert inner == {"input", "dot_general", "tanh"}


@pytest.mark.parametrize("shape", [(4, 1), (1, 4)])
def test_a_product_along_an_axis_of_one_is_none(shape):
    graph = engine.trace(lambda w, x: jnp.sum(jnp.tanh(x.reshape(shape[::-1])) @ w), np.ones(shape, np.float32), VECTOR)
    summed = {"reduce_sum"} if shape[1] > 1 else set()  # a sum of one number is that number
    assert names(graph, held_values(graph)) == {"dot_general"} | summed

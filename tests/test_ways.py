"""The ways from a value to the loss: what lies on them, and their number, against counting by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from engine import trace
from engine.ways import ways

ONE = np.float32(1)


def doubling(x, y):
    for _ in range(10):
        x = jnp.sin(x) + jnp.cos(x)
    return x * y


def named(found) -> set[str]:
    return {found.graph.node(id).name for id in found.nodes}


def test_a_way_is_what_stands_between():
    found = ways(trace(lambda x, y, z: (x + y) * z, ONE, ONE, ONE), "y")
    assert named(found) == {"y", "add", "mul"}
    assert (found.operations, found.paths) == (2, 1)


def test_ways_multiply_where_they_fork_and_meet():
    graph = trace(doubling, ONE, ONE)
    assert ways(graph, "x").paths == 2**10
    assert ways(graph, "y").paths == 1


def test_the_loss_is_its_own_way():
    graph = trace(doubling, ONE, ONE)
    loss = ways(graph, graph.outputs[0])
    assert (loss.operations, loss.paths) == (0, 1)


def test_what_no_gradient_passes_is_on_no_way():
    graph = trace(lambda x: lax.stop_gradient(x) * 2 + x**2, ONE)
    assert "stop_gradient" not in named(ways(graph, "x"))


def test_what_is_cut_off_has_none():
    found = ways(trace(lambda x, n: x * lax.stop_gradient(n), ONE, ONE), "n")
    assert (found.nodes, found.operations, found.paths) == (frozenset(), 0, 0)


def test_a_way_leads_through_a_jitted_function_and_a_loop():
    @jax.jit
    def inner(c):
        return jnp.tanh(c)

    def loss(x):
        return lax.scan(lambda c, _: (inner(c), None), x, None, length=3)[0]

    found = ways(trace(loss, ONE), "x")
    assert any(name.endswith("tanh") for name in named(found))
    assert found.paths == 1


def test_uses_on_a_way_are_told_from_others():
    graph = trace(lambda x, y: x * y, ONE, ONE)
    found = ways(graph, "x")
    assert found.takes(graph.node("x").id, graph.node("mul").id)
    assert not found.takes(graph.node("y").id, graph.node("mul").id)

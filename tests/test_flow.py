"""Where derivatives go."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

import engine
from engine.flow import downstream, senders, upstream, ways_back

X = np.array([0.5, -1.0, 2.0], np.float32)


def test_active_nodes_depend_on_what_is_differentiated():
    def partly(w, x):
        return jnp.sum(w * jnp.sin(x))

    graph = engine.trace(partly, X, X)
    names = {graph.node(id).name for id in downstream(graph, graph.inputs[:1])}
    assert names == {"w", "mul", "reduce_sum"}


def test_a_cut_ends_the_way_up_and_down():
    def cut(x):
        return jnp.sum(jnp.sin(jax.lax.stop_gradient(jnp.exp(x)) * x))

    graph = engine.trace(cut, X)
    assert "stop_gradient" not in {graph.node(id).name for id in downstream(graph, graph.inputs)}
    assert "exp" not in {graph.node(id).name for id in upstream(graph, graph.outputs)}


def test_what_is_only_compared_or_held_still_sends_nothing_back():
    def forked(x):
        h = jnp.sin(x)
        return jnp.sum(jnp.where(h > 0, h, 0.1) - jax.lax.stop_gradient(h))

    graph = engine.trace(forked, X)
    (h,) = (node.id for node in graph.nodes if node.op == "sin")
    assert len(graph.consumers(h)) == 3
    assert [graph.node(id).op for id in ways_back(graph, h, senders(graph, upstream(graph, graph.outputs[:1])))] == [
        "select_n"
    ]


def test_of_an_equation_with_several_results_one_that_is_used_is_enough():
    graph = engine.trace(lambda x: jnp.sum(jnp.split(jnp.sin(x), [1])[1]), X)
    (split,) = {node.equation for node in graph.nodes if node.op == "split"}
    assert split in senders(graph, upstream(graph, graph.outputs[:1]))

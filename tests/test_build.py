"""Ids, names, scopes and edges, as built from the program; some whole graphs are kept as text.

The texts are the same on every supported JAX. To renew them: ``RENEW=1 pytest tests/test_build.py``.
"""

from __future__ import annotations

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.ad_checkpoint import checkpoint_name

import engine
from tests.programs import CASES

GOLDENS = Path(__file__).parent / "goldens" / "graphs"
KEPT = [
    "mlp",
    "transformer",
    "gated_recurrent",
    "scan_nested",
    "branch_in_scan",
    "while_beside",
    "custom_jvp",
    "named_values",
    "pytrees",
]
VECTOR = np.ones(3, np.float32)


def text(graph: engine.Graph) -> str:
    """Everything of a graph that a link, a golden file or a test may hold on to."""
    rows = [
        f"{node.id} {node.name} | {node.kind} {node.op} {node.dtype}{list(node.shape)} | {node.scope}"
        for node in graph.nodes
    ]
    edges = [f"{edge.source} -> {edge.target} {edge.kind}" for edge in graph.edges]
    scopes = [f"[{scope.kind}] {scope.id} | {scope.label}" for scope in graph.scopes]
    return "\n".join([repr(graph), *rows, *edges, *scopes, ""])


@pytest.mark.parametrize("name", KEPT)
def test_the_graph_is_the_one_kept(name):
    case = next(case for case in CASES if case.name == name)
    path, found = GOLDENS / f"{name}.txt", text(engine.trace(case.fun, *case.args))
    if os.environ.get("RENEW"):
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


def kinds(graph: engine.Graph) -> dict[str, str]:
    return {scope.id: scope.kind for scope in graph.scopes}


def test_ids_are_positions_in_the_program():
    graph = engine.trace(lambda x, y: jnp.sum(jnp.sin(x) * y), VECTOR, VECTOR)
    assert [node.id for node in graph.nodes] == ["%0", "%1", "%2", "%3", "%4"]


def test_an_id_inside_a_loop_begins_with_that_of_the_loop():
    graph = engine.trace(lambda xs: lax.scan(lambda c, x: (c + x, None), jnp.float32(0), xs)[0], VECTOR)
    assert [node.id for node in graph.nodes] == ["%0", "%1/0", "%1/1", "%1/2", "%1"]


def test_further_outputs_of_an_equation_are_numbered():
    graph = engine.trace(lambda x: sum(lax.top_k(x, 2)[0]), VECTOR)
    assert [node.id for node in graph.nodes][:3] == ["%0", "%1", "%1.1"]


def test_a_checkpoint_name_is_the_name_and_a_second_one_is_numbered():
    def named(x):
        h = checkpoint_name(jnp.sin(x), "h")
        return jnp.sum(checkpoint_name(jnp.sin(h), "h"))

    graph = engine.trace(named, VECTOR)
    assert [node.name for node in graph.nodes] == ["x", "sin", "h", "sin#2", "h#2", "reduce_sum"]


def test_an_argument_keeps_its_name_from_a_checkpoint_name():
    graph = engine.trace(lambda h: jnp.sum(checkpoint_name(jnp.sin(h), "h")), VECTOR)
    assert [node.name for node in graph.nodes] == ["h", "sin", "h#2", "reduce_sum"]


def test_a_name_that_looks_like_an_id_is_changed():
    graph = engine.trace(lambda x: jnp.sum(checkpoint_name(x * 2, "%0")), VECTOR)
    assert graph.node("%0").name == "x"
    assert graph.node("_%0").op == "name"


def test_a_scope_and_a_primitive_make_a_name():
    def dense(x):
        return jnp.tanh(x * 2.0)

    graph = engine.trace(lambda x: jnp.sum(dense(dense(x))), VECTOR)
    names = [node.name for node in graph.nodes]
    assert names == ["x", "dense/mul", "dense/tanh", "dense_1/mul", "dense_1/tanh", "reduce_sum"]


def test_the_body_of_a_jitted_function_is_part_of_the_program():
    @jax.jit
    def inner(x):
        return jnp.sin(x) * x

    graph = engine.trace(lambda x: jnp.sum(inner(x)), VECTOR)
    assert kinds(graph) == {"inner": "jit"}
    assert graph.node("inner/sin").inputs == ("%0",)
    assert graph.node("reduce_sum").inputs == (graph.node("inner/mul").id,)


def test_the_jitted_function_itself_makes_no_scope():
    @jax.jit
    def whole(x):
        return jnp.sum(jnp.sin(x))

    assert engine.trace(whole, VECTOR).scopes == ()


def test_a_rematerialised_function_is_a_scope():
    graph = engine.trace(lambda x: jnp.sum(jax.checkpoint(lambda x: jnp.sin(x) * x)(x)), VECTOR)
    assert kinds(graph) == {"remat": "remat"}
    assert graph.node("remat/sin").note == ""


@pytest.fixture(scope="module")
def loop():
    def rnn(w, xs):
        def cell(h, x):
            return jnp.tanh(h * w + x), h

        return jnp.sum(lax.scan(cell, jnp.zeros(3), xs)[1])

    return engine.trace(rnn, VECTOR, np.ones((5, 3), np.float32))


def test_a_scan_says_how_often(loop):
    assert [(scope.id, scope.label, scope.kind) for scope in loop.scopes] == [("cell", "cell × 5", "scan")]


def test_what_a_loop_receives_are_nodes_of_three_kinds(loop):
    assert [loop.node(name).kind for name in ("cell/shared", "cell/h", "cell/x")] == ["shared", "carry", "slice"]


def test_an_edge_leads_from_one_iteration_to_the_next(loop):
    carries = [(edge.source, edge.target) for edge in loop.edges if edge.kind == "carry"]
    assert carries == [(loop.node("cell/tanh").id, loop.node("cell/h").id)]


def test_a_value_in_a_loop_reads_forward_and_backward(loop):
    assert loop.node("cell/tanh").note == ""
    assert [place.kind for place in loop.node("cell/tanh").places] == ["scan"]


def test_branches_are_scopes_with_readable_names():
    graph = engine.trace(lambda x: lax.cond(x > 0, jnp.sin, lambda x: x * 2, x), 1.0)
    assert {scope.id: scope.label for scope in graph.scopes} == {
        "cond": "cond",
        "cond/if_false": "if false",
        "cond/if_true": "if true",
    }


@pytest.fixture(scope="module")
def switch():
    return engine.trace(lambda x, i: lax.switch(i, [jnp.sin, jnp.cos, jnp.tan], x), 1.0, 1)


def test_more_than_two_branches_are_numbered(switch):
    assert [scope.label for scope in switch.scopes] == ["switch", "cond", "branch 0", "branch 1", "branch 2"]


def test_only_the_index_is_used_by_the_cond_itself(switch):
    users = [switch.node(id).op for id in switch.consumers("x")]
    assert users == ["sin", "cos", "tan"]
    assert switch.node("switch/cond").equation in switch.consumers("switch/clamp")


def test_a_while_loop_says_why_it_reads_forward_only():
    graph = engine.trace(lambda x: x + lax.while_loop(lambda v: v < 9, lambda v: v * 2, 1.0), 1.0)
    note = (
        "A while_loop may run any number of times, so JAX keeps no list of its steps to walk back through. "
        "Write lax.scan or fori_loop with a fixed number of steps to read it."
    )
    assert graph.scope("while").note == note
    assert graph.node("while/mul").note == note
    assert graph.node("while").note == ""


@pytest.fixture(scope="module")
def custom():
    @jax.custom_jvp
    def soft(x):
        return jnp.log1p(jnp.exp(x))

    soft.defjvp(lambda primals, tangents: (soft(*primals), jax.nn.sigmoid(primals[0]) * tangents[0]))
    return engine.trace(lambda x: jnp.sum(soft(x)), VECTOR)


def test_a_custom_rule_is_one_node(custom):
    node = custom.node("soft")
    assert (node.kind, node.op, node.inputs, node.note) == ("custom", "custom_jvp_call", ("%0",), "")
    assert custom.consumers("x") == (node.id,)


def test_the_body_of_a_custom_rule_can_be_looked_at_and_says_that_it_is_forward_only(custom):
    body = custom.node("soft/soft/exp")
    assert body.note == (
        "It has a derivative rule of its own, and that rule is what runs; its body is shown forward only."
    )
    assert custom.scope("soft").note == body.note
    assert {edge.kind for edge in custom.edges if edge.target == body.id} == {"look"}


def test_a_custom_vjp_is_one_node_too():
    clip = jax.custom_vjp(lambda x: x)
    clip.defvjp(lambda x: (x, None), lambda _, g: (jnp.clip(g, -1, 1),))
    graph = engine.trace(lambda x: jnp.sum(clip(x * 2)), VECTOR)
    assert [node.kind for node in graph.nodes] == ["input", "op", "custom", "op"]


def test_a_mutable_reference_is_no_array():
    def mutate(x):
        ref = jax.new_ref(x)
        return ref[...].sum()

    assert "reference" in {node.kind for node in engine.trace(mutate, VECTOR).nodes}


def test_a_print_is_no_consumer():
    def chatty(x):
        jax.debug.print("{x}", x=x)
        return jnp.sum(x)

    graph = engine.trace(chatty, VECTOR)
    assert graph.consumers("x") == (graph.node("reduce_sum").id,)

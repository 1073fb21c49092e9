"""The graph as data: lookups, neighbours, folds, equality."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine.graph import KINDS, shape_text
from tests.programs import CASES, Case
from tests.programs.calls import jitted_nested
from tests.programs.loops import recurrent


def loss(w, x):
    h = jnp.tanh(w * x)
    return jnp.sum(h * h)


def reversed_loop(xs):
    carry, ys = jax.lax.scan(lambda c, x: (c * x, c + x), 1.0, xs, reverse=True)
    return carry + jnp.sum(ys)


@pytest.fixture(scope="module")
def graph():
    return engine.trace(loss, np.ones(3, np.float32), np.ones(3, np.float32))


@pytest.fixture(scope="module")
def loop():
    return engine.trace(recurrent, np.ones((3, 3), np.float32), np.ones((6, 3), np.float32))


@pytest.fixture(scope="module")
def corpus():
    return [_trace(case) for case in CASES]


def _trace(case: Case) -> engine.Graph:
    with jax.enable_x64(case.x64):
        return engine.trace(case.fun, *case.args)


def test_a_node_is_found_by_id_and_by_name(graph):
    assert graph.node("%3") is graph.node("tanh")
    assert graph.node("%3").id == "%3"


def test_an_unknown_key_names_the_closest(graph):
    with pytest.raises(engine.UnknownNodeError) as caught:
        graph.node("tahn")
    assert str(caught.value) == "loss has no node 'tahn'; it has 12 names and ids. Did you mean 'tanh'?"


def test_a_key_like_nothing_gets_no_suggestion(graph):
    with pytest.raises(engine.UnknownNodeError) as caught:
        graph.node("@@@@")
    assert str(caught.value) == "loss has no node '@@@@'; it has 12 names and ids."


def test_an_unknown_node_is_a_key_error(graph):
    with pytest.raises(KeyError):
        graph.node("nothing of the kind")


def test_an_unknown_scope_says_scope(loop):
    with pytest.raises(engine.UnknownNodeError) as caught:
        loop.scope("cel")
    assert str(caught.value) == "recurrent has no scope 'cel'; it has 2 names and ids. Did you mean 'cell'?"


def test_contains_ids_and_names(graph):
    assert "%0" in graph
    assert "w" in graph
    assert "v" not in graph


def test_inputs_hold_a_node_used_twice_twice(graph):
    assert graph.node("mul#2").inputs == ("%3", "%3")


def test_consumers_are_listed_once_and_in_order(graph):
    assert graph.consumers("tanh") == ("%4",)
    assert graph.consumers("w") == ("%2",)


def test_the_loss_has_the_output_as_last_consumer(graph):
    assert graph.consumers("reduce_sum") == (engine.OUTPUT,)
    assert engine.OUTPUT == "%output"


def test_parents_and_ends(graph):
    assert graph.inputs == ("%0", "%1")
    assert graph.outputs == ("%5",)
    assert graph.sources("mul") == ("%0", "%1")


def test_a_carry_comes_from_the_iteration_before_as_well(loop):
    assert loop.sources("cell/h") == ("%2", "%3/5")


def test_the_output_of_a_scan_knows_the_carry_that_it_ends(loop):
    assert loop.carried("cell") == loop.node("cell/h").id
    assert loop.carried("cell.1") is None


def test_only_a_reversed_scan_is_reversed(loop):
    graph = engine.trace(reversed_loop, np.ones(4, np.float32))
    assert graph.reverse("%1/0")
    assert not loop.reverse("cell/h")


def test_iterations_are_the_scans_around(loop):
    assert loop.node("cell/tanh").iterations == (6,)
    assert loop.node("w").iterations == ()


def test_all_outputs_of_one_equation_know_it(loop):
    assert loop.node("cell").equation == loop.node("cell.1").equation == "%3"


def test_ancestry_is_innermost_first():
    graph = engine.trace(jitted_nested, np.ones(3, np.float32))
    assert graph.ancestry("outer/inner_jit") == ("outer/inner_jit", "outer")
    assert graph.ancestry("") == ()


def test_members_of_a_scope_include_inner_ones_and_the_root_is_everything(loop):
    assert {node.name for node in loop.members("mean")} == {"mean/reduce_sum", "mean/div"}
    assert loop.members("") == loop.nodes


def test_everything_is_frozen(graph):
    for thing in (graph, graph.nodes[0], graph.edges[0]):
        with pytest.raises((dataclasses.FrozenInstanceError, TypeError, AttributeError)):
            thing.name = "other"


def test_two_traces_are_equal_and_hash_alike(graph):
    again = engine.trace(loss, np.zeros(3, np.float32), np.zeros(3, np.float32))
    assert again == graph
    assert hash(again) == hash(graph)
    assert len({again, graph}) == 1


def test_another_shape_is_another_graph(graph):
    assert engine.trace(loss, np.ones(4, np.float32), np.ones(4, np.float32)) != graph


def test_a_literal_reads_as_the_number():
    assert [str(engine.Literal(value)) for value in (2.0, 3, 0.5, True, 1j)] == ["2", "3", "0.5", "True", "1j"]


def test_a_number_in_the_program_is_an_operand_but_no_input():
    graph = engine.trace(lambda x: 2.0 * x, np.float32(1))
    node = graph.node("mul")
    assert node.operands == (engine.Literal(2.0), "%0")
    assert node.inputs == ("%0",)


def test_a_parameter_of_a_primitive_is_read_by_name():
    graph = engine.trace(lambda x: x**3, np.float32(1))
    assert graph.node("integer_pow").param("y") == 3
    assert graph.node("integer_pow").param("z", "none") == "none"


# ---- true of every graph ---------------------------------------------------------------------------------------------


def test_every_value_comes_after_what_it_is_computed_from(corpus):
    for graph in corpus:
        position = {node.id: index for index, node in enumerate(graph.nodes)}
        backwards = [e for e in graph.edges if e.target in position and position[e.source] >= position[e.target]]
        assert {edge.kind for edge in backwards} <= {"carry"}, graph
        assert all(position[i] < position[node.id] for node in graph.nodes for i in node.inputs), graph


def test_names_are_unique_and_never_look_like_ids(corpus):
    for graph in corpus:
        names, ids = [node.name for node in graph.nodes], [node.id for node in graph.nodes]
        assert len(set(names)) == len(names)
        assert len(set(ids)) == len(ids)
        assert all(id.startswith("%") for id in ids)
        assert not any(name.startswith("%") for name in names)


def test_every_edge_joins_nodes_and_every_scope_is_known(corpus):
    for graph in corpus:
        ids, scopes = {node.id for node in graph.nodes}, {scope.id for scope in graph.scopes} | {""}
        assert all(edge.source in ids and edge.target in ids | {engine.OUTPUT} for edge in graph.edges), graph
        assert all(node.scope in scopes for node in graph.nodes)
        assert all(scope.parent in scopes for scope in graph.scopes)


def test_every_kind_is_documented(corpus):
    assert {node.kind for graph in corpus for node in graph.nodes} == set(KINDS)


def missing(graph: engine.Graph) -> set[tuple[str, str]]:
    """Operands without an edge."""
    edges = {(edge.source, edge.target) for edge in graph.edges}
    return {(source, node.equation) for node in graph.nodes for source in node.inputs} - edges


def test_every_operand_is_an_edge(corpus):
    assert [missing(graph) for graph in corpus if missing(graph)] == []


def test_a_dropped_edge_is_missed(graph):
    for edge in graph.edges:
        fewer = tuple(other for other in graph.edges if other != edge)
        wanted = {(edge.source, edge.target)} if edge.target != engine.OUTPUT else set()
        assert missing(dataclasses.replace(graph, edges=fewer)) == wanted


VECTOR = np.ones(3, np.float32)


@pytest.mark.parametrize(
    ("fun", "args", "key", "text"),
    [
        (jnp.sin, (VECTOR,), "sin", "float32 3"),
        (jnp.sin, (np.float32(1),), "sin", "float32"),
        (lambda x: jnp.sum(x), (np.ones((4, 5), np.float32),), "x", "float32 4×5"),
        (
            lambda x: jax.lax.scan(lambda c, v: (jnp.sin(c) * v, None), x, VECTOR)[0],
            (np.float32(1),),
            "sin",
            "float32 3",
        ),
    ],
)
def test_a_shape_is_written_with_its_iterations_in_front(fun, args, key, text):
    node = next(node for node in engine.trace(fun, *args).nodes if key in (node.op, node.name))
    assert shape_text(node) == text


def test_a_node_says_what_it_is(graph):
    assert repr(graph.node("tanh")) == "Node(%3 tanh: tanh, float32 3)"


def test_a_notebook_shows_every_node_whatever_it_is_called():
    html = engine.trace(lambda p: jnp.sum(p["<b>"] ** 2), {"<b>": VECTOR})._repr_html_()
    assert "p.&lt;b&gt;" in html
    assert "<b>" not in html.partition("<table>")[2]
    assert html.count("<tr>") == 1 + 3

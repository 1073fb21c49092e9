"""What is seen of a graph when some of its scopes are open."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine.fold import fold, in_parts, layers, operations, tucked
from tests.programs import CASES

V = np.ones(3, np.float32)
PARAMS = {"layers": [{"w": np.ones((3, 3), np.float32), "b": V} for _ in range(2)]}


def dense(layer, x):
    return x @ layer["w"] + layer["b"]


def net(params, x):
    for layer in params["layers"]:
        x = jnp.tanh(dense(layer, x))
    return jnp.sum(jax.nn.softmax(x) * x)


@pytest.fixture(scope="module")
def graph():
    return engine.trace(net, PARAMS, np.ones((2, 3), np.float32))


@pytest.fixture(scope="module")
def hidden(graph):
    return [id for id in graph.inputs if graph.node(id).name.startswith("params.")]


def labels(found) -> list[str]:
    return [box.label for box in found.boxes]


def wires(found) -> list[tuple[str, str]]:
    name = {box.id: box.label for box in found.boxes}
    return [(name[wire.source], name[wire.target]) for wire in found.wires]


def test_folded_away_a_layer_is_one_box(graph, hidden):
    seen = ["x", "dense · layers.0", "tanh", "dense · layers.1", "tanh", "softmax", "mul", "reduce_sum"]
    assert labels(fold(graph, (), hidden)) == seen


def test_wires_connect_what_is_seen(graph, hidden):
    assert wires(fold(graph, (), hidden)) == [
        ("x", "dense · layers.0"),
        ("dense · layers.0", "tanh"),
        ("tanh", "dense · layers.1"),
        ("dense · layers.1", "tanh"),
        ("tanh", "softmax"),
        ("softmax", "mul"),
        ("tanh", "mul"),
        ("mul", "reduce_sum"),
    ]


def test_an_opened_scope_shows_its_operations_in_place(graph, hidden):
    found = fold(graph, ("dense",), hidden)
    assert labels(found)[:5] == ["params.layers.0.b", "params.layers.0.w", "x", "dot_general", "add"]
    assert [scope.id for scope in found.open] == ["dense"]
    assert found.box_of["%5"] == "%5"


def test_parameters_outside_are_boxes_of_their_own(graph):
    assert labels(fold(graph, ()))[:5] == [
        "params.layers.0.b",
        "params.layers.0.w",
        "params.layers.1.b",
        "params.layers.1.w",
        "x",
    ]


def test_folding_back_gives_what_was_seen_before(graph, hidden):
    opened = fold(graph, ("dense", "softmax"), hidden)
    assert opened != fold(graph, (), hidden)
    assert fold(graph, (), hidden) == fold(graph, [], hidden)


def test_a_folded_scope_shows_what_leaves_it(graph, hidden):
    found = fold(graph, (), hidden)
    assert graph.node(found.box("scope:dense").shows).name == "dense/add"
    assert graph.node(found.box("scope:softmax").shows).name == "softmax/div"


def test_plumbing_hides_in_its_neighbour_unless_shown(graph, hidden):
    opened = ("dense", "dense_1", "softmax")
    without, shown = fold(graph, opened, hidden), fold(graph, opened, hidden, plumbing=True)
    assert "broadcast_in_dim" not in labels(without)
    assert "broadcast_in_dim" in labels(shown)
    bias = graph.node("dense/broadcast_in_dim").id
    assert without.box_of[bias] == graph.node("params.layers.0.b").id


def test_the_loss_is_never_folded_into_a_neighbour():
    graph = engine.trace(lambda x: jnp.sum(x).reshape(()).astype(jnp.float16), V)
    assert labels(fold(graph, ())) == ["x", "reduce_sum", "convert_element_type"]


def test_a_scope_inside_a_closed_one_stays_unseen():
    def outer(x):
        return dense(PARAMS["layers"][0], x) * 2.0

    graph = engine.trace(lambda x: jnp.sum(outer(x)), V)
    assert labels(fold(graph, ("outer/dense",))) == labels(fold(graph, ()))
    assert "dot_general" in labels(fold(graph, ("outer", "outer/dense")))


def test_layers_open_what_contains_functions(hidden, graph):
    def model(params, x):
        return net(params, x)

    outer = engine.trace(model, PARAMS, V)
    assert layers(outer) == {"net"}
    assert layers(graph, hidden) == frozenset()


def test_layers_stop_opening_when_too_much_is_seen():
    def inner(x):
        return jnp.sin(dense(PARAMS["layers"][0], x)) * 2.0

    def outer(x):
        return inner(inner(x))

    graph = engine.trace(lambda x: jnp.sum(outer(x)), V)
    assert layers(graph) == {"outer", "outer/inner", "outer/inner_1"}
    assert layers(graph, most=3) == {"outer"}


def test_operations_leave_what_is_one_operation_to_a_reader_closed(graph):
    assert operations(graph) == {"dense", "dense_1"}


@pytest.mark.parametrize("plumbing", [False, True])
def test_everything_is_in_exactly_one_box_and_every_wire_ends_at_two(plumbing):
    for case in CASES[::3]:
        with jax.enable_x64(case.x64):
            graph = engine.trace(case.fun, *case.args)
        for opened in (frozenset(), operations(graph), frozenset(scope.id for scope in graph.scopes)):
            found = fold(graph, opened, plumbing=plumbing)
            members = list(itertools.chain.from_iterable(box.members for box in found.boxes))
            assert sorted(members) == sorted(node.id for node in graph.nodes), case.name
            ids = {box.id for box in found.boxes}
            assert all({wire.source, wire.target} <= ids and wire.source != wire.target for wire in found.wires)


def test_wires_stand_for_every_use_between_boxes(graph, hidden):
    found = fold(graph, (), hidden)
    uses = {use for wire in found.wires for use in wire.uses}
    crossing = {
        (e.source, e.target)
        for e in graph.edges
        if e.target != engine.OUTPUT and found.box_of[e.source] != found.box_of[e.target]
    }
    assert uses == crossing


def long(x):
    for _ in range(200):
        x = jnp.sin(x)
    return x


def test_a_long_stretch_is_put_into_parts():
    graph = engine.trace(long, np.float32(1))
    parted = in_parts(graph)
    assert [scope.label for scope in parted.scopes] == ["part 1 of 3", "part 2 of 3", "part 3 of 3"]
    assert labels(fold(parted, ())) == ["part 1 of 3", "part 2 of 3", "part 3 of 3"]
    assert {node.id for node in parted.nodes} == {node.id for node in graph.nodes}


def test_parts_are_put_into_parts_until_none_is_crowded():
    parted = in_parts(engine.trace(long, np.float32(1)), most=5)
    most = max(
        sum(scope.parent == around for scope in parted.scopes) + sum(node.scope == around for node in parted.nodes)
        for around in ("", *(scope.id for scope in parted.scopes))
    )
    assert most == 5


def test_a_short_program_has_no_parts(graph):
    assert in_parts(graph) is graph


def test_no_more_is_opened_at_once_than_can_be_painted():
    def loss(x):
        for _ in range(5):
            x = jax.jit(lambda x: jnp.sin(jnp.cos(jnp.tan(x))))(x)
        return x

    graph = engine.trace(loss, 1.0)
    whole, some = operations(graph), operations(graph, most=9)
    assert some < whole
    assert len(fold(graph, some).boxes) <= 9 + 5


def test_what_a_model_brings_along_by_the_dozen_lies_with_what_uses_it():
    def loss(params, averages, x):
        return sum(params["w"] * one for one in averages.values()) * x

    graph = engine.trace(loss, {"w": 1.0}, {f"m{number}": 1.0 for number in range(30)}, 1.0)
    assert len(tucked(graph, graph.inputs[:1])) == 31
    few = engine.trace(loss, {"w": 1.0}, {"m": 1.0}, 1.0)
    assert tucked(few, few.inputs[:1]) == few.inputs[:1]


def test_what_is_hidden_is_no_crowd():
    def loss(params, x):
        return sum(jnp.sin(x * w) for w in params) if len(params) < 5 else x * sum(params[:2])

    graph = engine.trace(loss, [1.0] * 120, 1.0)
    assert in_parts(graph, hidden=tucked(graph, graph.inputs[:-1])) is graph
    assert in_parts(graph) is not graph

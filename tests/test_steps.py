"""The walk of the playhead: forward, loss, backward, update, each thing once and in its turn."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from engine import trace
from engine.flow import has_gradient
from explorer.steps import PHASES, Stop, stops
from tests.programs import CASES
from tests.programs.networks import dense
from tests.sheets import folded, sheet

PROGRAMS = [case for case in CASES if not case.x64]


def product(x, y, z):
    return (x + y) * z


def network(params, x, t):
    h = jnp.tanh(dense(params["a"], x))
    return jnp.mean((dense(params["b"], h) - t) ** 2)


ARGS = (
    {"a": {"w": np.ones((2, 3), np.float32), "b": np.zeros(3, np.float32)}, "b": {"w": np.ones((3, 1)), "b": 0.5}},
    np.ones((4, 2), np.float32),
    np.ones((4, 1), np.float32),
)


def walk(seen, leaves=None) -> list[str]:
    """The stops as ``Phase name``."""
    graph = seen.graph
    named = {box.id: box.scope or graph.node(box.id).name for box in seen.boxes}
    return [f"{stop.phase} {named[stop.box]}" for stop in stops(seen, leaves or graph.inputs)]


def test_the_smallest_graph_is_walked_whole():
    assert walk(sheet(product, -2.0, 5.0, -4.0)) == [
        "Forward add",
        "Loss mul",
        "Backward mul",
        "Backward z",
        "Backward add",
        "Backward x",
        "Backward y",
        "Update x",
        "Update y",
        "Update z",
    ]


def test_a_network_is_walked_layer_by_layer():
    seen = sheet(network, *ARGS, granularity="none")
    found = walk(seen, [id for id in seen.graph.inputs if seen.graph.node(id).name.startswith("params")])
    assert found == [
        "Forward dense",
        "Forward tanh",
        "Forward dense_1",
        "Loss sub",
        "Loss integer_pow",
        "Loss mean",
        "Backward mean",
        "Backward integer_pow",
        "Backward sub",
        "Backward dense_1",
        "Backward tanh",
        "Backward dense",
        "Update dense",
        "Update dense_1",
    ]


@pytest.fixture(scope="module", params=PROGRAMS, ids=lambda case: case.name)
def graph(request):
    return trace(request.param.fun, *request.param.args)


@pytest.fixture(params=["layer", "operation", "all"])
def seen(request, graph):
    return folded(graph, request.param)


def test_every_stop_is_at_a_box_that_is_seen(seen):
    boxes = {box.id for box in seen.boxes}
    assert {stop.box for stop in stops(seen, seen.graph.inputs)} <= boxes


def test_the_phases_follow_each_other(seen):
    phases = [phase for phase, _ in itertools.groupby(stop.phase for stop in stops(seen, seen.graph.inputs))]
    assert phases == [phase for phase in PHASES if phase in phases]


def test_no_stop_is_made_twice(seen):
    found = stops(seen, seen.graph.inputs)
    assert len(set(found)) == len(found)


def test_a_value_is_computed_after_what_it_is_computed_from(seen):
    forward = [stop.box for stop in stops(seen, seen.graph.inputs) if stop.phase in ("Forward", "Loss")]
    place = {box: index for index, box in enumerate(forward)}
    late = [w for w in uses(seen) if {w.source, w.target} <= place.keys() and place[w.source] > place[w.target]]
    assert [wire for wire in late if not loops_back(seen, wire)] == []


def test_a_gradient_comes_after_those_it_is_made_of(seen):
    backward = [stop.box for stop in stops(seen, seen.graph.inputs) if stop.phase == "Backward"]
    place = {box: index for index, box in enumerate(backward)}
    early = [w for w in uses(seen) if {w.source, w.target} <= place.keys() and place[w.source] < place[w.target]]
    assert [wire for wire in early if not loops_back(seen, wire)] == []


def test_backward_is_forward_turned_round(seen):
    found = stops(seen, seen.graph.inputs)
    forward = [stop.box for stop in found if stop.phase in ("Forward", "Loss")]
    backward = [stop.box for stop in found if stop.phase == "Backward" and stop.box in forward]
    assert backward == [box for box in reversed(forward) if box in backward]


def test_a_box_without_a_gradient_has_no_backward_stop(seen):
    graph, shown = seen.graph, {box.id: box.shows for box in seen.boxes}
    backward = {shown[stop.box] for stop in stops(seen, graph.inputs) if stop.phase == "Backward"}
    assert [id for id in backward if graph.node(id).note or not has_gradient(graph.node(id))] == []


def uses(seen):
    return [wire for wire in seen.wires if wire.kind == "use"]


def loops_back(seen, wire) -> bool:
    """Whether the wire's target also leads to its source: two folds that use each other have no order."""
    ahead: dict[str, set[str]] = {}
    for other in uses(seen):
        ahead.setdefault(other.source, set()).add(other.target)
    reached, new = set(), {wire.target}
    while new:
        reached |= new
        new = set().union(*(ahead.get(box, set()) for box in new)) - reached
    return wire.source in reached


def test_what_does_not_depend_on_a_parameter_is_not_the_loss():
    def loss(w, x):
        return jnp.sum(w * jnp.exp(x))

    found = stops(sheet(loss, np.ones(2), np.ones(2)), ["%0"])
    assert found[0] == Stop("Forward", "%2")


def test_a_penalty_on_the_parameters_waits_for_the_loss_that_it_is_added_to():
    def penalised(w, loss):
        return loss + 0.1 * jnp.sum(w * w)

    def whole(w, x):
        return penalised(w, jnp.mean(jnp.exp(jnp.tanh(w * x))))

    found = walk(sheet(whole, np.ones(2), np.ones(2), granularity="none"), ["%0"])
    assert found[:5] == ["Forward mul", "Forward tanh", "Forward exp", "Forward mean", "Loss penalised"]


def test_the_body_of_a_while_loop_has_no_backward_stop():
    def loss(x):
        return x * lax.while_loop(lambda v: v < 9, lambda v: v * v, jnp.float32(2.0))

    seen = sheet(loss, np.float32(1.0), granularity="all")
    inside = {box.id for box in seen.boxes if "/" in box.id}
    assert len(inside) == 4
    assert {stop.phase for stop in stops(seen, seen.graph.inputs) if stop.box in inside} == {"Forward"}


def test_an_integer_argument_has_no_backward_and_no_update():
    found = stops(sheet(lambda x, n: x * n, np.float32(2.0), np.int32(3)), ["%0"])
    assert [stop for stop in found if stop.box == "%1"] == []


def test_parameters_update_in_the_order_of_the_arguments():
    found = stops(sheet(jax.jit(product), 1.0, 2.0, 3.0), ["%0", "%1", "%2"])
    assert [stop.box for stop in found if stop.phase == "Update"] == ["%0", "%1", "%2"]

"""Scenes: what each box says, and that folding and unfolding lead back to where one was."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from engine import ops
from explorer.dot_process import engine
from explorer.layout import Layouts
from explorer.scene import BOX, SMALL, WIDEST, sizes
from explorer.session import Session
from explorer.target import Target
from tests.programs import CASES
from tests.programs.networks import dense
from tests.sheets import box_named, drawn, sheet

pytestmark = pytest.mark.once

PROGRAMS = [case for case in CASES if not case.x64]
VECTOR = np.ones(3, np.float32)


@pytest.fixture(scope="module")
def running():
    with engine() as found:
        yield found


@pytest.fixture(scope="module")
def layouts(running):
    return Layouts(running)


@pytest.fixture(scope="module")
def network(layouts):
    def loss(params, x):
        return jnp.mean(jax.nn.softmax(dense(params["out"], dense(params["hidden"], x))) ** 2)

    layer = {"w": np.ones((3, 3), np.float32), "b": np.zeros(3, np.float32)}
    seen = sheet(loss, {"hidden": layer, "out": layer}, np.ones((4, 3), np.float32), granularity="none")
    return drawn(seen, layouts, seen.graph.inputs[:4])


@pytest.mark.parametrize("case", PROGRAMS, ids=lambda case: case.name)
def test_opening_and_closing_any_scope_changes_nothing(case, running):
    session = Session(target=Target(case.name, case.fun, case.args), engine=running)
    before = session.scene
    for scope in session.graph.scopes:
        session.toggle(scope.id)
        assert loose_ends(session.scene) == []
        session.toggle(scope.id)
        assert session.scene == before


@pytest.mark.parametrize("case", PROGRAMS, ids=lambda case: case.name)
def test_wires_hold_while_one_scope_after_the_other_is_opened(case, running):
    session = Session(target=Target(case.name, case.fun, case.args), engine=running)
    for scope in session.graph.scopes:
        session.toggle(scope.id)
        assert loose_ends(session.scene) == []


def loose_ends(scene) -> list:
    """Wires that don't end within a pixel of the boxes that they name."""
    boxes = {box.id: box for box in scene.boxes}

    def touches(box, x, y) -> bool:
        return -1 <= x - box.x <= box.w + 1 and -1 <= y - box.y <= box.h + 1

    return [
        (wire.source, wire.target)
        for wire in scene.wires
        if not (touches(boxes[wire.source], *wire.path[:2]) and touches(boxes[wire.target], *wire.path[-2:]))
    ]


def test_a_fold_says_what_it_holds(network):
    box = box_named(network, "dense")
    assert (box.label, box.detail, box.kind, box.opens) == ("dense", "hidden", "fold", "dense")
    assert box.operation == "function of 5 nodes"
    assert box.words == "dense · hidden holds 3 operations. Open it to see them; its value is what leaves it."
    assert [name for name, _ in box.holds] == ["b", "w"]


def test_a_fold_of_a_library_function_has_its_formula(network):
    box = box_named(network, "softmax")
    assert box.operation.startswith("library function of ")
    assert (box.forward, box.backward) == (ops.OPS["softmax"].forward, ops.OPS["softmax"].backward)


def test_the_scene_is_plain_data(network):
    assert json.loads(json.dumps(network.as_dict()))["title"] == "loss"


def test_what_is_folded_away_can_be_searched(network):
    assert "params.out.w" in [name for name, _ in network.hidden]


@pytest.mark.parametrize(
    ("fun", "label", "detail"),
    [
        (lambda x: x * 2.0, "×", "mul"),
        (lambda x: x + 1.0, "+", "add"),
        (jnp.tanh, "tanh", ""),
        (lambda x: lax.stop_gradient(x) * x, "stop gradient", ""),
    ],
)
def test_a_small_sign_has_its_name_beside_it(fun, label, detail, layouts):
    scene = drawn(sheet(fun, VECTOR, granularity="all"), layouts)
    assert (label, detail) in [(box.label, box.detail) for box in scene.boxes]


def test_kinds_are_told_apart(layouts):
    scene = drawn(sheet(lambda w, x: w * x + VECTOR, VECTOR, VECTOR), layouts, ("%0",))
    assert [box.kind for box in scene.boxes if box.id in ("%0", "%1", "%2")] == ["parameter", "input", "constant"]
    assert box_named(scene, "mul").kind == "operation"


def test_a_place_where_the_flow_is_cut_says_why(layouts):
    scene = drawn(sheet(lambda x: jnp.sum(jnp.floor(x) * x), VECTOR), layouts)
    assert box_named(scene, "floor").note == ops.OPS["floor"].cut


def test_a_value_of_a_while_loop_says_why_it_reads_forward_only(layouts):
    def loss(x):
        return x * lax.while_loop(lambda v: v < 9, lambda v: v * v, jnp.float32(2.0))

    scene = drawn(sheet(loss, np.float32(1), granularity="all"), layouts)
    assert box_named(scene, "while/mul").note.startswith("A while_loop may run any number of times")


@pytest.mark.parametrize(("shown", "boxes"), [(False, 3), (True, 5)])
def test_plumbing_is_hidden_or_shown(shown, boxes, layouts):
    def fun(x):
        return jnp.sum(jnp.sin(x.reshape(1, 3).T))

    assert len(drawn(sheet(fun, VECTOR, plumbing=shown), layouts).boxes) == boxes


def test_a_chain_of_plumbing_from_a_number_is_folded_into_what_computes_with_it():
    seen = sheet(lambda x: x + jnp.broadcast_to(jnp.float32(2.0), (1, 3)).reshape(3), VECTOR)
    assert [seen.graph.node(box.id).op for box in seen.boxes] == ["input", "add"]


def test_numbers_need_less_room_than_arrays_and_no_name_too_much():
    long = "a" * 200
    found = sizes(sheet(lambda p, x: p[long] * jnp.sin(x), {long: np.float32(1)}, VECTOR))
    assert found["%1"] == BOX
    assert found["%0"] == (WIDEST, SMALL[1])


def test_positions_are_rounded_to_a_tenth_of_a_pixel(network):
    numbers = [value for wire in network.wires for value in wire.path] + [box.x for box in network.boxes]
    assert all(value == round(value, 1) for value in numbers)

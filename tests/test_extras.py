"""What a pass shows beside its steps is what the network answers, and how its entries spread."""

from __future__ import annotations

import base64

import jax
import numpy as np
import pytest

from engine.numbers import Numbers
from engine.tasks import problem, usual
from explorer.extras import EDGES, GRID, SMALL, extras, planes, spreads
from explorer.room import Room

pytestmark = pytest.mark.once


def room_of(task, **changes):
    settings = usual(task, **changes)
    made = Room(problem(settings), settings)
    made.look(made.first, spreads(made, made.first))
    return made, extras(made, made.first, planes(made))


def array(text, *shape):
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(shape or -1)


@pytest.fixture(scope="module")
def moons():
    return room_of("moons", depth=2, width=4)


def test_the_plane_holds_the_probability_of_the_second_class(moons):
    room, found = moons
    plane = found["boundary"]
    left, right, low, high = plane["range"]
    scores = array(plane["scores"], GRID, GRID)
    for row, column in [(0, 0), (5, 40), (GRID - 1, 3)]:
        x = np.array([[np.linspace(left, right, GRID)[column], np.linspace(low, high, GRID)[row]]], np.float32)
        expected = jax.nn.softmax(room.problem.predict(room.problem.params, x))[0, 1]
        assert scores[row, column] == pytest.approx(float(expected), rel=1e-5)


def test_the_points_are_the_examples_with_their_class(moons):
    room, found = moons
    x, y = room.problem.examples
    np.testing.assert_array_equal(array(found["boundary"]["points"], len(x), 3)[:, :2], x)
    np.testing.assert_array_equal(array(found["boundary"]["points"], len(x), 3)[:, 2], y.argmax(1))


def test_every_hidden_unit_has_its_picture(moons):
    room, found = moons
    units = found["boundary"]["units"]
    assert [(unit["layer"], unit["unit"]) for unit in units] == [
        (layer.name, unit) for layer in room.layers[:2] for unit in range(4)
    ]
    left, _, low, _ = found["boundary"]["range"]
    first = room.problem.params[0]["layers"][0]
    corner = np.tanh(np.array([left, low], np.float32) @ first["w"] + first["b"])
    assert array(units[1]["scores"], SMALL, SMALL)[0, 0] == pytest.approx(float(corner[1]), rel=1e-5)


def test_a_curve_is_drawn_where_there_is_one_input():
    room, found = room_of("regression", depth=1, width=4)
    x, y = (array(found["fit"][name]) for name in "xy")
    np.testing.assert_allclose(y, room.problem.predict(room.problem.params, x[:, None])[:, 0], rtol=1e-5, atol=1e-6)
    assert x[0] < room.problem.examples[0].min() < room.problem.examples[0].max() < x[-1]


def test_images_have_no_plane():
    assert planes(Room(problem(usual("digits")), usual("digits"))) is None


def test_three_classes_have_no_plane_that_tells_two_apart(tmp_path):
    rows = [f"{a},{b},{(a + b) % 3}" for a in range(6) for b in range(5)]
    (tmp_path / "three.csv").write_text("a,b,label\n" + "\n".join(rows))
    settings = usual("csv", csv=str(tmp_path / "three.csv"))
    assert planes(Room(problem(settings), settings)) is None


def test_entries_are_counted_by_their_magnitude(moons):
    room, found = moons
    told = found["histograms"]
    counts = array(told["gradient"], len(room.layers), 1, len(EDGES) - 1)
    gradient = np.abs(Numbers(room.first.reading).grad(room.layers[0].output))
    np.testing.assert_array_equal(counts[0, 0], np.histogram(np.log10(gradient[gradient > 0]), EDGES)[0])
    assert told["steps"] == [0]


def test_a_network_over_time_tells_its_gradient_back_from_the_end():
    room, found = room_of("adding", model="rnn", depth=1, width=4, length=6, batch=8)
    told = array(found["time"]["gradient"], len(found["time"]["rows"]), found["time"]["steps_back"])
    state = next(node for node in room.graph.nodes if node.kind == "carry" and node.id in room.first.reading.grads)
    by_time = np.asarray(room.first.reading.grad(state.id))
    assert told[0, 0] == pytest.approx(float(np.sqrt(np.mean(np.square(by_time[-1])))), rel=1e-4)

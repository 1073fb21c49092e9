"""A run as columns of steps: what the charts draw is what the run recorded."""

from __future__ import annotations

import base64

import jax
import numpy as np
import pytest

from engine.tasks import problem, usual
from explorer import frames
from explorer.room import Room

pytestmark = pytest.mark.once

STEPS = 30


@pytest.fixture(scope="module")
def room() -> Room:
    settings = usual("moons", depth=2, width=4)
    made = Room(problem(settings), settings)
    made.advance(STEPS)
    return made


@pytest.fixture(scope="module")
def frame(room):
    return frames.of_run(room, shown=3)


def array(text, *shape):
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(shape or -1)


def what(frame, name):
    return array(frame["what"][name], len(frame["rows"]), STEPS)


def plain(room, step):
    """Parameters and gradients at a step, of a loop of our own."""
    params = room.problem.params
    for at in range(step + 1):
        grads = jax.grad(lambda params, at=at: room.problem.fun(*params, *room.problem.batch(at)))(params)
        if at < step:
            params = jax.tree.map(lambda w, g: w - room.problem.rate * g, params, grads)
    return jax.tree.leaves(params), jax.tree.leaves(grads)


def rms(array):
    return float(np.sqrt(np.mean(np.square(array))))


def test_every_step_has_a_column(frame):
    assert frame["starts"] == frame["ends"] == list(range(STEPS))
    assert (frame["step"], frame["shown"]) == (STEPS - 1, 3)


def test_the_loss_is_the_runs(room, frame):
    np.testing.assert_array_equal(array(frame["series"]["loss"]["last"]), room.run.history.loss().last)


def test_layers_come_first_then_parameters(room, frame):
    kinds = [row["kind"] for row in frame["rows"]]
    assert kinds == ["layer"] * 3 + ["parameter"] * 6
    assert [row["id"] for row in frame["rows"][3:]] == list(room.parameters)


@pytest.mark.parametrize("step", [0, 7])
def test_parameters_have_the_gradient_and_size_of_a_plain_loop(room, frame, step):
    weights, grads = plain(room, step)
    np.testing.assert_allclose(what(frame, "gradient")[3:, step], list(map(rms, grads)), rtol=1e-4)
    np.testing.assert_allclose(what(frame, "weight")[3:, step], list(map(rms, weights)), rtol=1e-4)


def test_the_update_ratio_of_plain_descent_is_rate_times_gradient_over_weight(room, frame):
    gradient, weight, update = (what(frame, name)[4::2, 5] for name in ("gradient", "weight", "update"))
    np.testing.assert_allclose(update, room.problem.rate * gradient / weight, rtol=1e-4)


def test_a_layer_has_the_gradient_that_its_full_pass_reads(room, frame):
    reading = room.pass_at(7).reading
    read = [reading.stats(layer.output)["grad"]["rms"] for layer in room.layers]
    np.testing.assert_allclose(what(frame, "gradient")[:3, 7], read, rtol=1e-4)


def test_a_layer_has_the_share_of_zero_gradients_that_its_full_pass_reads(room, frame):
    reading = room.pass_at(7).reading
    read = [reading.stats(layer.output)["grad"]["zero_fraction"] for layer in room.layers]
    np.testing.assert_allclose(what(frame, "zero_gradient")[:3, 7], read)


@pytest.mark.parametrize("share", frames.LOOKED)
def test_a_layer_has_the_shares_of_a_pass_that_was_looked_at(room, share):
    room.look(room.pass_at(7), {})
    told = [getattr(row, share) for row in next(look for look in room.looks if look.step == 7).rows]
    expected = [np.nan if own is None else own for own in told]
    np.testing.assert_allclose(what(frames.of_run(room, shown=3), share)[: len(told), 7], expected, rtol=1e-6)


def test_the_profile_is_the_layers_part_of_the_frame(room, frame):
    np.testing.assert_array_equal(frames.profile(room).T, what(frame, "gradient")[:3])


@pytest.mark.parametrize(("name", "recorded"), [("test_loss", "test_loss"), ("accuracy", "train_accuracy")])
def test_what_is_measured_now_and_then_stands_where_it_was_measured(room, frame, name, recorded):
    measured = room.run.history.tested(recorded)
    expected = np.full(STEPS, np.nan, np.float32)
    expected[np.maximum(measured.final - 1, 0)] = measured.last
    np.testing.assert_array_equal(array(frame["series"][name]["last"]), expected)
    assert 0 < np.isfinite(expected).sum() < STEPS


def test_more_steps_than_columns_lose_no_extreme(room):
    long = Room(room.problem, room.settings)
    long.advance(1100)
    frame = frames.of_run(long, shown=0)
    count, exact = len(frame["ends"]), long.run.history.loss()
    assert count <= frames.MOST
    assert array(frame["series"]["loss"]["high"]).max() == exact.high.max()
    assert array(frame["series"]["loss"]["low"]).min() == exact.low.min()


def test_a_nan_that_was_computed_is_told_from_what_was_not_recorded():
    assert frames.computed(np.array([1.0, np.nan])).tolist() == [1.0, -np.inf]


def test_before_the_first_step_the_pass_that_is_shown_is_told(room):
    fresh = Room(room.problem, room.settings)
    assert frames.of_run(fresh, shown=0)["ends"] == []
    first = fresh.first
    frame = frames.of_run(fresh, shown=0)
    assert array(frame["series"]["loss"]["last"]).tolist() == [np.float32(first.loss)]
    told = array(frame["what"]["gradient"])
    np.testing.assert_allclose(told[3:], list(map(rms, jax.tree.leaves(first.grads))), rtol=1e-5)
    np.testing.assert_allclose(told[0], first.reading.stats(fresh.layers[0].output)["grad"]["rms"], rtol=1e-5)

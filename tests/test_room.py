"""A run as one follows it: its steps are the run's, its passes the jitted step's, and what is wrong is told."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from engine.numbers import Numbers
from engine.tasks import problem, usual
from explorer.room import Room, own_problem
from explorer.seen import LOOKS
from explorer.target import Target

pytestmark = pytest.mark.once


def made(task="moons", **changes) -> Room:
    settings = usual(task, **{"depth": 2, "width": 4, **changes})
    return Room(problem(settings), settings)


@pytest.fixture(scope="module")
def trained() -> Room:
    room = made()
    room.advance(40)
    return room


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True))


def test_a_pass_is_that_of_a_plain_loop(trained):
    given, params = trained.problem, trained.problem.params
    optimiser = optax.sgd(given.rate)
    memory = optimiser.init(params)
    for step in range(12):
        grads = jax.grad(lambda params, step=step: given.fun(*params, *given.batch(step)))(params)
        updates, memory = optimiser.update(grads, memory, params)
        params = optax.apply_updates(params, updates)
    shown = trained.pass_at(12)
    for mine, plain in zip(jax.tree.leaves(shown.before.params), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(mine, plain, rtol=2e-5, atol=1e-6)
    assert float(shown.loss) == pytest.approx(float(given.fun(*params, *given.batch(12))), rel=1e-5)


def test_looking_back_forgets_nothing(trained):
    before = trained.run.state
    trained.pass_at(3)
    assert (trained.step, equal(trained.run.state.params, before.params)) == (40, True)


def test_going_on_from_an_earlier_step_comes_to_the_same_parameters():
    room = made()
    room.advance(30)
    there = room.run.state.params
    room.rewind(11)
    assert room.step == 11
    room.advance(19)
    assert equal(room.run.state.params, there)


def test_a_changed_rate_holds_from_the_next_step_on():
    room, other = made(), made()
    room.advance(5)
    room.change(rate=0.0)
    room.advance(5)
    other.advance(5)
    assert equal(room.run.state.params, other.run.state.params)


def test_what_is_done_aside_is_of_the_run_as_it_was():
    """An optimiser that is changed meanwhile must not be given the memory of the one before."""
    room = made("product")
    aside = room.next
    room.change(optimizer="adam")
    assert jax.tree.leaves(aside().after.optimiser) == []


def test_a_pass_before_a_change_has_the_update_it_had():
    room = made()
    room.advance(5)
    moved = room.pass_at(2).after.params
    room.change(rate=0.0)
    room.advance(1)
    assert equal(room.pass_at(2).after.params, moved)
    assert equal(room.pass_at(5).after.params, room.pass_at(5).before.params)


def test_the_layers_are_watched_at_their_output_and_their_activation(trained):
    names = [trained.graph.node(id).name for id in trained.watched]
    assert [name.rsplit("/", 1)[1] for name in names] == ["add", "tanh", "add", "tanh", "add"]


def test_training_stops_where_the_loss_is_no_longer_finite():
    room = made("regression", rate=1e6, loss="mse", activation="linear")
    room.advance(200)
    losses = room.run.history.loss()
    assert room.broken is not None
    assert int(losses.first[np.flatnonzero(losses.nonfinite)[0]]) == room.broken
    [finding] = room.findings(room.first)
    assert finding.kind in ("nonfinite", "exploding", "update_too_large")


def test_a_long_run_is_told_by_its_steps_and_from_where_it_began():
    room = made("xor", activation="linear", batch=8, rate=0.1)
    room.advance(2500)
    assert room.history.numbers.stride == 4
    own = made("xor", activation="linear", batch=8, rate=0.1)
    own.advance(5)
    assert room.run.opening(5) == tuple(own.history.loss().last.tolist())
    [finding] = room.findings(room.pass_at(2500))
    assert finding.kind == "plateau"
    assert f"The loss was {np.mean(room.run.opening(5)):.3g} in the first 5 of 2,500 steps" in finding.sentence


def test_a_remedy_starts_from_the_rate_that_is_in_force():
    room = made("spiral", depth=1, rate=0.01)
    room.advance(20)
    room.change(rate=300.0)
    room.advance(80)
    [finding] = room.findings(room.pass_at(room.step))
    (rate,) = (remedy.change["rate"] for remedy in finding.remedies if "rate" in remedy.change)
    assert finding.kind == "update_too_large"
    assert 0.01 < rate <= 100


def test_rewinding_before_the_break_forgets_it():
    room = made("regression", rate=1e6, loss="mse", activation="linear")
    room.advance(200)
    room.rewind(0)
    assert room.broken is None


@pytest.mark.slow
def test_a_deep_sigmoid_net_has_one_finding_that_its_first_remedy_clears():
    settings = usual("spiral", depth=20, activation="sigmoid")  # those of test_headless: compiled once
    room = Room(problem(settings), settings)
    room.advance(60)
    [finding] = room.findings(room.pass_at(59))
    assert finding.kind == "vanishing"
    settings = dataclasses.replace(room.settings, **finding.remedies[0].change).checked()
    again = Room(problem(settings), settings)
    again.advance(60)
    assert again.findings(again.pass_at(59)) == ()


def test_what_was_looked_at_stays_bounded(trained):
    for step in range(40):
        trained.look(trained.pass_at(step), {})
    kept = [look.step for look in trained.looks]
    assert kept == sorted(set(kept))
    room = made()
    room.looks = [dataclasses.replace(trained.looks[0], step=step) for step in range(LOOKS)]
    room.look(trained.pass_at(39), {})
    assert len(room.looks) <= LOOKS
    assert {0, LOOKS - 1} <= {look.step for look in room.looks} | {room.looks[-1].step}


def test_what_was_looked_at_lies_evenly_over_a_long_run(trained):
    room = made()
    look = trained.looks[0]
    room.looks = [dataclasses.replace(look, step=-1)]
    for step in range(0, 50 * LOOKS, 5):
        room.looks = room.looks[-LOOKS:]
        room.look(dataclasses.replace(trained.first, before=dataclasses.replace(trained.first.before, step=step)), {})
    gaps = np.diff([look.step for look in room.looks])
    assert gaps.max() <= 2 * room.reach == 4 * np.median(gaps)


def test_a_look_has_the_shares_of_the_full_pass(trained):
    at = trained.pass_at(7)
    trained.look(at, {})
    row = next(look for look in trained.looks if look.step == 7).rows[0]
    end = Numbers(at.reading).value(trained.ends[0])
    assert row.value == pytest.approx(float(np.sqrt(np.mean(np.square(end)))), rel=1e-5)
    assert row.saturated == pytest.approx(float(np.mean(1 - np.square(end) < 0.05)))


def test_ones_own_function_is_a_room_as_well():
    def loss(params, x):
        return jnp.mean((jnp.tanh(x @ params["w"]) - 1) ** 2)

    given = {"w": np.full((3, 2), 0.1, np.float32)}, np.ones((4, 3), np.float32)
    room = Room(own_problem(Target("loss", loss, given)))
    room.advance(20)
    assert room.run.history.loss().last[-1] < room.run.history.loss().last[0]
    assert [layer.weights for layer in room.layers] == [room.parameters]


def test_a_run_that_was_saved_takes_its_first_step_itself(trained):
    room = Room(trained.problem, trained.settings)
    assert room.first is trained.first
    room = Room(trained.problem, trained.settings)
    room.take_up(trained.run)
    assert room.first is not trained.first

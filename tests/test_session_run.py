"""A session's run: it goes on, goes back and is compared; every button is a method of it."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from engine.tasks import Settings
from explorer.dot_process import engine
from explorer.session import Session

pytestmark = pytest.mark.once

SPIRAL = Settings(task="spiral", depth=1, width=2, batch=4)


@pytest.fixture(scope="module")
def running():
    with engine() as found:
        yield found


@pytest.fixture(scope="module")
def spiral(running):
    return Session(SPIRAL, engine=running)


def test_training_on_rewinds_nothing(spiral, monkeypatch):
    monkeypatch.setattr(spiral.room, "rewind", lambda step: pytest.fail(f"rewound to {step}"))
    before = spiral.room.step
    spiral.advance(3)
    spiral.advance(3)
    spiral.catch_up()
    spiral.train()
    assert (spiral.room.step, spiral.step.before.step) == (before + 7, before + 6)


def test_an_earlier_step_is_looked_at_and_then_gone_on_from(spiral):
    spiral.reset()
    spiral.advance(6)
    there = spiral.room.run.state
    spiral.rewind(2)
    assert (spiral.step.before.step, spiral.room.step, spiral.trained) == (2, 6, False)
    spiral.train()
    assert (spiral.room.step, spiral.trained) == (3, True)
    spiral.advance(3)
    for mine, wanted in zip(*map(jax.tree.leaves, (spiral.room.run.state.params, there.params)), strict=True):
        np.testing.assert_array_equal(mine, wanted)


def test_two_runs_are_compared_in_lock_step_and_the_new_one_kept(running):
    session = Session(SPIRAL, engine=running)
    session.advance(5)
    session.compare({"activation": "relu"}, "ReLU")
    assert session.behind
    session.advance(3)
    assert (session.room.step, session.other.step) == (5, 3)
    session.advance(9)
    assert (session.room.step, session.other.step, session.behind) == (5, 5, False)
    session.advance(2)
    assert (session.room.step, session.other.step) == (7, 7)
    assert session.comparison()["title"] == "ReLU"
    session.keep(new=True)
    assert (session.settings.activation, session.room.step, session.comparison()) == ("relu", 7, {})
    assert session.waiting


def test_the_plane_of_the_second_run_is_that_of_the_same_step(running):
    session, alone = (Session(SPIRAL, engine=running) for _ in range(2))
    session.advance(4)
    session.compare({"rate": SPIRAL.rate / 2}, "slower")
    session.advance(4)
    session.rewind(3)
    second = session.extras()["second"]
    alone.choose(rate=SPIRAL.rate / 2)
    alone.advance(3)
    alone.catch_up()
    wanted = alone.extras()["boundary"]
    assert second["step"] == 3
    assert (second["boundary"]["scores"], second["boundary"]["range"]) == (wanted["scores"], wanted["range"])
    session.keep(new=False)
    assert "second" not in session.extras()


def test_a_second_run_that_is_behind_is_shown_where_it_is(running):
    session = Session(SPIRAL, engine=running)
    session.advance(4)
    session.catch_up()
    session.compare({"activation": "relu"}, "ReLU")
    session.advance(2)
    assert session.extras()["second"]["step"] == 2


def test_the_old_run_is_kept_when_asked(running):
    session = Session(SPIRAL, engine=running)
    session.compare({"activation": "relu"}, "ReLU")
    room = session.room
    session.keep(new=False)
    assert (session.room is room, session.other, session.settings.activation) == (True, None, "tanh")


def test_a_frozen_parameter_does_not_move(running):
    session = Session(SPIRAL, engine=running)
    session.freeze(session.parameters[:1], True)
    assert [row["frozen"] for row in session.frame()["rows"] if row["kind"] == "parameter"] == [True, *[False] * 3]
    before = jax.tree.leaves(session.room.run.state.params)
    session.advance(3)
    after = jax.tree.leaves(session.room.run.state.params)
    assert [np.array_equal(a, b) for a, b in zip(before, after, strict=True)] == [True, False, False, False]


def test_a_layer_is_frozen_and_let_go_as_one(running):
    session = Session(SPIRAL, engine=running)
    layer = session.parameters[:2]
    session.freeze(layer, True)
    session.advance(2)
    held = jax.tree.leaves(session.room.run.state.params)
    session.freeze(layer, False)
    session.advance(2)
    after = jax.tree.leaves(session.room.run.state.params)
    start = jax.tree.leaves(session.problem.params)
    assert [np.array_equal(a, b) for a, b in zip(start, held, strict=True)] == [True, True, False, False]
    assert not any(np.array_equal(a, b) for a, b in zip(held, after, strict=True))


def test_what_is_wrong_with_the_second_run_is_told_once_it_was_looked_for(running):
    session = Session(SPIRAL, engine=running)
    session.advance(1)
    session.compare({"init": "zeros"}, "Zeros")
    session.advance(2)
    assert session.comparison()["findings"] is None
    session.findings()
    assert [finding["kind"] for finding in session.comparison()["findings"]] == ["symmetry"]


# ---- from an earlier step --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_is_changed_at_an_earlier_step_holds_from_there(running):
    session = Session(dataclasses.replace(SPIRAL, rate=0.1), engine=running)
    session.advance(20)
    session.catch_up()
    session.rewind(5)
    session.choose_text("rate", "0.001")
    assert (session.at_step, session.room.step) == (5, 5)
    assert [(event.step, event.controls.rate) for event in session.room.events] == [(0, 0.1), (5, 0.001)]
    session.advance(15)
    session.catch_up()
    before, after = (session.room.run.at(step).params for step in (5, 20))
    moved = max(np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (before, after)), strict=True))
    assert moved < 0.05  # at the rate of 0.1 it is ten times as much


@pytest.mark.slow
def test_another_optimiser_at_an_earlier_step_leaves_one_there(running):
    session = Session(SPIRAL, engine=running)
    session.advance(8)
    session.catch_up()
    session.rewind(3)
    session.choose_text("optimizer", "adam")
    assert session.at_step == 3
    session.rewind(2)
    session.freeze([session.parameters[0]], True)
    assert (session.room.step, session.room.frozen) == (2, (session.graph.node(session.parameters[0]).name,))


@pytest.mark.slow
def test_the_form_says_what_the_pass_that_is_shown_was_trained_with(running):
    rates = lambda: {field["value"] for field in session.form()["fields"] if field["name"] == "rate"}
    session = Session(dataclasses.replace(SPIRAL, rate=0.1), engine=running)
    session.advance(6)
    session.catch_up()
    session.choose_text("rate", "0.5")
    session.advance(4)
    session.catch_up()
    assert rates() == {0.5}
    session.rewind(2)
    assert rates() == {0.1}
    session.rewind(8)
    assert rates() == {0.5}
    session.rewind(2)
    session.train()  # goes on from there, with the controls of then
    assert (rates(), session.room.run.controls.rate) == ({0.1}, 0.1)


@pytest.mark.slow
def test_a_second_run_goes_back_with_the_first(running):
    session = Session(SPIRAL, engine=running)
    session.advance(6)
    session.compare({"width": 3}, "wider")
    while session.behind:
        session.advance(3)
    session.catch_up()
    session.rewind(2)
    session.advance(1)
    assert [room.step for room in session.rooms] == [3, 3]

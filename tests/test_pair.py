"""Going on from an earlier step: what is changed there holds from there."""

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

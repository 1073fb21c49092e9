"""Runs of a page in folders: saved beside each other, opened as they were, and never over another."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from engine.store import StoreError
from engine.tasks import Settings
from explorer.dot_process import engine
from explorer.session import Session

SPIRAL = Settings(task="spiral", depth=1, width=2, batch=4)


@pytest.fixture(scope="module")
def running():
    with engine() as found:
        yield found


@pytest.fixture
def session(running, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = Session(SPIRAL, engine=running)
    found.advance(5)
    return found


def parameters(session):
    return jax.tree.leaves(session.room.run.state.params)


def test_an_opened_run_goes_on_as_the_saved_one(session, running):
    folder = session.keeper.save(session.room)
    other = Session(engine=running)
    other.choose_text("run", str(folder))
    assert (other.settings, other.room.step) == (SPIRAL, 5)
    for each in (session, other):
        each.advance(4)
    for mine, wanted in zip(parameters(other), parameters(session), strict=True):
        np.testing.assert_array_equal(mine, wanted)


def test_a_run_is_saved_again_where_it_is(session):
    first = session.keeper.save(session.room)
    session.advance(1)
    assert session.keeper.save(session.room) == first


def test_another_run_has_a_folder_of_its_own(session):
    first = session.keeper.save(session.room)
    session.choose(width=3)
    second = session.keeper.save(session.room)
    assert first != second
    assert {first.parent.name, second.parent.name} == {"runs"}


def test_a_folder_without_a_run_is_refused_and_nothing_lost(session):
    before = session.room
    with pytest.raises(StoreError, match="nowhere"):
        session.choose_text("run", "nowhere")
    assert session.room is before


def test_an_empty_name_opens_nothing(session):
    before = session.room
    session.choose_text("run", "")
    assert session.room is before


def test_dials_that_were_turned_are_as_they_were(session, running):
    session.choose(rate=0.125)
    session.advance(2)
    folder = session.keeper.save(session.room)
    other = Session(engine=running)
    other.choose_text("run", str(folder))
    assert (other.settings.rate, other.room.run.controls.rate) == (0.125, 0.125)

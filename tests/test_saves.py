"""When a run is saved on its way."""

from __future__ import annotations

import pytest

from engine import saving
from engine.tasks import problem, usual
from explorer.room import Room
from explorer.saves import Saves

pytestmark = pytest.mark.once

SETTINGS = usual("spiral", depth=1, width=4, batch=10)


@pytest.fixture
def room():
    return Room(problem(SETTINGS), SETTINGS)


def saved(folder):
    return saving.open_run(folder).run.state.step


def test_it_is_saved_before_the_first_step(tmp_path, room):
    Saves(room, str(tmp_path))
    assert saved(tmp_path) == 0


def test_steps_that_are_asked_for_are_due_once(tmp_path, room):
    saves = Saves(room, str(tmp_path), every=4)
    assert (saves.due, saves.ahead) == (False, 4)
    room.advance(3)
    assert (saves.due, saves.ahead) == (False, 1)
    room.advance(1)
    assert saves.due
    saves.save()
    assert (saves.due, saved(tmp_path)) == (False, 4)


def test_one_process_alone_saves_at_the_end_unless_asked(tmp_path, room):
    saves = Saves(room, str(tmp_path))
    room.advance(5)
    assert not saves.due
    saves.finish()
    assert saved(tmp_path) == 5


def test_nowhere_nothing_is_saved(tmp_path, room, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saves = Saves(room, "", every=1)
    room.advance(1)
    saves.finish()
    assert (saves.due, list(tmp_path.iterdir())) == (False, [])

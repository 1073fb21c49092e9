"""The data-parallel room of a page: what it asks of the devices, in which order, and what it shows of their answers."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from engine.shares import Split
from engine.tasks import usual
from explorer import dividing
from explorer.dividing import HANDED, SHARED, Dividing
from explorer.fleet_process import FleetError
from explorer.session import Session

pytestmark = pytest.mark.once

SETTINGS = usual("gaussians", batch=24, depth=0)


class Devices:
    """In place of the process: answers when it is told to, with the step that it has come to."""

    def __init__(self):
        self.asked = []
        self.come_to, self.far = 10**9, False

    def ask(self, question):
        self.asked.append(question)
        return {"step": min(question["step"], self.come_to), "far": self.far}


class Rooms:
    """A page's part, whose thread does what it was given when a test says so."""

    def __init__(self, session, shared=False):
        self.session, self.shown, self._todo = session, [], []
        shows = SimpleNamespace(divided=self.shown.append)
        self.part = Dividing(lambda: self.session, lambda does: does(), shows, lambda: None, shared)
        self.part._thread = SimpleNamespace(
            submit=lambda does, *given: self._todo.append((does, given)), shutdown=lambda **given: None
        )

    def answer(self):
        does, given = self._todo.pop(0)
        does(*given)

    def says(self, **message):
        self.part.received(message)

    @property
    def idle(self):
        return not self._todo


@pytest.fixture
def devices(monkeypatch):
    found = Devices()
    monkeypatch.setattr(dividing, "FLEET", found)
    return found


@pytest.fixture
def room(devices):
    found = Rooms(Session(SETTINGS))
    yield found
    found.part.close()


def test_one_device_is_asked_nothing(room):
    room.part.refresh()
    assert (room.idle, room.shown) == (True, [])


def test_a_division_is_looked_at(room, devices):
    room.says(type="divide", devices=4, pieces=2, sharded=True)
    room.answer()
    assert room.session.split == Split(4, 2, True)
    assert [question["of"] for question in devices.asked] == ["look"]
    assert room.shown[-1]["look"]["step"] == 0
    assert room.shown[-1]["waiting"] == []


def test_while_it_is_busy_only_the_newest_look_waits(room, devices):
    for count in (2, 3, 4):
        room.says(type="divide", devices=count)
    room.answer()
    room.answer()
    assert [question["split"]["devices"] for question in devices.asked] == [2, 4]
    assert room.idle


def test_what_a_person_tries_comes_before_looks_and_none_takes_its_place(room, devices):
    room.says(type="divide", devices=4)
    room.says(type="straggle", device=1)
    room.part.refresh()
    assert room.shown[-1]["waiting"] == ["straggle", "look"]
    for _ in range(3):
        room.answer()
    assert [question["of"] for question in devices.asked] == ["look", "straggle", "look"]
    assert "straggle" in room.shown[-1]


def test_devices_that_are_behind_are_asked_until_they_have_come_so_far(room, devices):
    room.session.advance(5)
    room.session.catch_up()
    devices.come_to = 3
    room.says(type="divide", devices=4)
    room.answer()
    assert (room.shown[-1]["look"]["step"], room.shown[-1]["goal"]) == (3, 5)
    devices.come_to = 5
    room.answer()
    assert room.shown[-1]["look"]["step"] == 5
    assert room.idle


def test_devices_that_are_far_behind_are_given_the_trainings_state(room, devices):
    room.session.advance(5)
    room.session.catch_up()
    devices.come_to, devices.far = 1, True
    room.says(type="divide", devices=4)
    room.answer()
    devices.come_to, devices.far = 5, False
    room.answer()
    assert ["begin" in question for question in devices.asked] == [False, True]
    assert devices.asked[1]["begin"]["step"] == 5
    room.part.refresh()
    room.answer()
    assert "begin" not in devices.asked[2]


def test_what_was_tried_on_other_devices_is_no_more_shown(room):
    room.says(type="divide", devices=4)
    room.says(type="drift")
    room.answer()
    room.answer()
    assert "drift" in room.shown[-1]
    room.says(type="divide", devices=3)
    assert "drift" not in room.shown[-1]


def test_an_answer_about_another_training_is_left_aside(room):
    room.says(type="divide", devices=4)
    room.session.choose(seed=1)
    room.part.refresh()
    room.answer()
    assert "look" not in room.shown[-1]
    room.answer()
    assert "look" in room.shown[-1]


def test_back_on_one_device_nothing_is_shown(room):
    room.says(type="divide", devices=4)
    room.answer()
    room.says(type="divide", devices=1)
    assert room.shown[-1] == {"split": {"devices": 1, "pieces": 1, "sharded": False}}


def test_devices_that_give_no_answer_are_told_of_and_not_asked_again(room, monkeypatch):
    def gone(question):
        raise FleetError("They ended.")

    monkeypatch.setattr(dividing, "FLEET", SimpleNamespace(ask=gone))
    room.says(type="divide", devices=4)
    room.answer()
    assert room.shown[-1]["error"] == "They ended."
    assert room.idle


def test_a_closed_page_asks_nothing(room, devices):
    room.part.close()
    room.says(type="divide", devices=4)
    assert (room.idle, devices.asked) == (True, [])


def test_where_many_share_a_server_there_are_no_devices(devices):
    room = Rooms(Session(SETTINGS), shared=True)
    room.says(type="divide", devices=4)
    assert (room.shown[-1]["error"], room.idle) == (SHARED, True)


def test_a_function_without_a_name_is_found_by_no_other_process(devices):
    target = SimpleNamespace(name="loss", text="")
    room = Rooms(SimpleNamespace(room=None, target=target, split=Split(2), at_step=0, tensor=""))
    room.part.refresh()
    assert (room.shown[-1]["error"], room.idle) == (HANDED, True)

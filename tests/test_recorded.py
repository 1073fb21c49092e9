"""A lesson as a record: every beat before and after its question, and the sheet by which answers are marked."""

from __future__ import annotations

import json

import pytest

from explorer.dot_process import engine
from explorer.lessons.course import find
from explorer.lessons.play import Player
from explorer.lessons.recorded import record_lesson
from explorer.session import Session

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def lesson():
    return find("gradient")


@pytest.fixture(scope="module")
def recorded(lesson):
    with engine() as running:
        yield record_lesson(Session(engine=running), lesson)


def test_every_beat_is_there(recorded, lesson):
    assert [beat["first"]["told"]["beat"] for beat in recorded["beats"]] == list(range(len(lesson.beats)))


def test_a_question_comes_with_its_answer_and_its_sheet(recorded, lesson):
    asked = [beat.ask is not None for beat in lesson.beats]
    assert [("sheet" in beat, "then" in beat) for beat in recorded["beats"]] == [(ask, ask) for ask in asked]
    assert all(beat["then"]["told"]["state"] == "shown" for beat in recorded["beats"] if "then" in beat)


def test_nothing_is_left_to_be_filled(recorded):
    assert "{" not in json.dumps([beat.get("sheet") for beat in recorded["beats"]], ensure_ascii=False).replace(
        '{"', ""
    )


def test_a_beat_tells_what_the_player_tells(recorded, lesson):
    with engine() as running:
        player = Player(Session(engine=running), lesson)
        player.go(1)
        player.prepare()
        player.arrive()
        assert recorded["beats"][1]["first"]["told"] == player.told()


def test_a_beat_has_its_own_picture(recorded):
    for beat in recorded["beats"]:
        scene, boxes = recorded["pool"][beat["first"]["scene"]], beat["first"]["figures"]["boxes"]
        assert {box["id"] for box in scene["boxes"]} == set(boxes)


def test_a_record_is_plain_data(recorded):
    assert json.loads(json.dumps(recorded, allow_nan=False))["title"] == recorded["title"]

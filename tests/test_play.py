"""Every lesson of the course, played to its end without a browser."""

from __future__ import annotations

import re
from functools import cache

import pytest

from engine.numbers import short
from engine.tasks.small import SMALL
from explorer.dot_process import engine
from explorer.lessons import course, marks
from explorer.lessons.play import ASKING, RIGHT, SHOWN, Player
from explorer.lessons.readings import Seen, read, told
from explorer.lessons.vocabulary import parse
from explorer.session import Session

QUICK = [name for name in course.names() if course.find(name).beats[0].position.settings["task"] in SMALL]
LONG = (pytest.mark.slow, pytest.mark.once)
LESSONS = [pytest.param(name, marks=() if name in QUICK else LONG) for name in course.names()]


@pytest.fixture(scope="module")
def session():
    """One for all lessons: they share some programs."""
    with engine() as running:
        yield Session(engine=running)


class Played:
    """A lesson that is walked to its end: what was seen and said at each beat, before and after its question."""

    def __init__(self, session, name):
        self.player = Player(session, course.find(name))
        self.beats = [self._beat(number) for number in range(len(self.player.lesson.beats))]

    def _beat(self, number):
        player, session = self.player, self.player._session
        player.go(number)
        self._settle()
        seen = {"told": player.told(), "stands": [self._stands(session)]}
        if ask := player.beat.ask:
            seen["hints"] = [self._try(hint.when) for hint in ask.hints]
            seen["answer"] = marks.right(ask, player.values)
            seen["right"] = player.answer(seen["answer"])
            self._settle()
            seen["over"] = player.told()
            seen["stands"].append(self._stands(session))
        return seen

    def _settle(self):
        self.player.prepare()
        self.player.arrive()

    def _try(self, when):
        """What is said when the mistake is made that a hint is about."""
        values = self.player.values
        number = self.player.beat.ask.kind == "number" and when in self.player.lesson.numbers
        return self.player.answer(str(values[when]) if number else when), self.player.hint

    def _stands(self, session):
        """Whether the playhead and the place that is spoken of are there."""
        stands, at = self.player.standing(), self.player.told()["at"]
        stops = {(stop.phase, stop.box) for stop in session.scene.stops}
        boxes = {box.id for box in session.scene.boxes}
        playhead = not self.player.position.node or (stands["phase"], stands["box"]) in stops
        return playhead, at["kind"] != "node" or at["name"] in boxes, stands["selected"] in {"", *boxes}


@pytest.fixture(scope="module")
def played(session):
    """Each lesson as it was played, once."""
    return cache(lambda name: Played(session, name))


@pytest.fixture(params=LESSONS)
def lesson(request, played):
    return played(request.param)


def asked(lesson):
    return [(beat, own) for beat, own in zip(lesson.player.lesson.beats, lesson.beats, strict=True) if beat.ask]


@pytest.mark.once
def test_the_right_answer_passes(lesson):
    assert [seen["right"] and seen["over"]["state"] == RIGHT for _, seen in asked(lesson)] == [True] * len(
        asked(lesson)
    )


def test_each_mistake_gets_its_hint(lesson):
    for beat, seen in asked(lesson):
        for hint, (passed, said) in zip(beat.ask.hints, seen["hints"], strict=True):
            bare = [piece for piece in re.split(r"\{[^}]*\}", hint.says) if piece]
            assert (passed, all(piece in said for piece in bare)) == (False, True), (beat.ask.question, hint, said)


def test_every_number_is_filled_from_the_run(lesson):
    texts = [text for seen in lesson.beats for told in (seen["told"], seen.get("over", {})) for text in _texts(told)]
    assert texts
    assert [text for text in texts if "{" in text or "}" in text or "NaN" in text] == []


def test_the_playhead_and_what_is_spoken_of_are_on_the_picture(lesson):
    places = {(number, held) for number, seen in enumerate(lesson.beats) for held in seen["stands"]}
    assert [number for number, held in sorted(places) if not all(held)] == []


def test_numbers_are_read_and_never_typed(lesson):
    """Only small whole numbers may stand in a text, such as those of a formula; what is measured is in braces."""
    typed = re.compile(r"\d+[.,]\d|\d\d|\d+ ?%")
    texts = [text for beat in lesson.player.lesson.beats for text in _written(beat)]
    assert [found for text in texts for found in typed.findall(re.sub(r"\{[^}]*\}", "", text))] == []


def _written(beat):
    """The texts of a beat as its file has them."""
    ask = beat.ask
    return [beat.prose, *([ask.question, ask.otherwise, ask.then, *(hint.says for hint in ask.hints)] if ask else [])]


def _texts(told):
    ask = told.get("ask") or {}
    return [*told.get("prose", []), *told.get("then", []), *filter(None, [ask.get("question"), told.get("hint")])]


@pytest.mark.parametrize(("number", "shown"), [(0.23393, 0.234), (-0.68065, -0.681), (1234.56, 1235), (2.0, 2.0)])
def test_a_shown_number_is_the_one_that_a_reader_computes_with(number, shown):
    found = read(Seen(None, None, {}), parse(f"shown {number}"))
    assert (found, told(found)) == (shown, told(number))


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize(("name", "number", "power"), [("vanishing", 2, 5), ("through-time", 2, 19)])
def test_a_power_is_what_a_calculator_makes_of_what_is_shown(session, name, number, power):
    player = at(session, name, number)
    factor = float(re.findall(r"0\.\d+", " ".join(player.told()["prose"]))[-1])
    player.show()
    assert player.told()["ask"]["answer"] == short(factor**power)


@pytest.mark.slow
@pytest.mark.once
def test_what_is_said_of_a_chart_is_of_its_last_step(session):
    player = at(session, "remedies", 2)
    rooms = (session.room, session.other)
    assert [short(player.values[name]) for name in ("loss", "other_loss")] == [
        short(float(room.run.history.loss().last[-1])) for room in rooms
    ]
    assert {int(room.run.history.loss().final[-1]) for room in rooms} == {player.values["latest"]}


def at(session, name, number):
    """A lesson at one of its beats."""
    player = Player(session, course.find(name))
    player.go(number)
    player.prepare()
    player.arrive()
    return player


def test_what_a_beat_asks_for_does_not_stand_in_a_chart_yet(session):
    player = Player(session, course.find("gradient"))
    shown = []
    for number in range(len(player.lesson.beats)):
        player.go(number)
        player.prepare()
        player.arrive()
        shown.append(player.told()["charts"])
    assert shown == [[]] * 7 + [["controls", "loss"]]


def test_a_solution_can_be_seen_without_an_answer(session):
    player = Player(session, course.find("gradient"))
    player.go(1)
    player.prepare()
    player.arrive()
    before = player.state
    player.show()
    assert (before, player.state, player.told()["ask"]["answer"]) == (ASKING, SHOWN, "it should grow")


def test_after_exploring_the_beat_is_as_it_was(session):
    player = Player(session, course.find("gradient"))
    player.go(4)
    player.prepare()
    player.arrive()
    told, standing = player.told(), player.standing()
    session.choose(task="product")
    session.advance(3)
    player.prepare()
    player.arrive()
    assert (player.told(), player.standing()) == (told, standing)


def test_dials_turned_while_exploring_are_turned_back(session):
    player = Player(session, course.find("gradient"))
    player.prepare()
    player.arrive()
    loss = float(session.step.loss)
    session.advance(2)
    session.choose(rate=0.01)
    session.advance(2)
    player.prepare()
    player.arrive()
    assert (short(session.room.run.controls.rate), float(session.step.loss)) == ("0.05", loss)

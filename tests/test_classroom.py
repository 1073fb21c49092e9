"""A class without pages and sockets: who gets in, what is told to whom, what is made of answers."""

from __future__ import annotations

import asyncio
import json

import pytest

from explorer.classroom import (
    BARS,
    CODE_LENGTH,
    LETTERS,
    MOST_ANSWERS,
    MOST_CLASSES,
    MOST_FOLLOWERS,
    MOST_MISSES,
    Class,
    Classes,
    histogram,
)
from explorer.errors import ExplorerError


@pytest.fixture
def taught():
    return Class(lambda: None)


async def nothing(text):
    """A follower that takes everything at once."""


def test_a_code_has_nothing_that_could_be_misread():
    codes = {Class(lambda: None).code for _ in range(50)}
    assert len(codes) == 50
    assert all(len(code) == CODE_LENGTH and set(code) <= set(LETTERS) for code in codes)
    assert set(LETTERS).isdisjoint("O0I1L")


def test_a_code_is_found_as_people_type_it():
    classes = Classes()
    taught = classes.open(lambda: None)
    assert classes.find(f" {taught.code[:3].lower()} {taught.code[3:]}", "here") is taught


def test_a_class_that_was_closed_is_not_found():
    classes = Classes()
    taught = classes.open(lambda: None)
    classes.close(taught)
    with pytest.raises(ExplorerError, match="No class has this code"):
        classes.find(taught.code, "here")


def test_codes_cannot_be_tried_for_long():
    now = [0.0]
    classes = Classes(lambda: now[0])
    taught = classes.open(lambda: None)
    for _ in range(MOST_MISSES):
        with pytest.raises(ExplorerError, match="No class"):
            classes.find("AAAAAA", "there")
    with pytest.raises(ExplorerError, match="Too many wrong codes"):
        classes.find(taught.code, "there")
    assert classes.find(taught.code, "elsewhere") is taught
    now[0] = 61.0
    assert classes.find(taught.code, "there") is taught


def test_there_are_so_many_classes_and_no_more():
    classes = Classes()
    for _ in range(MOST_CLASSES):
        classes.open(lambda: None)
    with pytest.raises(ExplorerError, match="close one first"):
        classes.open(lambda: None)


def test_a_class_that_is_full_says_so(taught):
    for number in range(MOST_FOLLOWERS):
        taught.join(nothing, str(number))
    with pytest.raises(ExplorerError, match="This class is full"):
        taught.join(nothing, "one more")


def test_who_is_slow_is_told_the_last_step_and_not_every_one(taught):
    told = []

    async def follow():
        ready = asyncio.Event()

        async def slowly(text):
            await ready.wait()
            told.append(json.loads(text))

        taught.show({"at": 0})
        follower = taught.join(slowly, "me")
        telling = asyncio.ensure_future(follower.tell())
        await asyncio.sleep(0)
        for step in range(1, 100):
            taught.show({"at": step})
            await taught.tell()
        ready.set()
        await telling

    asyncio.run(follow())
    assert told == [{"at": 0}, {"at": 99}]


def test_who_comes_later_is_told_everything(taught):
    told = []

    async def take(text):
        told.append(json.loads(text))

    taught.show({"graph.scene": {"boxes": []}, "at": 3})
    asyncio.run(taught.join(take, "me").tell())
    assert told == [{"graph.scene": {"boxes": []}, "at": 3}]


# ---- answers -------------------------------------------------------------------------------------------------------


def test_the_last_answer_of_each_counts(taught):
    first, second = taught.join(nothing, "a"), taught.join(nothing, "b")
    taught.ask("Which?")
    for follower, value in ((first, "0.5"), (second, "0.5"), (first, "-1")):
        assert taught.answer(follower, value)
    assert taught.told()["bars"] == [("-1", 1), ("0.5", 1)]


def test_another_question_begins_without_answers(taught):
    follower = taught.join(nothing, "a")
    taught.ask("Which?")
    taught.answer(follower, "this")
    taught.ask("And now?")
    assert taught.told()["bars"] == []


def test_nothing_is_taken_that_was_not_asked(taught):
    assert not taught.answer(taught.join(nothing, "a"), "this")


def test_answers_are_no_more_than_a_class_could_give(taught):
    taught.ask("Which?")
    for number in range(MOST_ANSWERS + 5):
        follower = taught.join(nothing, str(number))
        taught.answer(follower, "x")
        taught.leave(follower)
    assert taught.told()["bars"] == [("x", MOST_ANSWERS)]


def test_words_are_in_the_order_of_how_often_they_came():
    assert histogram(["no", "yes", "yes"]) == [("yes", 2), ("no", 1)]


def test_a_number_written_in_two_ways_is_one_answer():
    assert histogram(["9", "-1", "9,0", "−1"]) == [("-1", 2), ("9", 2)]


def test_many_numbers_are_told_by_the_span_they_lie_in():
    bars = histogram([str(number) for number in range(100)])
    assert (len(bars), [count for _, count in bars]) == (BARS, [10] * BARS)


@pytest.mark.parametrize("answers", [[], ["nan"] * 3, ["1e999", "1"], [str(n) for n in range(20)] + ["inf", "nan"]])
def test_whatever_is_answered_has_a_histogram(answers):
    assert all(count >= 1 or text for text, count in histogram(answers))


def test_once_it_is_answered_nobody_answers_and_what_was_said_stays():
    taught = Class(lambda: None)
    early, late = taught.join(nothing, "a"), taught.join(nothing, "b")
    taught.ask("Which?")
    assert taught.answer(early, "this")
    taught.ask("Which?", answered=True)
    assert not taught.answer(late, "that")
    assert not taught.answer(early, "that")
    assert taught.told()["bars"] == [("this", 1)]

"""What the teacher's page does for its class: answers without changing anything, says where people join."""

from __future__ import annotations

import numpy as np
import pytest

from engine.tasks.settings import usual
from explorer.dot_process import engine
from explorer.hosting import looked_up
from explorer.place import write
from explorer.placing import place_of
from explorer.session import Session


@pytest.fixture(scope="module")
def session():
    with engine() as running:
        yield Session(usual("product"), engine=running)


def test_nothing_is_said_before_there_are_numbers(session):
    assert looked_up(None, {"type": "fetch", "node": "add"})["type"] == "told"


def test_a_question_is_answered_and_changes_nothing(session):
    session.take(session.begin())
    before = write(place_of(session)), session.step, np.array(session.numbers.grad("add"))
    told = looked_up(session, {"type": "explain", "box": "b", "node": "add", "index": []})
    assert (told["box"], told["sentence"]) == ("b", session.explain("add", ()))
    assert looked_up(session, {"type": "fetch", "box": "b", "node": "add"})["found"] == session.region("add")
    assert (write(place_of(session)), session.step) == before[:2]
    assert np.array_equal(session.numbers.grad("add"), before[2])


@pytest.mark.parametrize(
    "asked",
    [
        {"node": "nothing"},
        {"node": "add", "index": [7]},
        {"node": "add", "index": "x"},
        {"node": "add", "index": 3},
        {},
    ],
)
def test_what_cannot_be_said_is_a_sentence(session, asked):
    session.take(session.begin())
    assert looked_up(session, {"type": "explain", **asked})["text"] == "The teacher's page can't say that now."

"""What a session recorded: the passes that fit, each number once, and a session that stays as it was."""

from __future__ import annotations

import base64
import gzip
import json

import numpy as np
import pytest

from engine.numbers import short
from engine.tasks.settings import usual
from explorer.dot_process import engine
from explorer.recording import Where, packed, record
from explorer.session import Session

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def session():
    with engine() as running:
        own = Session(usual("spiral", depth=1, width=2, batch=4), engine=running)
        own.advance(6)
        own.catch_up()
        yield own


@pytest.fixture(scope="module")
def recorded(session):
    return record(session, Where(3, "box"))


def own_pass(recorded, step):
    return next(each for each in recorded["passes"] if each["step"] == step)


def test_the_first_pass_and_the_one_that_is_shown_come_along(recorded, session):
    steps = [each["step"] for each in recorded["passes"]]
    assert {0, session.step.before.step} <= set(steps)
    assert steps == sorted(steps)


def test_each_pass_tells_its_own_loss(recorded, session):
    told = {each["step"]: each["status"]["before"] for each in recorded["passes"]}
    assert told == {step: short(float(session.room.pass_at(step).loss)) for step in told}


def test_numbers_are_those_of_the_step(recorded, session):
    scene = recorded["scenes"]["layer"]
    box = next(box for box in scene["boxes"] if box["kind"] == "fold")
    figures = own_pass(recorded, session.step.before.step)["figures"]["layer"]["boxes"][box["id"]]
    entries = np.frombuffer(base64.b64decode(recorded["pool"][figures["grad"]["data"]]), np.float32)
    np.testing.assert_array_equal(entries, session.numbers.grad(box["node"]).reshape(-1))


def test_sentences_of_the_largest_entries_come_along(recorded, session):
    own = own_pass(recorded, session.step.before.step)
    node, places = next(iter(own["sentences"].items()))
    gradient = np.abs(session.numbers.grad(node))
    largest = ",".join(map(str, np.unravel_index(gradient.argmax(), gradient.shape)))
    assert recorded["pool"][places[largest]] == session.explain(
        node, tuple(map(int, largest.split(","))) if largest else ()
    )


def test_a_session_stays_as_it_is(session):
    before = session.granularity, session.opened, session.step, session.trained, session.scene
    record(session)
    assert (session.granularity, session.opened, session.step, session.trained, session.scene) == before


def test_what_occurs_twice_is_kept_once(recorded):
    texts = [json.dumps(each, sort_keys=True) for each in recorded["pool"]]
    assert len(texts) == len(set(texts))


def test_little_room_keeps_the_pass_that_is_shown(session):
    few = record(session, budget=1)
    assert [each["step"] for each in few["passes"]] == [session.step.before.step]


def test_a_record_is_packed_as_compressed_json(recorded):
    assert json.loads(gzip.decompress(packed(recorded))) == json.loads(json.dumps(recorded))


def test_steps_lie_closer_together_at_the_start(session):
    steps = np.diff(session.room.passes_at(24))
    assert steps[0] <= steps[-1]

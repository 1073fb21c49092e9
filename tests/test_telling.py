"""A run of a command, told to the page that shows it: as bytes, and taken up on the other side."""

from __future__ import annotations

import io

import jax
import numpy as np
import pytest

from engine.shares import Split
from engine.tasks import problem, usual
from explorer import members, telling
from explorer.followed import Feed
from explorer.room import Room
from explorer.telling import MOST, Teller

SETTINGS = usual("spiral", depth=1, width=4, batch=10)
STEPS = 80


class Wire:
    """In place of the other process: what is offered is made bytes of at once."""

    def __init__(self, arguments, pieces, heard):
        self.arguments, self.heard, self.data, self.pieces = arguments, heard, b"", pieces

    def offer(self, item):
        self.data += b"".join(map(bytes, self.pieces(item)))

    def close(self):
        pass


@pytest.fixture(scope="module")
def told():
    """A run, and what arrived of it."""
    room = Room(problem(SETTINGS), SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(telling, "Link", Wire)
        teller = Teller(room, 6000, False)
        wire = teller._link
        for records in room.advancing(STEPS):
            teller.tell(records)
            wire.heard("full")
        teller.tell(records)
        teller.close()
    feed = Feed(lambda word: None)
    feed.receive(io.BytesIO(wire.data))
    return room, feed.followed, wire


@pytest.mark.cpu
def test_what_each_device_had_arrives():
    room = Room(problem(SETTINGS), SETTINGS)
    room.run.divide(Split(2))
    (records,) = room.advancing(3)
    feed = Feed(lambda word: None)
    feed.receive(io.BytesIO(b"".join(map(bytes, members.message(room, records)))))
    found = feed.members
    assert (found["step"], found["layers"]) == (2, [layer.name for layer in room.layers])
    assert [(own["process"], own["examples"]) for own in found["devices"]] == [(0, 5), (0, 5)]
    assert np.mean([own["loss"] for own in found["devices"]]) == pytest.approx(records.loss[-1], rel=1e-5)
    mean = np.sqrt(np.mean([np.square(own["gradient"]) for own in found["devices"]], axis=0))
    known = dict(zip(room.history.nodes, room.history.measured("grad", "rms").last[-1], strict=True))
    np.testing.assert_allclose(mean, [known[layer.output] for layer in room.layers], rtol=1e-5)


def test_a_run_on_one_device_tells_of_none():
    room = Room(problem(SETTINGS), SETTINGS)
    (records,) = room.advancing(1)
    assert members.message(room, records) == []


@pytest.mark.parametrize(
    ("number", "examples", "plain"),
    [(0.5, 1, 0.5), (np.nan, 1, "not finite"), (-np.inf, 1, "not finite"), (np.nan, 0, None)],
)
def test_a_device_without_examples_is_told_from_one_whose_numbers_are_not_finite(number, examples, plain):
    header = {"step": 1, "layers": ["one"], "devices": [{"examples": examples}]}
    found = members.plain(header, {"loss": np.array([number]), "gradient": np.array([[number]])})
    assert found["devices"] == [{"examples": examples, "loss": plain, "gradient": [plain]}]


def test_losses_arrive_as_they_were(told):
    room, followed, _ = told
    mine, theirs = followed.history.loss(), room.history.loss()
    steps = np.isin(theirs.final, mine.final)
    np.testing.assert_array_equal(mine.last, theirs.last[steps])
    assert (mine.final[0], mine.final[-1], followed.step) == (0, STEPS - 1, STEPS)


def test_of_many_steps_some_are_told_evenly(told):
    assert 2 * STEPS / 3 > len(told[1].history.loss()) >= MOST


def test_statistics_of_the_layers_arrive(told):
    room, followed, _ = told
    (mine, theirs) = (history.measured("grad", "rms") for history in (followed.history, room.history))
    shared = [room.history.nodes.index(id) for id in followed.history.nodes if id in room.history.nodes]
    assert len(shared) == len(room.history.nodes)
    np.testing.assert_array_equal(mine.last[-1, : len(shared)], theirs.last[-1, shared])


def test_updates_arrive(told):
    room, followed, _ = told
    np.testing.assert_array_equal(followed.history.updates().last[-1], room.history.updates().last[-1])


def test_a_pass_is_told_at_first_and_when_it_is_asked_for(told):
    assert [step.before.step for step in told[1].passes] == [0, STEPS]


def test_it_is_the_pass_at_the_parameters_of_the_run(told):
    room, followed, _ = told
    latest = followed.pass_at(STEPS)
    for mine, theirs in zip(latest.before.params, jax.tree.leaves(room.run.state.params), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_it_says_that_a_command_trains(told):
    assert told[1].every == 0


def test_the_page_is_asked_for_at_a_port(told):
    assert told[2].arguments == ["-m", "explorer.watch_page", "6000", "quiet"]

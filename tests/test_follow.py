"""What is seen of a training in another process: the latest pass, or one that is held."""

from __future__ import annotations

import io

import pytest

from explorer import exporting
from explorer.exporting import Order, export
from explorer.follow import Follow
from explorer.recording import record
from tests.test_followed import as_bytes, taken, train

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def samples():
    return train(0.05, full=(0, 8, 12))[0]


@pytest.fixture
def follow(samples):
    return Follow(taken(samples))


def test_the_latest_pass_is_shown(follow, samples):
    status = follow.status()
    assert (status["step"], status["title"], status["follows"]) == (12, "loss", {"every": 4, "ended": True})
    assert float(follow.step.loss) == float(samples[-1].loss)


def test_its_numbers_stand_in_the_graph(follow):
    (box,) = [box for box in follow.folded.boxes if follow.graph.node(box.shows).name == "y"]
    assert follow.figures.boxes[box.id].value is not None
    node = follow.graph.node("tanh").id
    assert follow.explain(node, (0, 0))["total"]


def test_an_earlier_pass_is_held(follow):
    follow.rewind(10)
    assert (follow.step.before.step, follow.following) == (8, False)
    assert follow.status()["updates"].keys() == set(follow.parameters)
    assert not follow.renew()
    follow.hold(False)
    assert follow.step.before.step == 12


def test_a_new_pass_is_shown_unless_one_is_held(samples):
    feed = taken(samples[:2])
    follow = Follow(feed)
    feed.receive(io.BytesIO(as_bytes(samples[2:])))
    assert follow.renew()
    assert follow.step.before.step == 12


def test_columns_of_the_charts_reach_to_each_other(follow):
    frame = follow.frame()
    assert (frame["starts"], frame["ends"]) == ([0, 3, 7, 11], [2, 6, 10, 12])
    assert [row["kind"] for row in frame["rows"]].count("parameter") == 2


def test_an_update_that_was_not_seen_is_not_told(follow):
    assert follow.status()["updates"] == {}


def test_it_is_recorded_pass_by_pass(follow):
    recorded = record(follow)
    assert [each["step"] for each in recorded["passes"]] == [0, 8, 12]
    assert recorded["at"]["step"] == follow.step.before.step == 12


@pytest.mark.parametrize("form", exporting.FORMS)
@pytest.mark.parametrize("of", [exporting.PASS, exporting.TRAINING])
def test_it_is_exported_like_any_other_training(follow, form, of):
    assert export(follow, Order(form, of))

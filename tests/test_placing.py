"""A link leads back to where it was made: the settings, the folds, the very numbers of the step."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from engine.tasks.settings import usual
from explorer import placing
from explorer.dot_process import engine
from explorer.opening import follow
from explorer.place import Place, read, write
from explorer.placing import Placing, fold_as, missing, place_of
from explorer.session import Session

SMALL = usual("product")


@pytest.fixture(scope="module")
def layouts():
    with engine() as running:
        yield running


@pytest.fixture
def session(layouts):
    return Session(SMALL, engine=layouts)


class Arriving:
    """A session on its way to where a link leads, and what it told meanwhile."""

    def __init__(self, session, place, walks=True):
        self.told, self.at, queue = {"busy": ""}, None, []
        shows = SimpleNamespace(told=self.told, hides=lambda names: None, running=lambda: None, place=self._there)
        self.placing = Placing(lambda: session, shows, queue.append, lambda: None)
        self.placing.begin(place)
        while queue and walks:
            self.placing.received(queue.pop())

    def _there(self, at):
        self.at = at


@pytest.mark.parametrize("then", [lambda session: None, lambda session: session.rewind(4), Session.train])
def test_a_link_leads_back_to_the_very_numbers(layouts, session, then):
    session.advance(7)
    session.catch_up()
    then(session)
    place = read(write(place_of(session)))
    other = Session(place.settings, engine=layouts)
    Arriving(other, place)
    assert place_of(other) == place_of(session)
    assert other.step.loss == session.step.loss
    assert np.array_equal(other.numbers.grad("add"), session.numbers.grad("add"))


def test_a_link_leads_back_to_the_same_division(layouts):
    settings = usual("gaussians", batch=24, depth=0)
    session, other = (Session(settings, engine=layouts) for _ in range(2))
    session.divide(devices=3, pieces=2, sharded=True)
    assert write(place_of(session)).endswith("&devices=3&pieces=2&sharded=on")
    Arriving(other, read(write(place_of(session))))
    assert other.split == session.split


def test_a_division_that_can_not_be_is_told(layouts):
    arriving = Arriving(Session(usual("gaussians", depth=0), engine=layouts), read("task=gaussians&pieces=0"))
    assert arriving.at["said"] == ["pieces is 0, and must be 1 or more."]


def test_a_link_leads_back_to_the_same_folds(layouts):
    made = Session(usual("xor", depth=1, width=2, seed=3), engine=layouts)
    made.set_granularity("operation")
    made.toggle("mlp/dense")
    made.show_plumbing(True)
    place = read(write(place_of(made)))
    other = Session(place.settings, engine=layouts)
    fold_as(other, place)
    assert (place.settings, other.opened, other.scene) == (made.settings, made.opened, made.scene)


def test_the_playhead_and_the_entry_are_handed_to_the_browser(session):
    place = read("at=backward:mlp/dense&node=x&entry=0,1&odd=1")
    there = Arriving(session, place).at
    assert there == {"at": ["Backward", "mlp/dense"], "node": "x", "entry": [0, 1], "said": list(place.said)}


def test_a_link_of_too_many_steps_stops_with_a_sentence(session, monkeypatch):
    monkeypatch.setattr(placing, "PATIENCE_SECONDS", -1.0)
    there = Arriving(session, Place(SMALL, step=500)).at
    assert there["said"][0].startswith("The link stands at step 500; in ")


def test_a_link_stops_where_the_loss_is_lost(layouts):
    wild = usual("product", rate=1e6)
    arriving = Arriving(Session(wild, engine=layouts), Place(wild, step=50))
    assert "stops being finite" in arriving.at["said"][0]


def test_what_is_done_meanwhile_ends_the_way(session):
    arriving = Arriving(session, Place(SMALL, step=2), walks=False)
    arriving.placing.leave()
    arriving.placing.received({"type": "return"})
    assert session.room.step == 0


def test_scopes_that_are_not_there_are_told(session):
    assert fold_as(session, Place(SMALL, open=("nothing",))) == [
        "This graph has nothing called 'nothing' to open or fold."
    ]


def test_what_a_link_cannot_hold_is_said(session):
    assert missing(session) == ""
    session.advance(1)
    session.choose(rate=0.01)
    assert "changed by hand while it trained" in missing(session)


def test_a_comparison_is_not_in_the_link(session):
    session.compare({"seed": 4}, "another seed")
    assert "the first of two runs" in missing(session)


def test_settings_that_do_not_matter_are_left_out(session):
    session.choose(width=3, noise=0.5)
    assert write(place_of(session)) == "task=product"


def test_a_link_to_a_file_is_followed_on_this_machine_only(tmp_path):
    own, place = follow(f"csv={tmp_path}/none.csv", local=False)
    assert (own.settings.task, "served to this machine alone" in place.said[-1]) == ("digits", True)


def test_a_link_to_a_function_that_is_not_served_says_how():
    own, place = follow("function=loss&step=5")
    assert (own.target, place.step) == (None, 0)
    assert "isn't served here" in place.said[-1]


def test_a_link_to_a_file_that_is_gone_says_so(tmp_path):
    own, place = follow(f"csv={tmp_path}/none.csv")
    assert (own.settings.task, "can't be read" in place.said[-1]) == ("digits", True)

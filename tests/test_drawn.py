"""From a session to its graph view: another drawing of a pass keeps what was proved of it, another pass doesn't."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from engine.tasks import usual
from explorer.drawn import Drawn
from explorer.session import Session

pytestmark = pytest.mark.once


class Graph:
    """In place of the view: what it was given last."""

    def __init__(self):
        self.proof = {}

    def take(self, **given):
        self.__dict__.update(given)


@pytest.fixture
def drawn():
    channel = SimpleNamespace(
        newest=lambda name, does, **given: does(**given), later=lambda does, **given: does(**given)
    )
    session = Session(usual("product"))
    found = Drawn(lambda: session, channel, Graph())
    found.passing()
    found.proved({"mul": {"ok": True}})
    return found, session


def test_another_drawing_of_the_same_pass_keeps_its_proofs(drawn):
    view, session = drawn
    before = view.graph.scene
    session.resize(380, 400)
    view.passing()
    assert view.graph.scene is not before
    assert view.graph.proof == {"mul": {"ok": True}}


def test_another_pass_has_none_yet(drawn):
    view, session = drawn
    session.train()
    session.advance(1)
    session.catch_up()
    view.passing()
    assert view.graph.proof == {}


def test_a_pass_changed_by_hand_has_none(drawn):
    view, session = drawn
    session.edits.put(session.graph.inputs[0], (), 5.0)
    session.edits.compile()
    session.suppose()
    view.passing()
    assert view.graph.proof == {}

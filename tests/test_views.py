"""The views, without a browser: what they are given and what they hand on."""

from __future__ import annotations

import pytest

from explorer.views.graph import GraphView
from explorer.views.room import RoomView
from explorer.views.setup import SetupView


@pytest.mark.parametrize("view", [GraphView, RoomView, SetupView])
def test_what_a_person_does_is_handed_on(view):
    heard = []
    view(heard.append)._handle_msg({"type": "train"})
    assert heard == [{"type": "train"}]


def test_what_is_told_is_sent_to_the_browser(monkeypatch):
    view, sent = GraphView(print), []
    monkeypatch.setattr(view, "_send_msg", sent.append)
    view.tell(type="failed", text="no")
    assert sent == [{"type": "failed", "text": "no"}]


def test_two_views_share_no_state():
    one, other = GraphView(print), GraphView(print)
    one.scene = {"version": 1}
    assert other.scene == {}


def test_a_room_that_nobody_judged_has_no_findings_rather_than_none_found():
    assert RoomView(print).findings is None


def test_a_room_keeps_what_it_is_given():
    given = {
        "status": {"title": "spirals"},
        "frame": {"version": 1},
        "extras": {"time": {}},
        "findings": [],
        "compare": {},
    }
    room = RoomView(print, **given)
    assert {name: getattr(room, name) for name in given} == given


def test_a_room_is_drawn_with_the_palettes_of_the_graph():
    assert RoomView(print).look == GraphView(print).look

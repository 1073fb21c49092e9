"""The page of a loop in another process: it holds and follows, and does nothing that only the loop can do."""

from __future__ import annotations

import pytest
from bokeh.document import Document

from explorer.app import Opening
from explorer.followed import Feed
from explorer.live import LivePage
from tests.test_followed import taken, train


@pytest.fixture(scope="module")
def feed():
    return taken(train(0.05, full=(0, 8))[0])


def opened(feed, monkeypatch):
    """A page as it begins, and what it would send."""
    sent: list = []
    page = LivePage(feed, Opening(feed=feed), Document(), lambda does: None)
    monkeypatch.setattr(page.channel, "later", lambda does, **given: sent.append(given))
    page._begin()
    return page, sent


def test_it_shows_the_latest_pass(feed, monkeypatch):
    page, _ = opened(feed, monkeypatch)
    assert (page._known().step.before.step, page.shows.told["playing"]) == (8, True)
    page.close()


def test_a_step_of_the_charts_is_held_and_let_go(feed, monkeypatch):
    page, _ = opened(feed, monkeypatch)
    page._do({"type": "rewind", "step": 3})
    assert (page._known().step.before.step, page.shows.told["playing"]) == (0, False)
    page._do({"type": "play"})
    assert (page._known().step.before.step, page.shows.told["playing"]) == (8, True)
    page.close()


def test_it_says_what_is_wrong(feed, monkeypatch):
    page, sent = opened(feed, monkeypatch)
    assert [given["findings"] for given in sent if "findings" in given] == [page._known().findings()]
    page.close()


@pytest.mark.parametrize("kind", ["train", "steps", "reset", "freeze", "edit", "check", "survey", "set", "save"])
def test_what_only_the_loop_can_do_is_not_asked_for_here(feed, monkeypatch, kind):
    page, _ = opened(feed, monkeypatch)
    assert kind not in page._parts
    page.close()


def test_a_page_that_is_closed_listens_no_more(feed, monkeypatch):
    page, _ = opened(feed, monkeypatch)
    page.close()
    page.close()
    assert feed.listeners == []


def test_a_loop_that_ended_before_anything_was_read_is_said(monkeypatch):
    feed = Feed(lambda word: None)
    feed.ended = True
    page = LivePage(feed, Opening(feed=feed), Document(), lambda does: None)
    with pytest.raises(Exception, match="ended before one of its steps"):
        page._begin()
    page.close()

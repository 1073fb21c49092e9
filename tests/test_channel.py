"""What a worker has for the page arrives in order, not before the page is there, and only the newest of its kind."""

from __future__ import annotations

import pytest

from explorer.channel import Channel


class Document:
    """Callbacks that wait until the page's thread comes to them."""

    def __init__(self):
        self.waiting = []

    def add_next_tick_callback(self, call):
        self.waiting.append(call)

    def tick(self):
        calls, self.waiting = self.waiting, []
        for call in calls:
            call()


@pytest.fixture
def document():
    return Document()


@pytest.fixture
def channel(document):
    return Channel(document)


@pytest.fixture
def done():
    return []


def test_nothing_is_done_before_the_browser_has_the_page(channel, document, done):
    channel.later(lambda: done.append("first"))
    document.tick()
    assert done == []
    channel.opened()
    document.tick()
    assert done == ["first"]


def test_what_was_asked_for_is_done_in_that_order(channel, document, done):
    for number in range(3):
        channel.later(lambda number: done.append(number), number=number)
    channel.opened()
    channel.later(lambda: done.append("last"))
    document.tick()
    assert done == [0, 1, 2, "last"]


def test_of_what_repeats_only_the_newest_is_done(channel, document, done):
    channel.opened()
    for number in range(5):
        channel.newest("frame", lambda number: done.append(number), number=number)
    assert len(document.waiting) == 1
    document.tick()
    assert done == [4]


def test_two_kinds_do_not_replace_each_other(channel, document, done):
    channel.opened()
    channel.newest("frame", lambda: done.append("frame"))
    channel.newest("pass", lambda: done.append("pass"))
    document.tick()
    assert done == ["frame", "pass"]


def test_after_it_was_done_the_next_one_is_done_as_well(channel, document, done):
    channel.opened()
    for number in range(2):
        channel.newest("frame", lambda number: done.append(number), number=number)
        document.tick()
    assert done == [0, 1]


def test_one_can_wait_until_the_page_has_taken_what_repeats(channel, document):
    channel.opened()
    assert channel.taken(0)
    channel.newest("frame", lambda: None)
    assert not channel.taken(0)
    document.tick()
    assert channel.taken(0)

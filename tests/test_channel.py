"""What a worker has for the page arrives in order, not before the page is there, and only the newest of its kind."""

from __future__ import annotations

import asyncio
import threading

import pytest

from explorer.channel import Channel


class Page:
    """A document, and the server's loop: what is asked for waits until it comes to it."""

    def __init__(self):
        self.waiting = []
        self.touched = set()
        self.connection_count = 1

    def soon(self, does, seconds):
        self.waiting.append(does)

    @property
    def session_context(self):
        self.touched.add(threading.current_thread())
        return self

    @property
    def session(self):
        return self

    async def with_locked_document(self, does):
        assert self.connection_count
        await does(self)

    def turn(self):
        calls, self.waiting = self.waiting, []
        for call in calls:
            asyncio.run(call())

    def tick(self):
        while self.waiting:
            self.turn()


@pytest.fixture
def page():
    return Page()


@pytest.fixture
def channel(page):
    return Channel(page, page.soon)


@pytest.fixture
def done():
    return []


def test_nothing_is_done_before_the_browser_has_the_page(channel, page, done):
    channel.later(lambda: done.append("first"))
    page.tick()
    assert done == []
    channel.opened()
    page.tick()
    assert done == ["first"]


def test_what_was_asked_for_is_done_in_that_order(channel, page, done):
    for number in range(3):
        channel.later(lambda number: done.append(number), number=number)
    channel.opened()
    channel.later(lambda: done.append("last"))
    page.tick()
    assert done == [0, 1, 2, "last"]


def test_between_two_of_them_the_page_is_answered(channel, page, done):
    channel.opened()
    for number in range(2):
        channel.later(lambda number: done.append(number), number=number)
    page.turn()
    assert done == [0]


def test_another_thread_never_touches_the_document(channel, page):
    """Panel holds it while it sends, and what another thread asks it for at that moment can be lost."""
    channel.opened()
    worker = threading.Thread(target=lambda: channel.later(lambda: None) or channel.newest("frame", lambda: None))
    worker.start()
    worker.join()
    page.tick()
    assert page.touched == {threading.current_thread()}


def test_what_fails_holds_up_nothing(channel, page, done):
    channel.opened()
    channel.later(lambda: 1 / 0)
    channel.later(lambda: done.append("next"))
    with pytest.raises(ZeroDivisionError):
        page.turn()
    page.tick()
    assert done == ["next"]


def test_a_tab_that_is_gone_is_told_nothing(page, done):
    class Gone:
        session_context = None

    channel = Channel(Gone(), page.soon)
    channel.opened()
    channel.later(lambda: done.append("late"))
    page.tick()
    assert done == []


def test_of_what_repeats_only_the_newest_is_done(channel, page, done):
    channel.opened()
    for number in range(5):
        channel.newest("frame", lambda number: done.append(number), number=number)
    page.tick()
    assert done == [4]


def test_two_kinds_do_not_replace_each_other(channel, page, done):
    channel.opened()
    channel.newest("frame", lambda: done.append("frame"))
    channel.newest("pass", lambda: done.append("pass"))
    page.tick()
    assert done == ["frame", "pass"]


def test_after_it_was_done_the_next_one_is_done_as_well(channel, page, done):
    channel.opened()
    for number in range(2):
        channel.newest("frame", lambda number: done.append(number), number=number)
        page.tick()
    assert done == [0, 1]


def test_one_can_wait_until_the_page_has_taken_what_repeats(channel, page):
    channel.opened()
    assert channel.taken(0)
    channel.newest("frame", lambda: None)
    assert not channel.taken(0)
    page.tick()
    assert channel.taken(0)


def test_what_is_for_a_tab_that_is_away_waits_until_it_is_back(channel, page, done):
    channel.opened()
    page.connection_count = 0
    channel.later(lambda: done.append("first"))
    for _ in range(3):
        page.turn()
    assert (done, len(page.waiting)) == ([], 1)
    page.connection_count = 1
    page.tick()
    assert done == ["first"]

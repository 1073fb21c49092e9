"""Turns go round: each page gets as much time as the others, however long its pieces take."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from explorer.turns import Turns


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Pages:
    """Pages that each train on and on; a piece of one takes so many seconds."""

    def __init__(self, turns, clock, pieces):
        self.turns, self.clock, self.pieces = turns, clock, pieces
        self.time = Counter()
        self.had = Counter()
        self.given = []
        for who in pieces:
            self.ask(who)

    def ask(self, who):
        self.turns.ask(who, lambda: self.given.append(who))

    def train(self, count, counts=None):
        """So many turns, each of which counts as long as it took unless told otherwise."""
        for _ in range(count):
            who = self.given.pop(0)
            took = next(self.pieces[who]) if isinstance(self.pieces[who], Iterator) else self.pieces[who]
            self.clock.now += took
            self.time[who] += took
            self.had[who] += 1
            self.turns.done(who, counts)
            self.ask(who)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def turns(clock):
    return Turns(1, clock)


def test_who_is_alone_has_every_turn_at_once(turns):
    given = []
    for number in range(3):
        turns.ask("one", lambda number=number: given.append(number))
        turns.done("one")
    assert given == [0, 1, 2]


def test_all_get_as_much_time_whatever_a_piece_takes(turns, clock):
    pages = Pages(turns, clock, {"quick": 0.005, "other": 0.005, "slow": 0.1})
    pages.train(2000)
    assert max(pages.time.values()) - min(pages.time.values()) <= 0.2


def unsteady(seed):
    """How long pieces of the same length take on a machine that others use, too."""
    chance = random.Random(seed)
    while True:
        yield 0.005 * chance.choice((1, 1, 1, 1, 40))


def test_thirty_that_train_the_same_have_as_many_turns_on_a_busy_machine(turns, clock):
    pages = Pages(turns, clock, {number: unsteady(number) for number in range(30)})
    pages.train(3000, counts=0.005)
    assert max(pages.had.values()) - min(pages.had.values()) <= 1


def test_whoever_has_clicked_is_waited_for(turns):
    with turns.answering():
        with turns.answering():
            pass
        assert not turns.quiet()
    assert turns.quiet()


def test_nobody_is_waited_for_longer_than_said(turns):
    done = threading.Event()

    def click():
        with turns.answering():
            done.wait(60)

    thread = threading.Thread(target=click)
    thread.start()
    while turns.quiet():
        pass
    assert not turns.quiet(0.01)
    done.set()
    thread.join()
    assert turns.quiet()


def test_who_comes_later_begins_with_the_others(turns, clock):
    pages = Pages(turns, clock, {"early": 0.01})
    pages.train(500)
    pages.pieces["late"] = 0.01
    pages.ask("late")
    before = pages.time["early"]
    pages.train(100)
    assert pages.time["early"] - before == pytest.approx(pages.time["late"], abs=0.021)


def test_no_more_train_at_a_time_than_may(clock):
    turns, given = Turns(2, clock), []
    for who in "abcd":
        turns.ask(who, lambda who=who: given.append(who))
    assert given == ["a", "b"]
    turns.done("b")
    assert len(given) == 3


def test_who_asks_again_while_training_waits_for_the_end_of_it(turns):
    given = []
    turns.ask("one", lambda: given.append(1))
    turns.ask("one", lambda: given.append(2))
    assert given == [1]
    turns.done("one")
    assert given == [1, 2]


def test_who_leaves_gives_the_turn_to_others(turns):
    given = []
    for who in "abc":
        turns.ask(who, lambda who=who: given.append(who))
    turns.leave("b")
    turns.leave("a")
    assert given == ["a", "c"]


def test_nobody_waits_for_who_asks_when_gone(turns):
    given = []
    turns.ask("gone", lambda: False)
    turns.ask("there", lambda: given.append(1))
    assert given == [1]


def test_it_says_among_how_many_turns_go_round(turns):
    assert turns.among == 1
    for who in "abc":
        turns.ask(who, lambda: None)
    assert turns.among == 3

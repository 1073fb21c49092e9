"""Pieces of the training are short, and what is shown meanwhile doesn't crowd it out."""

from __future__ import annotations

import pytest

from explorer.pace import (
    CROWDED,
    EVERY_SECONDS,
    MOST,
    PIECE_SECONDS,
    SELDOM_SECONDS,
    SHARE,
    SLOW,
    TOGETHER_SECONDS,
    Pace,
    Pieces,
)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pace(clock):
    return Pace(clock, computed=clock)


def shown(pace, clock, seconds, costs=0.0):
    """How often something was shown in so many seconds, looked at every hundredth."""
    times = []

    def show():
        times.append(clock.now)
        clock.now += costs

    end = clock.now + seconds
    while clock.now < end:
        pace.show("frame", show)
        clock.now += 0.01
    return len(times)


def test_quick_pieces_grow_up_to_a_limit(pace):
    sizes = [pace.count]
    for _ in range(12):
        pace.took(0.001, pace.count)
        sizes.append(pace.count)
    assert sizes[:4] == [1, 2, 4, 8]
    assert sizes[-1] == MOST


def test_pieces_that_take_too_long_again_and_again_are_halved(pace):
    pace.pieces.count = 8
    for _ in range(SLOW):
        assert pace.count == 8
        pace.took(2 * PIECE_SECONDS, 8)
    assert pace.count == 4


def test_a_piece_that_had_to_wait_now_and_then_stays_as_long(pace):
    pace.pieces.count = 8
    for _ in range(SLOW):
        pace.took(2 * PIECE_SECONDS, 8)
        pace.took(0.75 * PIECE_SECONDS, 8)
    assert pace.count == 8


def test_a_piece_is_a_step_at_least(pace):
    for _ in range(SLOW):
        pace.took(60.0, 1)
    assert pace.count == 1


def test_a_piece_of_the_right_length_stays(pace):
    pace.pieces.count = 8
    pace.took(0.75 * PIECE_SECONDS, 8)
    assert pace.count == 8


def test_among_many_a_piece_may_take_longer(pace):
    pace.pieces.count = 8
    for _ in range(SLOW):
        pace.took(2 * PIECE_SECONDS, 8, among=30)
    assert CROWDED > 2
    assert pace.count == 8


def test_all_that_train_the_same_learn_it_together(clock):
    pieces, paces = Pieces(), [Pace(clock), Pace(clock)]
    for pace in paces:
        pace.pieces = pieces
    paces[0].took(0.001, 1)
    assert paces[1].count == 2


def test_what_a_piece_waited_for_counts_for_nothing():
    pieces = Pieces()
    for seconds in (0.9, 0.004, 0.004, 0.5, 0.004):
        pieces.took(seconds, 4)
    assert pieces.seconds == pytest.approx(0.001)


def test_steps_that_take_longer_from_now_on_count_so():
    pieces = Pieces()
    pieces.took(0.001, 1)
    for _ in range(100):
        pieces.took(0.003, 1)
    assert pieces.seconds == pytest.approx(0.003)


def test_the_first_piece_of_all_counts_for_nothing(pace, clock):
    waits = lambda count: setattr(clock, "now", clock.now + 1)
    assert pace.piece(waits).seconds == 0
    assert pace.piece(waits).seconds == pytest.approx(1)


def test_frames_come_ten_times_a_second(pace, clock):
    assert 10 <= shown(pace, clock, 1.0) <= 1 / EVERY_SECONDS["frame"] + 1


def test_what_takes_long_is_shown_less_often(pace, clock):
    assert shown(pace, clock, 10.0, costs=0.5) == pytest.approx(10 / (0.5 * (1 + SHARE)), abs=1)


def test_what_waited_for_other_programs_is_shown_as_often(clock):
    pace = Pace(clock, computed=lambda: 0.0)
    assert shown(pace, clock, 10.0, costs=0.5) == pytest.approx(10 / 0.51, abs=1)


def test_no_more_steps_a_second_than_may_be(clock):
    pace, steps = Pace(clock, most=100.0), 0
    end = clock.now + 10
    while clock.now < end:
        if not pace.early:
            steps += pace.count
            pace.took(0.0001, pace.count)
        clock.now += 0.001
    assert 900 <= steps <= 1010


def test_it_says_for_how_long_it_is_early(pace, clock):
    assert pace.early == 0
    limited = Pace(clock, most=10.0)
    limited.took(0.0, 1)
    assert limited.early == pytest.approx(0.1)


def test_among_many_one_process_shows_no_more_than_for_a_few(pace, clock):
    shows = []
    for _ in range(1000):
        pace.show("frame", lambda: shows.append(clock.now), among=30)
        clock.now += 0.01
    assert len(shows) == pytest.approx(10 / (30 * TOGETHER_SECONDS), abs=1)


def test_among_many_what_takes_long_is_shown_less_often(pace, clock):
    shows = []
    for _ in range(1000):
        pace.show("frame", lambda: shows.append(clock.now) or setattr(clock, "now", clock.now + 0.05), among=10)
        clock.now += 0.01
    assert len(shows) == pytest.approx(10 / (0.05 * 10 * SHARE), abs=1)


def test_where_turns_are_rare_all_is_shown_by_turns(pace, clock):
    shown = []
    shows = {what: lambda what=what: shown.append(what) for what in EVERY_SECONDS}
    for _ in range(40):
        pace.show_one(shows, among=30)
        clock.now += SELDOM_SECONDS
    assert {what: shown.count(what) for what in EVERY_SECONDS} == dict.fromkeys(EVERY_SECONDS, 10)


def test_nothing_is_shown_before_it_is_due(pace, clock):
    assert pace.show_one({"frame": lambda: None})
    assert not pace.show_one({"frame": lambda: None})


def test_among_many_what_is_shown_keeps_its_proportion_but_for_what_would_be_too_seldom(pace, clock):
    shown, end = [], clock.now + 200
    shows = {what: lambda what=what: shown.append(what) for what in EVERY_SECONDS}
    while clock.now < end:
        pace.show_one(shows, among=15)
        clock.now += 0.01
    frames = shown.count("frame")
    assert shown.count("pass") == pytest.approx(frames * EVERY_SECONDS["frame"] / EVERY_SECONDS["pass"], rel=0.05)
    assert shown.count("judge") == pytest.approx(200 / SELDOM_SECONDS, abs=2)

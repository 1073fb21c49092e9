"""Pieces of the training are short, and what is shown meanwhile doesn't crowd it out."""

from __future__ import annotations

import time

import pytest

from explorer.pace import EVERY_SECONDS, MOST, NAP_SECONDS, PIECE_SECONDS, SHARE, Pace


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
    return Pace(clock)


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
        pace.took(0.001)
        sizes.append(pace.count)
    assert sizes[:4] == [1, 2, 4, 8]
    assert sizes[-1] == MOST


def test_a_piece_that_took_too_long_is_halved(pace):
    pace.count = 8
    pace.took(2 * PIECE_SECONDS)
    assert pace.count == 4


def test_a_piece_is_a_step_at_least(pace):
    pace.took(60.0)
    assert pace.count == 1


def test_a_piece_of_the_right_length_stays(pace):
    pace.count = 8
    pace.took(0.75 * PIECE_SECONDS)
    assert pace.count == 8


def test_frames_come_ten_times_a_second(pace, clock):
    assert 10 <= shown(pace, clock, 1.0) <= 1 / EVERY_SECONDS["frame"] + 1


def test_what_takes_long_is_shown_less_often(pace, clock):
    assert shown(pace, clock, 10.0, costs=0.5) == pytest.approx(10 / (0.5 * (1 + SHARE)), abs=1)


def test_no_more_steps_a_second_than_may_be(clock):
    pace, steps = Pace(clock, most=100.0), 0
    end = clock.now + 10
    while clock.now < end:
        if not pace.early:
            steps += pace.count
            pace.took(0.0001, pace.count)
        clock.now += 0.001
    assert 900 <= steps <= 1010


def test_whoever_is_early_naps_no_longer_than_a_click_would_notice():
    pace = Pace(most=0.1)
    pace.took(0.0, 1)
    start = time.monotonic()
    pace.nap()
    assert NAP_SECONDS / 2 <= time.monotonic() - start < 1


def test_among_many_what_takes_long_is_shown_less_often(pace, clock):
    shows = []
    for _ in range(1000):
        pace.show("frame", lambda: shows.append(clock.now) or setattr(clock, "now", clock.now + 0.05), among=10)
        clock.now += 0.01
    assert len(shows) == pytest.approx(10 / (0.05 * 10 * SHARE), abs=1)

"""Columns keep the extremes, however long the run and however the steps came in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.track import FIELDS, Columns, Track

SMALL = 16


def _track(steps, rows, pieces=(), capacity=SMALL):
    track = Track(rows.shape[1:], rows.dtype, capacity)
    for part in np.split(np.arange(len(steps)), sorted(pieces)):
        track.append(steps[part], rows[part])
    return track


def _same(mine: Columns, wanted: Columns) -> None:
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(mine, name), getattr(wanted, name))


def _by_hand(steps, values, stride):
    """One column at a time, in plain Python."""
    groups = {}
    for step, value in zip(steps.tolist(), values.tolist(), strict=True):
        groups.setdefault(step // stride, []).append((step, value))
    for group in groups.values():
        finite = [value for _, value in group if np.isfinite(value)]
        low, high = (min(finite), max(finite)) if finite else (np.nan, np.nan)
        yield group[0][0], group[-1][0], len(group), low, high, group[-1][1], len(group) - len(finite)


def test_a_short_run_is_kept_as_it_is():
    steps, rows = np.arange(5), np.array([3.0, 1.0, np.nan, np.inf, 2.0])
    columns = _track(steps, rows).columns
    np.testing.assert_array_equal(columns.last, rows)
    np.testing.assert_array_equal(columns.low, [3, 1, np.nan, np.nan, 2])
    assert columns.nonfinite.tolist() == [0, 0, 1, 1, 0]


@given(
    values=st.lists(st.floats(width=32), min_size=1, max_size=150),
    every=st.integers(1, 7),
    pieces=st.lists(st.integers(0, 150), max_size=6),
)
def test_columns_are_those_made_by_hand_however_the_steps_came_in(values, every, pieces):
    rows, steps = np.array(values, np.float32), np.arange(len(values)) * every
    track = _track(steps, rows, pieces)
    found = track.columns
    wanted = list(zip(*_by_hand(steps, rows, track.stride), strict=True))
    for mine, theirs in zip((getattr(found, name) for name in FIELDS), wanted, strict=True):
        np.testing.assert_array_equal(mine, np.array(theirs, mine.dtype))
    assert len(found) <= SMALL


def test_a_stride_is_no_longer_than_needed():
    steps = np.arange(1000)
    track = _track(steps, steps.astype(np.float32), range(0, 1000, 10), capacity=100)
    assert (track.stride, len(track.columns)) == (16, 63)


def test_one_spike_in_a_million_steps_is_still_there():
    track = Track((2,))
    rows = np.ones((1000, 2), np.float32)
    for start in range(0, 10**6, 1000):
        given = rows.copy()
        if start == 123_000:
            given[456, 1] = 1e30
        track.append(np.arange(start, start + 1000), given)
    columns = track.columns
    assert 500 <= len(columns) <= 1000
    (place,) = np.flatnonzero(columns.high[:, 1] == 1e30)
    assert columns.first[place] <= 123_456 <= columns.final[place]
    assert (columns.high[:, 0].max(), columns.count.sum()) == (1.0, 10**6)
    assert track.nbytes <= 1100 * 2 * 16 + 1100 * 24


def test_columns_that_were_read_stay_when_more_is_recorded():
    track = _track(np.arange(3), np.arange(3.0))
    before = track.columns
    track.append(np.arange(3, 40), np.arange(3.0, 40.0))
    assert before.last.tolist() == [0, 1, 2]


@pytest.mark.parametrize("step", [0, 1, 13, 16, 99, 100, 250])
def test_truncating_and_recording_again_gives_the_same(step):
    steps, rows = np.arange(100), np.sin(np.arange(100.0))
    track, whole = _track(steps, rows), _track(steps, rows)
    missing = track.truncate(step)
    assert missing <= step
    assert track.final < step
    kept = steps >= max(missing, 0)
    track.append(steps[kept], rows[kept])
    _same(track.columns, whole.columns)


def test_numbers_of_a_row_can_be_picked():
    rows = np.arange(24.0).reshape(2, 3, 4)
    picked = _track(np.arange(2), rows).columns.of(slice(None), 1)
    np.testing.assert_array_equal(picked.last, rows[:, :, 1])
    assert picked.first.tolist() == [0, 1]


def test_columns_of_something_else_are_not_taken_over():
    other = _track(np.arange(3), np.zeros((3, 2))).columns
    with pytest.raises(ValueError, match="no record of this run"):
        Track((5,)).load(other, 1)

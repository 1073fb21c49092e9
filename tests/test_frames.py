"""What was recorded of a run, as the columns that the room draws."""

from __future__ import annotations

import base64
import math

import numpy as np
import pytest

from explorer import frames


def floats(text: str) -> list[float]:
    return np.frombuffer(base64.b64decode(text), "<f4").tolist()


def loss(frame) -> dict[str, list[float]]:
    return {name: floats(text) for name, text in frame["series"]["loss"].items()}


def test_arrays_are_sent_as_little_endian_float32_in_c_order():
    array = np.array([[1.0, 2.0], [3.0, 4.0]]).T
    assert base64.b64decode(frames.encoded(array)) == np.array([1, 3, 2, 4], "<f4").tobytes()


def test_a_nan_that_was_computed_is_no_gap():
    assert frames.computed([1.0, math.nan, math.inf]).tolist() == [1.0, -math.inf, math.inf]


def test_a_few_losses_are_a_column_each():
    frame = frames.of_losses([2.0, 1.5, 1.0], shown=1)
    assert (frame["starts"], frame["ends"]) == ([0, 1, 2], [0, 1, 2])
    assert loss(frame) == {name: [2.0, 1.5, 1.0] for name in ("low", "high", "last")}
    assert (frame["step"], frame["shown"]) == (2, 1)


def test_no_losses_are_no_columns():
    frame = frames.of_losses([], shown=0)
    assert (frame["starts"], frame["ends"], loss(frame)) == ([], [], {"low": [], "high": [], "last": []})


@pytest.mark.parametrize("count", [frames.MOST, frames.MOST + 1, 10_000])
def test_columns_cover_every_step_once_and_are_not_too_many(count):
    frame = frames.of_losses(list(range(count)), shown=0)
    pairs = list(zip(frame["starts"], frame["ends"], strict=True))
    assert [step for start, end in pairs for step in range(start, end + 1)] == list(range(count))
    assert len(pairs) == frames.MOST


def test_no_extreme_is_lost():
    losses = np.random.default_rng(0).normal(size=5000)
    shown = loss(frames.of_losses(list(losses), shown=0))
    ends = frames.of_losses(list(losses), shown=0)["ends"]
    assert min(shown["low"]) == pytest.approx(losses.min())
    assert max(shown["high"]) == pytest.approx(losses.max())
    assert shown["last"] == pytest.approx(losses[ends])


def test_a_column_that_ends_in_nan_says_so_and_keeps_what_was_finite():
    told = frames.band([np.array([3.0, 1.0, math.nan])])
    assert {name: floats(text) for name, text in told.items()} == {"low": [1.0], "high": [3.0], "last": [-math.inf]}

"""The text and the adding problem."""

from __future__ import annotations

import numpy as np
import pytest

from engine.tasks.sequences import TEXT, adding, letters, text

pytestmark = pytest.mark.once


def test_the_text_is_a_few_thousand_letters_of_a_small_alphabet():
    read = letters()
    assert 3000 < len(read) < 6000
    assert set(read) <= set(" abcdefghijklmnopqrstuvwxyz.,:?")
    assert read.startswith("how backpropagation was found ask how a network")
    assert TEXT.read_text(encoding="utf-8").isascii()


def test_the_answer_is_the_letter_that_follows():
    data = text(16)
    assert (data.x.shape[1], data.x.dtype, data.y.shape[1:]) == (16, np.int32, (16, len(data.classes)))
    for x, y in zip(data.x[:3], data.y[:3], strict=True):
        np.testing.assert_array_equal(y[:-1].argmax(-1), x[1:])
    first = "".join(data.classes[code] for code in data.x[0])
    assert first == letters()[:16]
    assert data.classes[data.y[0, -1].argmax()] == letters()[16]


def test_pieces_begin_a_quarter_of_their_length_apart():
    data = text(16)
    np.testing.assert_array_equal(data.x[1][:-4], data.x[0][4:])


def test_the_end_of_the_text_is_never_learned():
    data = text(24)
    x, y = data.training
    read = "".join(data.classes[code] for code in (*x[-1], y[-1, -1].argmax()))
    end = letters().index(read) + len(read)
    tested = "".join(data.classes[code] for code in data.test[0][0])
    assert end <= len(letters()) * 4 // 5 + 1 <= letters().index(tested) + 1


@pytest.mark.parametrize("length", [2, 200])
def test_the_shortest_and_the_longest_pieces(length):
    data = text(length)
    assert len(data.training[0]) > 10
    assert len(data.test[0]) > 5


@pytest.mark.parametrize("length", [2, 3, 24])
def test_two_numbers_are_marked_one_in_each_half_and_the_answer_is_their_sum(length):
    data = adding(length, count=200)
    numbers, marks = data.x[..., 0], data.x[..., 1]
    assert data.x.shape == (200, length, 2)
    np.testing.assert_array_equal(marks[:, : length // 2].sum(1), 1)
    np.testing.assert_array_equal(marks[:, length // 2 :].sum(1), 1)
    wanted = [sum(row[mark == 1]) for row, mark in zip(numbers, marks, strict=True)]
    np.testing.assert_allclose(data.y[:, 0], wanted, rtol=1e-6)


def test_the_numbers_fill_zero_to_one_and_every_place_is_marked():
    data = adding(10, count=1000)
    numbers, marks = data.x[..., 0], data.x[..., 1]
    assert (numbers.min() >= 0, numbers.max() <= 1, (marks.sum(0) > 100).all()) == (True, True, True)
    assert numbers.var() == pytest.approx(1 / 12, rel=0.05)
    assert ((data.y - 1) ** 2).mean() == pytest.approx(1 / 6, rel=0.1)


def test_the_rows_follow_from_the_seed_and_a_fifth_is_for_the_test():
    np.testing.assert_array_equal(adding(6, seed=1).x, adding(6, seed=1).x)
    assert not np.array_equal(adding(6, seed=1).x, adding(6, seed=2).x)
    assert [len(adding(6).training[0]), len(adding(6).test[0])] == [1600, 400]

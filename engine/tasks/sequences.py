"""Examples that go over time: the next letter of a text, and two numbers to add that lie far apart."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from engine.tasks.data import FIFTH, Array, Data, one_hot

TEXT = Path(__file__).with_name("backpropagation.txt")
"""How backpropagation was found: written for this project, and under its licence."""


@lru_cache(maxsize=1)
def letters() -> str:
    """The text that is learned: lower case, lines and paragraphs run on, to keep the alphabet small."""
    return " ".join(TEXT.read_text(encoding="utf-8").lower().split())


@lru_cache(maxsize=8)
def text(length: int) -> Data:
    """Pieces of the text, and at each letter of them the one that follows; the end of the text is for the test.

    Args:
        length: letters in a piece. Each piece begins a quarter of that after the one before.
    """
    read = letters()
    alphabet = tuple(sorted(set(read)))
    codes = np.array([alphabet.index(letter) for letter in read], np.int32)
    kept = len(codes) - len(codes) // FIFTH
    learned, tested = _pieces(codes[:kept], length), _pieces(codes[kept:], length)
    both = np.concatenate([learned, tested])
    return Data(both[:, :-1], one_hot(both[:, 1:], len(alphabet)), alphabet, tested=len(tested))


def _pieces(codes: Array, length: int) -> Array:
    """Stretches of one letter more than the length: the last has only to be foretold."""
    return np.lib.stride_tricks.sliding_window_view(codes, length + 1)[:: max(length // 4, 1)]


def adding(length: int, seed: int = 0, count: int = 2000) -> Data:
    """Rows of numbers between 0 and 1, two of them marked, one in each half; the answer is their sum.

    After Hochreiter and Schmidhuber (1997). The answer 1, always, has a mean square error of 1/6.

    Args:
        length: numbers in a row.
        seed: of the numbers.
        count: rows in all.

    Returns:
        Examples ``(rows, length, 2)``: the number, and 1 where it is marked; answers ``(rows, 1)``.
    """
    rng = np.random.default_rng(seed)
    numbers = rng.uniform(0, 1, (count, length))
    marks = np.zeros((count, length))
    rows = np.arange(count)
    marks[rows, rng.integers(0, length // 2, count)] = 1
    marks[rows, rng.integers(length // 2, length, count)] = 1
    sums = np.sum(numbers * marks, axis=1, keepdims=True)
    x = np.stack([numbers, marks], axis=-1)
    return Data(x.astype(np.float32), sums.astype(np.float32), tested=count // FIFTH)

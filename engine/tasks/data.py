"""Data sets, as examples and their labels, shuffled, the last of them kept for the test."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Data:
    """Examples and their labels."""

    x: Array
    """``(examples, features)``, ``(examples, moments, features)``, or letters, as int32, ``(examples, moments)``."""
    y: Array
    """One-hot ``(examples, classes)``, values ``(examples, 1)``, or one-hot at each moment."""
    classes: tuple[str, ...] = ()
    """What the answers are called; none where they are values."""
    image: tuple[int, int] | None = None
    """Height and width, where an example is a picture."""
    tested: int = 0
    """How many of them, the last, are kept for the test."""

    def __len__(self) -> int:
        return len(self.x)

    @property
    def training(self) -> tuple[Array, Array]:
        """The examples to learn from."""
        return self.x[: len(self) - self.tested], self.y[: len(self) - self.tested]

    @property
    def test(self) -> tuple[Array, Array]:
        """The examples that are never learned from."""
        return self.x[len(self) - self.tested :], self.y[len(self) - self.tested :]


FIFTH = 5
"""One in so many examples is kept for the test."""


def standardised(x: Array, tested: int) -> Array:
    """Each feature with mean 0 and variance 1 over the examples to learn from; one that never changes is 0."""
    known = x[: len(x) - tested].astype(np.float64)
    spread = known.std(axis=0)
    return ((x - known.mean(axis=0)) / np.where(spread > 0, spread, 1)).astype(np.float32)


def one_hot(labels: Array, count: int) -> Array:
    """A row with a single one for each label."""
    return np.eye(count, dtype=np.float32)[labels]


@lru_cache(maxsize=1)
def digits() -> Data:
    """1,797 handwritten digits of 8 × 8 pixels, brightness 0 to 1 (UCI, shipped with scikit-learn)."""
    with gzip.open(_shipped("digits.csv.gz"), "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    table = _shuffled(table)
    pixels, labels = table[:, :-1] / 16, table[:, -1].astype(int)
    return Data(pixels, one_hot(labels, 10), tuple("0123456789"), image=(8, 8), tested=len(table) // FIFTH)


@lru_cache(maxsize=1)
def iris() -> Data:
    """Sepals and petals of 150 irises of three species, measured (Fisher, 1936; shipped with scikit-learn)."""
    return _measured("iris.csv")


@lru_cache(maxsize=1)
def cancer() -> Data:
    """Thirty measures of cell nuclei in 569 samples (UCI Wisconsin Diagnostic, 1995; shipped with scikit-learn)."""
    return _measured("breast_cancer.csv")


def _measured(name: str) -> Data:
    """A file whose first line is: rows, columns, names of the classes."""
    with _shipped(name).open(encoding="utf-8") as file:
        _, _, *classes = next(csv.reader(file))
        table = _shuffled(np.loadtxt(file, delimiter=","))
    tested = len(table) // FIFTH
    labels = one_hot(table[:, -1].astype(int), len(classes))
    return Data(standardised(table[:, :-1], tested), labels, tuple(classes), tested=tested)


def _shuffled(table: Array) -> Array:
    return table[np.random.default_rng(0).permutation(len(table))]


def _shipped(name: str) -> Path:
    """A file of scikit-learn's, read directly: importing it takes longer than everything else on the first page."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"{name} comes with scikit-learn, which is not installed: pip install scikit-learn.")
    return Path(spec.submodule_search_locations[0], "datasets", "data", name)

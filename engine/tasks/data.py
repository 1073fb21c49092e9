"""Data sets, as inputs of shape ``(examples, features)`` and one-hot labels of shape ``(examples, classes)``."""

from __future__ import annotations

import dataclasses
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float32]]


@dataclasses.dataclass(frozen=True, eq=False)
class Data:
    """Examples and their labels, in an order that is already shuffled."""

    x: Array
    y: Array
    classes: tuple[str, ...]
    image: tuple[int, int] | None = None
    """Height and width, where an example is a picture."""

    def __len__(self) -> int:
        return len(self.x)


@lru_cache(maxsize=1)
def digits() -> Data:
    """1,797 handwritten digits of 8 × 8 pixels, brightness 0 to 1 (UCI Optical Recognition, shipped with scikit-learn).

    The file is read directly: importing scikit-learn itself takes longer than everything else on the first page.
    """
    spec = importlib.util.find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("The digits come with scikit-learn, which is not installed: pip install scikit-learn.")
    path = Path(spec.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    table = np.loadtxt(path, delimiter=",", dtype=np.float32)
    order = np.random.default_rng(0).permutation(len(table))
    pixels, labels = table[order, :-1] / 16, table[order, -1].astype(int)
    one_hot: Array = np.eye(10, dtype=np.float32)[labels]
    return Data(pixels.astype(np.float32), one_hot, tuple("0123456789"), image=(8, 8))


def spiral(count: int = 400, noise: float = 0.05, seed: int = 0) -> Data:
    """Two arms of a spiral in the plane, within about ±1."""
    rng = np.random.default_rng(seed)
    label = np.arange(count) % 2
    radius = rng.uniform(0.05, 1.0, count)
    angle = 1.75 * 2 * np.pi * radius + np.pi * label
    points = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    points += rng.normal(scale=noise, size=points.shape)
    return Data(points.astype(np.float32), np.eye(2, dtype=np.float32)[label], ("blue", "orange"))

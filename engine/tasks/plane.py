"""Points one can look at: in the plane, as TensorFlow Playground has them, and on a curve; within about ±1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.tasks.data import Array, Data, one_hot

COUNT = 500
"""Points in all, as in the Playground; half of them are kept for the test."""
COLOURS = ("blue", "orange")

Random = np.random.Generator


def points(shape: Callable[[Random, Array, float], Array], noise: float = 0.05, seed: int = 0) -> Data:
    """Points of two classes in turn, as many of each.

    Args:
        shape: from the random numbers, the class of each point and the noise: its place, ``(points, 2)``.
        noise: how far a point lies from where it should.
        seed: of the points.
    """
    label = np.arange(COUNT) % 2
    placed = shape(np.random.default_rng(seed), label, noise)
    return Data(placed.astype(np.float32), one_hot(label, 2), COLOURS, tested=COUNT // 2)


def spiral(rng: Random, label: Array, noise: float) -> Array:
    """Two arms, opposite each other, of one and three quarters turns."""
    radius = rng.uniform(0.05, 1.0, len(label))
    angle = 1.75 * 2 * np.pi * radius + np.pi * label
    return _scattered(rng, radius * np.sin(angle), radius * np.cos(angle), noise)


def circles(rng: Random, label: Array, noise: float) -> Array:
    """A disc of half the radius, and a ring around it with a gap between."""
    radius = np.where(label == 0, rng.uniform(0.0, 0.5, len(label)), rng.uniform(0.7, 1.0, len(label)))
    angle = rng.uniform(0, 2 * np.pi, len(label))
    return _scattered(rng, radius * np.sin(angle), radius * np.cos(angle), noise)


def moons(rng: Random, label: Array, noise: float) -> Array:
    """The upper half of a circle, and the lower half of another whose end lies in the middle of the first."""
    angle = rng.uniform(0, np.pi, len(label))
    x = np.where(label == 0, np.cos(angle), 1 - np.cos(angle))
    y = np.where(label == 0, np.sin(angle), 0.5 - np.sin(angle))
    return _scattered(rng, (x - 0.5) / 1.5, (y - 0.25) / 1.5, noise)


def xor(rng: Random, label: Array, noise: float) -> Array:
    """Quarters of a square, a little apart: the first class where both coordinates have one sign."""
    x, y = rng.uniform(0.05, 1.0, (2, len(label)))
    side = rng.choice((-1, 1), len(label))
    return _scattered(rng, side * x, np.where(label == 0, side, -side) * y, noise)


def gaussians(rng: Random, label: Array, noise: float) -> Array:
    """Two clouds around opposite points, whose spread grows with the noise."""
    centre = np.where(label == 0, 0.4, -0.4)
    return _scattered(rng, centre, centre, 0.12 + noise)


def _scattered(rng: Random, x: Array, y: Array, noise: float) -> Array:
    return np.stack([x, y], axis=1) + rng.normal(scale=noise, size=(len(x), 2))


def curve(noise: float = 0.1, seed: int = 0) -> Data:
    """``y = sin(1.5 π x)`` for x between ±1, and noise on y."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (COUNT, 1))
    y = np.sin(1.5 * np.pi * x) + rng.normal(scale=noise, size=x.shape)
    return Data(x.astype(np.float32), y.astype(np.float32), tested=COUNT // 2)

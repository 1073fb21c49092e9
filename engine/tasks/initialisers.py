"""Initialisers: the weights before the first step. Most of them differ in nothing but a variance.

A sum of n terms of variance v has the variance n·v. So what a layer does to the size of the values that pass it, and
of the gradients that come back, is decided here: weights of variance 1/n keep the former, of 1/m the latter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float32]]
Shape = tuple[int, ...]
Random = np.random.Generator


def fans(shape: Shape) -> tuple[int, int]:
    """How many inputs each output sums, and how many outputs each input reaches.

    Args:
        shape: ``(inputs, outputs)``, and before them the window of a convolution: ``(height, width, inputs, outputs)``.
    """
    *window, inputs, outputs = shape
    return math.prod(window) * inputs, math.prod(window) * outputs


def _normal(rng: Random, shape: Shape, scale: float) -> Array:
    return rng.normal(size=shape, scale=scale).astype(np.float32)


def zeros(rng: Random, shape: Shape) -> Array:
    """All zero: every unit of a layer computes the same, gets the same gradient, and stays the same."""
    return np.zeros(shape, np.float32)


def constant(rng: Random, shape: Shape) -> Array:
    """All 0.1: as symmetric as zeros."""
    return np.full(shape, 0.1, np.float32)


def small(rng: Random, shape: Shape) -> Array:
    """Normal with a standard deviation of 0.01, whatever the width: too small for more than a few layers."""
    return _normal(rng, shape, 0.01)


def large(rng: Random, shape: Shape) -> Array:
    """Normal with a standard deviation of 1, whatever the width: the sums grow by the root of the inputs."""
    return _normal(rng, shape, 1.0)


def uniform(rng: Random, shape: Shape) -> Array:
    """Even between ±1/√n: the old habit, whose variance 1/(3n) makes deep layers shrink (Glorot and Bengio, 2010)."""
    limit = fans(shape)[0] ** -0.5
    return rng.uniform(-limit, limit, shape).astype(np.float32)


def xavier(rng: Random, shape: Shape) -> Array:
    """Normal of variance 2/(n + m): between what values and what gradients ask for (Glorot and Bengio, 2010)."""
    return _normal(rng, shape, math.sqrt(2 / sum(fans(shape))))


def he(rng: Random, shape: Shape) -> Array:
    """Normal of variance 2/n: a ReLU passes half of what comes, so twice as much is sent (He and others, 2015)."""
    return _normal(rng, shape, math.sqrt(2 / fans(shape)[0]))


def lecun(rng: Random, shape: Shape) -> Array:
    """Normal of variance 1/n: values keep their size (LeCun and others, 1998)."""
    return _normal(rng, shape, fans(shape)[0] ** -0.5)


def orthogonal(rng: Random, shape: Shape) -> Array:
    """Rows or columns, whichever are fewer, of length 1 and at right angles (Saxe and others, 2013)."""
    n, m = fans(shape)[0], shape[-1]
    q, r = np.linalg.qr(rng.normal(size=(max(n, m), min(n, m))))
    q = q * np.where(np.diag(r) < 0, -1, 1)  # without it, not every rotation would be equally likely
    return (q if n >= m else q.T).reshape(shape).astype(np.float32)


INITIALISERS: dict[str, Callable[[Random, Shape], Array]] = {
    "zeros": zeros,
    "constant": constant,
    "small": small,
    "large": large,
    "uniform": uniform,
    "xavier": xavier,
    "he": he,
    "lecun": lecun,
    "orthogonal": orthogonal,
}

"""The smallest graphs: single numbers, for what can be checked in one's head."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any


@dataclasses.dataclass(frozen=True)
class Small:
    """A loss of single numbers."""

    fun: Callable[..., Array]
    start: tuple[float, ...]
    """What is trained, at first."""
    note: str
    measure: str = "f"
    given: tuple[float, ...] = ()
    """What follows in the loss's arguments and stays as it is."""

    @property
    def params(self) -> tuple[Array, ...]:
        """What is trained, in float32."""
        return tuple(map(np.float32, self.start))

    @property
    def examples(self) -> tuple[Array, ...]:
        """What stays as it is, in float32."""
        return tuple(map(np.float32, self.given))


def product(x: Array, y: Array, z: Array) -> Array:
    """The smallest graph with a sum and a product."""
    return (x + y) * z


def shared(x: Array, y: Array) -> Array:
    """The smallest graph in which a value is used twice."""
    return (x + y) * x


def neuron(w: Array, x: Array, y: Array) -> Array:
    """One neuron with one weight: what it answers is compared with what it should."""
    error = w * x - y
    return error**2


SMALL: dict[str, Small] = {
    "neuron": Small(neuron, (0.5,), "w = 0.5, x = 2, y = 4 at the start", "loss", (2.0, 4.0)),
    "product": Small(product, (-2.0, 5.0, -4.0), "x = −2, y = 5, z = −4 at the start"),
    "shared": Small(shared, (3.0, -5.0), "x = 3, y = −5 at the start"),
}
"""By the name of the task."""

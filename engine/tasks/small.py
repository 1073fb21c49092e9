"""The smallest graphs: single numbers, for what can be checked in one's head."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

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


def corners(w: Array, v: Array, k: Array, c: Array) -> Array:
    """Four ways to have no slope: a rounding, the same with a straight-through gradient, a kink, a choice."""
    rounded = (jnp.round(w) - 3) ** 2
    passed = (straight_through(v) - 3) ** 2
    bent = jax.nn.relu(k)
    chosen = jnp.argmax(jnp.stack([c, jnp.float32(0.5)])).astype(jnp.float32)
    return rounded + passed + bent + chosen


def straight_through(v: Array) -> Array:
    """Rounded on the way forward; on the way back as if nothing had been done (Bengio and others, 2013)."""
    return v + lax.stop_gradient(jnp.round(v) - v)


def chain(w1: Array, w2: Array, w3: Array, x: Array, y: Array) -> Array:
    """Three layers with one unit each, and the square of the error."""
    h1 = jnp.tanh(w1 * x)
    h2 = jnp.tanh(w2 * h1)
    error = w3 * h2 - y
    return error**2


SMALL: dict[str, Small] = {
    "neuron": Small(neuron, (0.5,), "w = 0.5, x = 2, y = 4 at the start", "loss", (2.0, 4.0)),
    "chain": Small(chain, (1.0, -0.5, 2.0), "w1 = 1, w2 = −0.5, w3 = 2, x = 1, y = 1 at the start", "loss", (1.0, 1.0)),
    "product": Small(product, (-2.0, 5.0, -4.0), "x = −2, y = 5, z = −4 at the start"),
    "corners": Small(corners, (1.4, 1.4, 0.0, 0.2), "w = v = 1.4, k = 0, c = 0.2 at the start", "loss"),
    "shared": Small(shared, (3.0, -5.0), "x = 3, y = −5 at the start"),
}
"""By the name of the task."""

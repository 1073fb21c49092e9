"""Activations: what bends a layer's sums, entry by entry. Without one, any number of layers is a single linear map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Array = Any


def hard_step(x: Array) -> Array:
    """1 above zero, 0 elsewhere. Its slope is zero wherever it has one, so no gradient comes back through it."""
    return jnp.where(x > 0, 1.0, 0.0)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
    "gelu": jax.nn.gelu,
    "swish": jax.nn.swish,
    "sine": jnp.sin,
    "linear": lambda x: x,
    "step": hard_step,
}
"""Names as one chooses them. The slope of ``leaky_relu`` below zero is 0.01; ``gelu`` is its approximation by tanh."""

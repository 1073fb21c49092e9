"""Normalisation: values brought back to one size inside the network, then scaled by what is learned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

Array = Any
Params = dict[str, Any]

TINY = 1e-5
"""Added to a variance, so that nothing is divided by zero."""


def layer_norm(params: Params, x: Array) -> Array:
    """Each example, at each place, over its own units: mean 0, variance 1 (Ba and others, 2016)."""
    centred = x - jnp.mean(x, axis=-1, keepdims=True)
    variance = jnp.mean(centred**2, axis=-1, keepdims=True)
    return centred * lax.rsqrt(variance + TINY) * params["scale"] + params["offset"]


def batch_norm(params: Params, x: Array, known: int | None = None) -> Array:
    """Each unit over the examples of the batch: mean 0, variance 1 (Ioffe and Szegedy, 2015).

    The places of a picture count as examples; moments in time don't, or early ones would see the later.

    Args:
        params: ``scale`` and ``offset`` of each unit.
        x: ``(examples, …, units)``.
        known: take mean and variance from so many examples at the front; from all by default.
    """
    axes = (0, 1, 2) if x.ndim == 4 else (0,)
    mean = jnp.mean(x[:known], axes)
    variance = jnp.mean((x[:known] - mean) ** 2, axes)
    return (x - mean) * lax.rsqrt(variance + TINY) * params["scale"] + params["offset"]


def rms_norm(params: Params, x: Array) -> Array:
    """Each example, at each place, over its own units: mean square 1, no mean taken off (Zhang and Sennrich, 2019)."""
    square = jnp.mean(x**2, axis=-1, keepdims=True)
    return x * lax.rsqrt(square + TINY) * params["scale"]


NORMS: dict[str, Callable[..., Array] | None] = {
    "none": None,
    "layer": layer_norm,
    "batch": batch_norm,
    "rms": rms_norm,
}


def init_norm(norm: str, units: int) -> Params:
    """Scales of one and offsets of zero: at first, only what is brought to one size."""
    scale, offset = np.ones(units, np.float32), np.zeros(units, np.float32)
    return {"scale": scale} if norm == "rms" else {"scale": scale, "offset": offset}

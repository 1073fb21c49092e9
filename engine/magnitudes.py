"""Euclidean norms of parameters, updates and gradients, recorded at every step.

The square of 1e-25 is zero in float32, and that of 1e25 infinite. A dot product is what a processor does fastest, so it
is tried first on a CPU; only where a square left the range is everything scaled and summed once more. (XLA takes
numbers below the smallest normal one, 1.2e-38, for zero.)
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from engine import compat, stats

Array = Any


def precision(params: Any) -> Any:
    """The type of the record: float64 where a parameter is in double precision, else float32."""
    types = [stats.row_dtype(jnp.result_type(leaf)) for leaf in jax.tree.leaves(params)]
    return jnp.result_type(jnp.float32, *types)


def record(loss: Array, before: Any, after: Any, grads: Any) -> Array:
    """A step in numbers: the loss, then of each parameter ‖w‖, of each ‖Δw‖, of each the gradient's norm.

    Returns:
        Shape ``(1 + 3 × parameters,)``. An infinite or NaN entry makes its norm so.
    """
    dtype = precision(before)
    moved = jax.tree.map(lambda new, old: new - old, after, before)
    arrays = [_real(leaf, dtype) for leaf in jax.tree.leaves((before, moved, grads))]
    return jnp.concatenate([jnp.reshape(loss, 1).astype(dtype), norms(arrays)])


def norms(arrays: list[Array]) -> Array:
    """The Euclidean norm of each of several real arrays, ``(arrays,)``, over the whole range of their type."""
    if not arrays:
        return jnp.zeros(0, jnp.float32)
    if not compat.on_cpu():
        return jnp.stack(list(map(_scaled, arrays)))
    squares = jnp.stack([jnp.vdot(array, array) for array in arrays])
    limits = jnp.finfo(squares.dtype)
    # below this, what a square lost by rounding to zero could be seen
    smallest = limits.tiny / limits.eps**2
    plain = (squares >= smallest) & (squares < limits.max)
    return lax.cond(jnp.all(plain), lambda: jnp.sqrt(squares), lambda: jnp.stack(list(map(_scaled, arrays))))


def on_host(array: Array, less: Array | float = 0.0) -> float:
    """The norm of an array on the host, or of its distance from another: in double precision, a piece at a time, so
    that one of a hundred million entries takes no memory besides.
    """
    flat = np.ravel(array)
    other = np.broadcast_to(np.ravel(less), flat.shape)
    starts = range(0, flat.size, _PIECE)
    parts = (double(flat[i : i + _PIECE]) - other[i : i + _PIECE] for i in starts)
    return math.hypot(*(float(np.linalg.norm(part)) for part in parts))


def double(array: Array) -> Array:
    """An array on the host in double precision; what is complex stays so."""
    given = np.asarray(array)
    return given.astype(np.complex128 if np.iscomplexobj(given) else np.float64)


_PIECE = 1 << 20


def _scaled(array: Array) -> Array:
    peak = jnp.max(jnp.abs(array), initial=0)
    usable = jnp.isfinite(peak) & (peak > 0)
    scale = jnp.where(usable, peak, 1).astype(array.dtype)
    return scale * jnp.sqrt(jnp.sum((array / scale) ** 2))


def _real(array: Array, dtype: Any) -> Array:
    flat = jnp.ravel(jnp.abs(array) if jnp.iscomplexobj(array) else array)
    return flat.astype(dtype)

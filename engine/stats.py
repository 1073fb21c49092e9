"""Seven numbers about an array, the same on the device (``jax.numpy``) and on the host (``numpy``).

Everything is computed on the array divided by a power of two near its largest entry, so that gradients of 1e-25 have a
root mean square of 1e-25 and not of 0, and those of 1e25 aren't infinite.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np

Array = Any

ROW = ("rms", "mean", "std", "min", "max", "zero_fraction", "nonfinite")
"""What :func:`measure` returns, in order. ``l2`` follows from ``rms`` and the number of entries."""

WIDTH = len(ROW)

_EMPTY = (0.0, *[float("nan")] * 5, 0.0)
"""The row of no numbers at all."""


def row_dtype(dtype: Any) -> Any:
    """Precision that statistics of an array of this type are kept in."""
    return np.dtype(np.float64) if np.dtype(dtype) in (np.float64, np.complex128) else np.dtype(np.float32)


def measure(array: Array, xp: ModuleType = jnp) -> Array:
    """Statistics over all entries, as a vector in the order of :data:`ROW`.

    Args:
        array: any numeric array; of complex numbers the magnitudes are measured.
        xp: ``jax.numpy`` or ``numpy``.

    Returns:
        Shape ``(7,)``. NaN and infinities travel as they are; ``nonfinite`` counts them. Of an empty array only
        ``rms`` (0) and ``nonfinite`` (0) are numbers.
    """
    dtype = row_dtype(array.dtype)
    values = (xp.abs(array) if xp.iscomplexobj(array) else array).astype(dtype)
    if values.size == 0:
        return xp.asarray(_EMPTY, dtype=dtype)
    with np.errstate(all="ignore"):  # on the host infinities travel as silently as on the device
        low, high = xp.min(values), xp.max(values)
        scale = _scale(xp.maximum(xp.abs(low), xp.abs(high)), xp)
        scaled = values * scale
        mean = xp.mean(scaled)
        spread = scaled - mean
        rms, std = xp.sqrt(xp.mean(scaled * scaled)), xp.sqrt(xp.mean(spread * spread))
        zeros = xp.mean((values == 0).astype(dtype))
        nonfinite = xp.sum((~xp.isfinite(values)).astype(dtype))
    return xp.stack([rms / scale, mean / scale, std / scale, low, high, zeros, nonfinite]).astype(dtype)


def _scale(peak: Array, xp: ModuleType) -> Array:
    """A power of two that brings the largest entry near 1; 1 where that entry is zero or not finite."""
    _, exponent = xp.frexp(peak)
    usable = xp.isfinite(peak) & (peak > 0)
    shift = xp.clip(xp.where(usable, -exponent, 0), -126, 126)
    return xp.ldexp(xp.ones((), peak.dtype), shift).astype(peak.dtype)


def combine(rows: Array, weights: Array, xp: ModuleType = np) -> Array:
    """Statistics of a whole from those of its equal parts.

    Args:
        rows: ``(..., parts, 7)``.
        weights: ``(..., parts)``, true for a part that counts and false for one that never ran.
        xp: ``jax.numpy`` or ``numpy``; on the host the result is in double precision.

    Returns:
        ``(..., 7)``; NaN where no part counts, and the row of an empty array where there is none.
    """
    if xp is np:
        rows = np.asarray(rows, np.float64)
    if rows.shape[-2] == 0:
        return xp.broadcast_to(xp.asarray(_EMPTY, dtype=rows.dtype), (*rows.shape[:-2], WIDTH))
    if rows.shape[-2] == 1:
        return xp.where(weights, rows[..., 0, :], np.nan)
    count = weights.sum(-1)
    with np.errstate(all="ignore"):
        rms, mean, std, low, high, zeros, nonfinite = (rows[..., index] for index in range(WIDTH))
        average = _mean(mean, weights, xp)
        parts = [
            xp.sqrt(_mean(rms * rms, weights, xp)),
            average,
            xp.sqrt(_mean(std * std + (mean - average[..., None]) ** 2, weights, xp)),
            xp.min(xp.where(weights, low, np.inf), axis=-1, initial=np.inf),
            xp.max(xp.where(weights, high, -np.inf), axis=-1, initial=-np.inf),
            _mean(zeros, weights, xp),
            _mean(nonfinite, weights, xp) * count,
        ]
    return xp.where((count > 0)[..., None], xp.stack(parts, axis=-1), np.nan)


def _mean(values: Array, weights: Array, xp: ModuleType) -> Array:
    return xp.where(weights, values, 0).sum(-1) / weights.sum(-1)


def named(row: Array, entries: Array) -> Mapping[str, Any]:
    """A row as a dictionary, with the Euclidean norm ``l2`` of the whole array of ``entries`` numbers."""
    found: dict[str, Any] = {name: row[..., index] for index, name in enumerate(ROW)}
    found["l2"] = found["rms"] * entries**0.5
    if isinstance(row, np.ndarray) and row.ndim == 1:
        found = {name: float(value) for name, value in found.items()}
        found["nonfinite"] = int(found["nonfinite"])
    return found

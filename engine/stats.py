"""Seven numbers about an array, the same on the device (``jax.numpy``) and on the host (``numpy``).

Squares are taken of the array divided by a power of two near its largest entry, so that gradients of 1e-25 have a root
mean square of 1e-25 and not of 0, and those of 1e25 aren't infinite; and of the distance from the mean, so that an
array that is nearly constant has the spread that it has.

On a CPU this is five reductions, each a plain sum, least or greatest of arithmetic on one array: the form that XLA
hands to its library of vectorised kernels. Comparisons, and seven numbers in one reduction, become scalar loops.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

Array = Any

ROW = ("rms", "mean", "std", "min", "max", "zero_fraction", "nonfinite")
"""What :func:`measure` returns, in order. ``l2`` follows from ``rms`` and the number of entries."""

WIDTH = len(ROW)

_EMPTY = (0.0, *[float("nan")] * 5, 0.0)
"""The row of no numbers at all."""


def row_dtype(dtype: Any) -> Any:
    """Precision that statistics of an array of this type are kept in."""
    return np.dtype(np.float64) if np.dtype(dtype) in (np.float64, np.complex128) else np.dtype(np.float32)


def real(array: Array, xp: ModuleType = jnp) -> Array:
    """The array as real numbers of :func:`row_dtype`; of complex ones the magnitudes."""
    return (xp.abs(array) if xp.iscomplexobj(array) else array).astype(row_dtype(array.dtype))


def measure(array: Array, xp: ModuleType = jnp, lead: int = 0) -> Array:
    """Statistics over all entries, as a vector in the order of :data:`ROW`.

    Args:
        array: any numeric array; of complex numbers the magnitudes are measured.
        xp: ``jax.numpy`` or ``numpy``.
        lead: how many axes in front are kept: one row for each entry of them.

    Returns:
        Shape ``(*array.shape[:lead], 7)``. NaN and infinities travel as they are; ``nonfinite`` counts them. Of an
        empty array only ``rms`` (0) and ``nonfinite`` (0) are numbers.
    """
    values = real(array, xp)
    shape, count = values.shape[:lead], math.prod(values.shape[lead:])
    if values.size == 0:
        return xp.broadcast_to(xp.asarray(_EMPTY, dtype=values.dtype), (*shape, WIDTH))
    axes = tuple(range(lead, values.ndim))

    def over(reduce: Callable[..., Array], of: Array) -> Array:
        return reduce(of, axis=axes, keepdims=True)

    with np.errstate(all="ignore"):  # on the host infinities travel as silently as on the device
        low, high = over(xp.min, values), over(xp.max, values)
        peak = xp.maximum(xp.abs(low), xp.abs(high))
        scale, share = _scale(peak, xp), values.dtype.type(2.0 ** -math.ceil(math.log2(count)))
        mean = over(xp.sum, values * share) / (count * share)
        spread = values * scale - mean * scale
        variance = over(xp.sum, spread * spread) / count
        rms = xp.where(xp.isinf(peak), peak, xp.sqrt((mean * scale) ** 2 + variance) / scale)
        zeros, nonfinite = _counts(values, peak, over, xp)
        parts = [rms, mean, xp.sqrt(variance) / scale, low, high, zeros / count, nonfinite]
    return xp.concatenate([part.reshape((*shape, 1)) for part in parts], axis=-1)


def _counts(values: Array, peak: Array, over: Callable[..., Array], xp: ModuleType) -> tuple[Array, Array]:
    """How many entries are zero, and how many aren't finite: rarely any, and only then are they counted."""

    def finite(values: Array) -> tuple[Array, Array]:
        signs = xp.sign(values)
        zeros = values.size // peak.size - over(xp.sum, signs * signs)
        return zeros, zeros * 0

    def some(values: Array) -> tuple[Array, Array]:
        zeros, nonfinite = values == 0, ~xp.isfinite(values)
        return over(xp.sum, zeros.astype(values.dtype)), over(xp.sum, nonfinite.astype(values.dtype))

    return some(values) if xp is np else lax.cond(jnp.all(jnp.isfinite(peak)), finite, some, values)


def _scale(peak: Array, xp: ModuleType) -> Array:
    """The power of two that brings each peak into [1, 2), as nearly as it can be held.

    Made of the bits of the exponent e, as 2·bias − e: that is 2^-e, whatever ``peak`` is.
    """
    info = np.finfo(peak.dtype)
    bits, bias = info.nmant, 1 - info.minexp
    kind = np.dtype(f"int{info.bits}")
    pattern = lax.bitcast_convert_type(peak, kind) if xp is jnp else peak.view(kind)
    exponent = xp.clip(2 * bias - (pattern >> bits), 1, 2 * bias).astype(kind) << bits
    return lax.bitcast_convert_type(exponent, peak.dtype) if xp is jnp else exponent.view(peak.dtype)


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

"""Seven numbers about an array, the same on the device (``jax.numpy``) and on the host (``numpy``).

Squares are taken of the array divided by a power of two near its largest entry, so that gradients of 1e-25 have a root
mean square of 1e-25 and not of 0, and those of 1e25 aren't infinite; and of the distance from the mean, so that an
array that is nearly constant has the spread that it has.

On the device that is done only where an array needs it. Of most, the sum and the sum of squares tell the same: five
reductions in a form that XLA's CPU back end hands to its library of vectorised kernels. Comparisons it compiles to
loops of its own, and a number that two reductions use it lays out as a whole array first. Other devices read memory
so fast that the careful way costs less than to ask which is needed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from engine import compat

Array = Any

ROW = ("rms", "mean", "std", "min", "max", "zero_fraction", "nonfinite")
"""What :func:`measure` returns, in order. ``l2`` follows from ``rms`` and the number of entries."""

WIDTH = len(ROW)

LARGEST = 2.0**50
"""Squares of entries up to here, and of the inverse, can be added up in single precision."""

STEEPEST = 2.0**10
"""Up to this ratio of the squared mean to the variance, their difference has four digits left."""

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
    if values.size == 0:
        return xp.broadcast_to(xp.asarray(_EMPTY, dtype=values.dtype), (*values.shape[:lead], WIDTH))
    over = _Over(xp, tuple(range(lead, values.ndim)))
    low, high = over(xp.min, values), over(xp.max, values)
    if xp is np or not compat.on_cpu():
        return _carefully(values, low, high, over)
    quick, regular = _quickly(values, low, high, over)
    return lax.cond(jnp.all(regular), lambda *_: quick, partial(_carefully, over=over), values, low, high)


@dataclasses.dataclass(frozen=True)
class _Over:
    """Reductions over some axes, which stay with length 1."""

    xp: ModuleType
    axes: tuple[int, ...]

    def __call__(self, reduce: Callable[..., Array], values: Array) -> Array:
        return reduce(values, axis=self.axes, keepdims=True)

    def count(self, values: Array) -> int:
        """How many entries are reduced to one."""
        return math.prod(values.shape[axis] for axis in self.axes)

    def row(self, parts: Sequence[Array]) -> Array:
        """The seven numbers side by side."""
        shape = parts[0].shape[: parts[0].ndim - len(self.axes)]
        return self.xp.concatenate([part.reshape((*shape, 1)) for part in parts], axis=-1)


def _quickly(values: Array, low: Array, high: Array, over: _Over) -> tuple[Array, Array]:
    """The seven numbers, and where they can be relied on: all are finite and of a size whose square can be held, and
    the mean is not so much larger than the spread that nothing is left of it.
    """
    count = over.count(values)
    mean, square = over(jnp.sum, values) / count, over(jnp.sum, values * values) / count
    variance = jnp.maximum(square - mean * mean, 0)
    signs = jnp.sign(values)
    zeros = (count - over(jnp.sum, signs * signs)) / count
    peak = jnp.maximum(jnp.abs(low), jnp.abs(high))
    held = (peak < LARGEST) & (peak > 1 / LARGEST) & (mean * mean <= STEEPEST * variance)
    row = over.row([jnp.sqrt(square), mean, jnp.sqrt(variance), low, high, zeros, zeros * 0])
    return row, held | (peak == 0)


def _carefully(values: Array, low: Array, high: Array, over: _Over) -> Array:
    """The seven numbers, whatever the entries are."""
    xp, count = over.xp, over.count(values)
    with np.errstate(all="ignore"):  # on the host infinities travel as silently as on the device
        peak = xp.maximum(xp.abs(low), xp.abs(high))
        scale = _scale(peak, xp)
        scaled = values * scale
        mean = over(xp.sum, scaled) / count
        spread = scaled - mean
        variance = over(xp.sum, spread * spread) / count
        # not the mean of squares: of a constant array XLA would square the scale by itself, and find infinity
        root = xp.sqrt(variance + mean * mean) / scale
        zeros, nonfinite = (part.astype(values.dtype) for part in (values == 0, ~xp.isfinite(values)))
        sizes = [xp.where(xp.isinf(peak), peak, root), mean / scale, xp.sqrt(variance) / scale]
    return over.row([*sizes, low, high, over(xp.sum, zeros) / count, over(xp.sum, nonfinite)])


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


def combine(rows: Array, weights: Array | None = None, xp: ModuleType = np) -> Array:
    """Statistics of a whole from those of its equal parts.

    Args:
        rows: ``(..., parts, 7)``.
        weights: ``(..., parts)``, true for a part that counts and false for one that never ran; all count by default.
        xp: ``jax.numpy`` or ``numpy``; on the host the result is in double precision.

    Returns:
        ``(..., 7)``; NaN where no part counts, and the row of an empty array where there is none.
    """
    if xp is np:
        rows = np.asarray(rows, np.float64)
    if rows.shape[-2] == 0:
        return xp.broadcast_to(xp.asarray(_EMPTY, dtype=rows.dtype), (*rows.shape[:-2], WIDTH))
    if rows.shape[-2] == 1 and weights is None:
        return rows[..., 0, :]
    if weights is None and xp is np:
        return _combined(rows)
    weights = xp.ones(rows.shape[:-1], bool) if weights is None else weights
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


def _combined(rows: Array) -> Array:
    """The same on the host where every part counts: a reading of a loop does it for each node in it."""
    parts = rows.shape[-2]
    with np.errstate(all="ignore"):
        whole = np.add.reduce(rows, axis=-2) / parts
        squares = np.add.reduce(rows * rows, axis=-2) / parts
        apart = rows[..., 1] - whole[..., None, 1]
        whole[..., 0] = np.sqrt(squares[..., 0])
        whole[..., 2] = np.sqrt(squares[..., 2] + np.add.reduce(apart * apart, axis=-1) / parts)
        whole[..., 3] = np.minimum.reduce(rows[..., 3], axis=-1)
        whole[..., 4] = np.maximum.reduce(rows[..., 4], axis=-1)
        whole[..., 6] *= parts
    return whole


def _mean(values: Array, weights: Array, xp: ModuleType) -> Array:
    return xp.where(weights, values, 0).sum(-1) / weights.sum(-1)


def named(row: Array, entries: Array) -> Mapping[str, Any]:
    """A row as a dictionary, with the Euclidean norm ``l2`` of the whole array of ``entries`` numbers."""
    if isinstance(row, np.ndarray) and row.ndim == 1:
        found: dict[str, Any] = dict(zip(ROW, row.tolist(), strict=True))
        found |= {"l2": float(found["rms"] * entries**0.5), "nonfinite": int(found["nonfinite"])}
        return found
    found = {name: row[..., index] for index, name in enumerate(ROW)}
    return found | {"l2": found["rms"] * entries**0.5}

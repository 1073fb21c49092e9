"""Statistics in one pass over memory, by a small library in C++ that XLA calls. Optional: without it XLA makes them.

Built into the environment that Python runs in by :mod:`engine.build_kernel`; found by every process that starts later.
Numbers are the same with it and without, to float rounding.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import itertools
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jaxlib.version
import numpy as np
from jax import lax

from engine import compat
from engine.stats import WIDTH

Array = Any

TERMS = 4
"""How many arrays a sum has that is measured without being written, at most."""

SOURCE = Path(__file__).with_name("statistics.cc")
HANDLERS = {"float32": "StatisticsOfFloats", "float64": "StatisticsOfDoubles"}


class Sum(NamedTuple):
    """An array that no memory has: the sum, from the left, of some that memory has."""

    terms: tuple[Array, ...]
    """The first has the sum's shape; the others too, or as many of its last axes, perhaps with ones in front."""

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the sum."""
        return tuple(self.terms[0].shape)

    @property
    def dtype(self) -> Any:
        """That of each term."""
        return self.terms[0].dtype

    @property
    def size(self) -> int:
        """How many entries the sum has."""
        return math.prod(self.shape)

    def whole(self) -> Array:
        """It as an array."""
        return functools.reduce(lax.add, self.terms)


def library() -> Path:
    """Where the library of this source, for this JAX, is or would be."""
    made_of = SOURCE.read_bytes() + jaxlib.version.__version__.encode()
    name = f"statistics-{hashlib.sha256(made_of).hexdigest()[:16]}.so"
    return Path(sys.prefix) / "share" / "backprop-explorer" / name


@functools.cache
def loaded() -> bool:
    """Whether the library is there, and XLA knows of it."""
    path = library()
    if not path.exists():
        return False
    try:
        symbols = ctypes.CDLL(str(path))
    except OSError:  # of another machine
        return False
    for handler in HANDLERS.values():
        target = jax.ffi.pycapsule(getattr(symbols, handler))
        jax.ffi.register_ffi_target(_target(handler), target, platform="cpu")
    return True


def available() -> bool:
    """Whether statistics are made by it: on one CPU. Arrays spread over several devices it can't take in parts."""
    return compat.on_cpu() and jax.device_count() == 1 and loaded()


def measure(arrays: Sequence[Array | Sum], leads: Sequence[int], joined: Sequence[int] = ()) -> Array:
    """Statistics of some arrays, all of float32 or all of float64, as they lie in memory: laid out as tables first,
    XLA would compute once more what it has in another shape.

    Args:
        arrays: each with at least one entry; of sums no axes are kept.
        leads: for each how many axes in front are kept: one row for each entry of them.
        joined: if given, the first is arrays of these lengths, one behind the other.

    Returns:
        ``(rows of all of them, 7)``, as :func:`engine.stats.measure` has them.
    """
    dtype = np.dtype(arrays[0].dtype)
    rows = [math.prod(array.shape[:lead]) for array, lead in zip(arrays, leads, strict=True)]
    count = sum(rows[bool(joined) :]) + len(joined)
    terms = [array.terms if isinstance(array, Sum) else (array,) for array in arrays]
    table = jax.ShapeDtypeStruct((count, WIDTH), dtype)
    call = jax.ffi.ffi_call(_target(HANDLERS[dtype.name]), table, vmap_method="broadcast_all")
    counts = {"terms": list(map(len, terms)), "rows": rows, "joined": joined}
    return call(*itertools.chain(*terms), **{name: np.asarray(given, np.int64) for name, given in counts.items()})


def _target(handler: str) -> str:
    return f"backprop_explorer.{handler}"

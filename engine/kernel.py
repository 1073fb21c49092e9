"""Statistics in one pass over memory, by a small library in C++ that XLA calls. Optional: without it XLA makes them.

There is one for the CPU and one for NVIDIA's GPUs, where to begin a kernel for each of hundreds of arrays takes longer
than the step. Built into the environment that Python runs in by :mod:`engine.build_kernel`; found by every process that
starts later. Numbers are the same with it and without, to float rounding.
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

SOURCES = {"cpu": ("statistics.cc",), "cuda": ("statistics_cuda.cc", "statistics_cuda.h", "statistics.cu")}
"""What the library for each platform is made of; the first is compiled."""

HANDLERS: dict[str, dict[Any, str]] = {
    "cpu": {np.dtype("float32"): "StatisticsOfFloats", np.dtype("float64"): "StatisticsOfDoubles"},
    "cuda": {np.dtype("float32"): "StatisticsOnCuda"},
}
"""What it measures, and what XLA calls for it."""

TARGETS = {"cpu": ("StatisticsOfFloats", "StatisticsOfDoubles", "StatisticsOnCuda"), "cuda": ("StatisticsOnCuda",)}
"""What XLA knows of each library: a call made for a GPU can be made on the CPU too."""

DRIVER = "libcuda.so.1"

_TILE, _WIDE, _PARTIAL = 8192, 32, 40
"""Of ``statistics_cuda.h``: entries of a row that are taken at a time, bytes noted of a row that has more, and of each
such piece."""


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


def library(platform: str) -> Path:
    """Where the library of this source, for this JAX, is or would be."""
    made_of = b"".join(source.read_bytes() for source in sources(platform)) + jaxlib.version.__version__.encode()
    stem = "-".join(
        ["statistics", *([] if platform == "cpu" else [platform]), hashlib.sha256(made_of).hexdigest()[:16]]
    )
    return Path(sys.prefix) / "share" / "backprop-explorer" / f"{stem}.so"


def sources(platform: str) -> list[Path]:
    """The files that it is made of."""
    return [Path(__file__).with_name(name) for name in SOURCES[platform]]


def image(architecture: str) -> Path:
    """Where the kernels that the library for CUDA launches are or would be, compiled for GPUs of that kind."""
    return library("cuda").with_suffix(f".{architecture}.cubin")


@functools.cache
def loaded() -> bool:
    """Whether the library for what JAX computes on is there, and XLA knows of it; beside a GPU's the CPU's, for what is
    run there all the same.
    """
    platform = compat.platform()
    if platform not in SOURCES:
        return False
    try:
        for each in dict.fromkeys(("cpu", platform)):
            _load(each)
    except OSError:  # none was built, or for another machine
        return False
    return True


def _load(platform: str) -> None:
    symbols = ctypes.CDLL(str(library(platform)))
    if platform == "cuda" and symbols.Load(DRIVER.encode(), image(compat.architecture()).read_bytes()):
        raise OSError("the driver can't load the kernels")
    for handler in TARGETS[platform]:
        target = jax.ffi.pycapsule(getattr(symbols, handler))
        jax.ffi.register_ffi_target(_target(handler), target, platform="cpu" if platform == "cpu" else "CUDA")


def available() -> bool:
    """Whether statistics are made by it: on one device. Arrays spread over several it can't take in parts."""
    return compat.platform() in SOURCES and jax.device_count() == 1 and loaded()


def takes(dtype: Any) -> bool:
    """Whether it measures arrays of this type."""
    return available() and np.dtype(dtype) in HANDLERS[compat.platform()]


def measure(arrays: Sequence[Array | Sum], leads: Sequence[int], joined: Sequence[int] = ()) -> Array:
    """Statistics of some arrays, all of a type that it :func:`takes`, as they lie in memory: laid out as tables first,
    XLA would compute once more what it has in another shape.

    Args:
        arrays: each with at least one entry; of sums no axes are kept.
        leads: for each how many axes in front are kept: one row for each entry of them.
        joined: if given, the first is arrays of these lengths, one behind the other.

    Returns:
        ``(rows of all of them, 7)``, as :func:`engine.stats.measure` has them.
    """
    dtype, platform = np.dtype(arrays[0].dtype), compat.platform()
    rows = [math.prod(array.shape[:lead]) for array, lead in zip(arrays, leads, strict=True)]
    count = sum(rows[bool(joined) :]) + len(joined)
    terms = [array.terms if isinstance(array, Sum) else (array,) for array in arrays]
    table = jax.ShapeDtypeStruct((count, WIDTH), dtype)
    made = table if platform == "cpu" else (table, jax.ShapeDtypeStruct((_scratch(arrays, rows, joined),), np.uint8))
    call = jax.ffi.ffi_call(_target(HANDLERS[platform][dtype]), made, vmap_method="broadcast_all")
    counts = {"terms": list(map(len, terms)), "rows": rows, "joined": joined}
    found = call(*itertools.chain(*terms), **{name: np.asarray(given, np.int64) for name, given in counts.items()})
    return found if platform == "cpu" else found[0]


def _scratch(arrays: Sequence[Array | Sum], rows: Sequence[int], joined: Sequence[int]) -> int:
    """Bytes in which a GPU notes what it has found in pieces of rows."""
    lengths = [(length, 1) for length in joined]
    lengths += [(array.size // count, count) for array, count in zip(arrays, rows, strict=True)][bool(joined) :]
    wide = [(-(-length // _TILE), count) for length, count in lengths if length > _TILE]
    return max(1, sum(count * (_WIDE + tiles * _PARTIAL) for tiles, count in wide))


def _target(handler: str) -> str:
    return f"backprop_explorer.{handler}"

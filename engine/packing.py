"""How a reading leaves the step: as one array for each precision, whatever the number of nodes.

A thousand small outputs cost a step more than they say: each is allocated, handed over and fetched by itself. So small
arrays leave side by side (:func:`gathered`). Where statistics are asked for, rows of them leave, made
for many arrays at a time: small reductions cost a CPU what it takes to start them, and every one of its own takes XLA
time to compile. Where :mod:`engine.kernel` is there, it makes them all: an array that is in memory costs it a pointer.
Without it small arrays leave as they are, and are measured where the reading is read.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from types import ModuleType
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from engine import compat, kernel, stats
from engine.sources import Key

Array = Any
K = TypeVar("K")
SMALL = 2048
"""Up to so many entries leave as they are."""

LARGE = 2**15
"""From so many entries on an array is reduced by itself; smaller ones of the same length share XLA's reductions."""

TINY = 2**16
"""How many entries all arrays of a step have where it is worth its while to have it run in one thread."""

WRITTEN = 48
"""How many vectors are written one by one into the array that leaves the step, at most; a small net has 23."""

TOGETHER, TOGETHER_ON_GPU = 2**20, 2**24
"""How many entries are measured together at most: beyond, they leave the processor's cache before they are read."""


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """An array that a run kept."""

    array: Array
    lead: int = 0
    """How many axes in front are the iterations of loops."""
    bare: bool = True
    """Whether it may leave as it is (:mod:`engine.exposure`)."""
    row: int | None = None
    """Of a table with rows of statistics of several nodes, which row is meant."""

    @property
    def table(self) -> Array:
        """A row for each iteration."""
        shape = self.array.shape
        return self.array.reshape(math.prod(shape[: self.lead]), math.prod(shape[self.lead :]))

    def numbers(self) -> Found:
        """The same as real numbers; a copy where it needs one."""
        if isinstance(self.array, kernel.Sum):
            return self
        return dataclasses.replace(self, array=stats.real(self.array if self.bare else copied(self.array)))


@dataclasses.dataclass(frozen=True)
class Piece:
    """Where in the packed arrays one array lies."""

    vector: str
    start: int
    lead: tuple[int, ...]
    width: int
    """Length of the last axis: its entries, or those of a row of statistics."""
    raw: bool
    rows: int = 1
    row: int = 0
    """It is one of so many rows of each iteration."""


@dataclasses.dataclass(frozen=True)
class Part:
    """Where in the packed arrays one whole array lies."""

    vector: str
    start: int
    shape: tuple[int, ...]

    def cut(self, vector: Array) -> Array:
        """It, with the axes of ``vmap`` and of outer loops in front."""
        if isinstance(vector, jax.ShapeDtypeStruct):
            return jax.ShapeDtypeStruct((*vector.shape[:-1], *self.shape), vector.dtype)
        entries = vector[..., self.start : self.start + math.prod(self.shape)]
        return entries.reshape((*vector.shape[:-1], *self.shape))


Layout = tuple[tuple[Key, Any], ...]
"""A :class:`Piece` for each key of statistics, a :class:`Part` for each of whole arrays."""


def copied(value: Array) -> Array:
    """The same numbers as an array of their own: rounding to the precision it has changes nothing (see `exposure`)."""
    if not jnp.issubdtype(value.dtype, jnp.floating):
        return value
    info = jnp.finfo(value.dtype)
    return lax.reduce_precision(value, exponent_bits=info.nexp, mantissa_bits=info.nmant)


_by_xla = jax.jit(stats.measure, static_argnames="lead")
"""Traced once for all arrays of a shape."""


def measure(array: Array, lead: int = 0) -> Array:
    """Statistics of one array, as :func:`engine.stats.measure` makes them."""
    array = array.whole() if isinstance(array, kernel.Sum) else array
    if not (_is_plain(array) and kernel.takes(stats.row_dtype(array.dtype))):
        return _by_xla(array, lead=lead)
    rows = kernel.measure([stats.real(array)], [lead])
    return rows.reshape(*array.shape[:lead], stats.WIDTH)


def together(arrays: list[Array]) -> Array:
    """Statistics of some arrays of one precision, made by as few calls as there can be: ``(arrays, 7)``."""
    flat = {place: Found(array).numbers() for place, array in enumerate(arrays) if _is_plain(array)}
    made = _measured(flat)
    if len(made) == 1 and len(flat) == len(arrays):
        return made[0][1]
    rows = {place: measure(array) for place, array in enumerate(arrays) if place not in flat}
    rows |= {place: table[row] for places, table in made for row, place in enumerate(places)}
    return jnp.stack([rows[place] for place in range(len(arrays))])


def _is_plain(array: Array | kernel.Sum) -> bool:
    parts = array.terms if isinstance(array, kernel.Sum) else [array]
    return bool(array.size) and not any(map(_sharded, parts))


def pack(found: Mapping[Key, Found]) -> tuple[dict[str, Array], Layout]:
    """Statistics, or small arrays, as one vector for each precision; and where in it each array lies."""
    once = {id(one.array): one for one in found.values()}
    flat = {key: one.numbers() for key, one in once.items() if one.row is None and _is_plain(one.array)}
    tables = {
        key: measure(one.array, lead=one.lead) if one.row is None else one.array
        for key, one in once.items()
        if key not in flat
    }
    small = {key: one.table for key, one in flat.items() if not kernel.takes(one.array.dtype) and _is_small(one)}
    parts = [([key], part) for key, part in (small | tables).items()]
    copies = {key for key, one in once.items() if not (one.bare or one.lead or isinstance(one.array, kernel.Sum))}
    parts += _measured({key: one for key, one in flat.items() if key not in small}, copies)
    vectors: dict[str, list[Array]] = defaultdict(list)
    ends: dict[str, int] = defaultdict(int)
    pieces: dict[int, Piece] = {}
    for keys, part in parts:
        vector, width = str(part.dtype), part.shape[-1]
        start = ends[vector]
        ends[vector] += part.size
        for key in keys:
            array, lead = once[key].array, once[key].array.shape[: once[key].lead]
            rows = 1 if once[key].row is None else array.shape[-2]
            pieces[key] = Piece(vector, start, lead, width, key in small, rows)
            start += math.prod(lead) * rows * width
        vectors[vector].append(part.reshape(-1))
    packed = {name: _joined(parts) for name, parts in vectors.items()}
    layout = ((key, pieces[id(one.array)], one.row or 0) for key, one in found.items())
    return packed, tuple((key, dataclasses.replace(piece, row=row)) for key, piece, row in layout)


def _joined(parts: list[Array]) -> Array:
    """Vectors one behind the other, each written where it belongs: in one concatenation XLA would share out among a
    CPU's threads what takes longer to share out than to do. Of many that is not worth what it takes to compile: inside
    a loop XLA simplifies a row of such writes one at a time, and gives up after fifty.
    """
    if not 1 < len(parts) <= WRITTEN or not compat.on_cpu() or any(map(_sharded, parts)):
        return jnp.concatenate(parts)
    starts = np.cumsum([0, *(part.size for part in parts)])
    whole = jnp.zeros(starts[-1], parts[0].dtype)
    for start, part in zip(starts, parts, strict=False):
        whole = lax.dynamic_update_slice(whole, part, (int(start),))
    return whole


def _is_small(one: Found) -> bool:
    """Whether an array leaves as it is: no longer than its statistics, or measured cheaper where it is read."""
    return one.array.size <= SMALL or math.prod(one.array.shape[one.lead :]) <= stats.WIDTH


def _sharded(array: Array) -> bool:
    """Whether an array is spread over a mesh by its type, so that it can't be laid beside others."""
    sharding = getattr(jax.typeof(array), "sharding", None)
    return any(getattr(sharding, "spec", None) or ())


def _measured(flat: Mapping[K, Found], copies: Collection[K] = ()) -> list[tuple[list[K], Array]]:
    """Rows of statistics of arrays, those that are short made together: whose they are, and the rows."""
    taken = {key: one for key, one in flat.items() if kernel.takes(one.array.dtype)}
    tiny = sum(one.array.size for one in taken.values()) <= TINY
    batches = _batches({key: one.array for key, one in taken.items()})
    made = [_by_library({key: taken[key] for key in keys}, copies if tiny else ()) for keys in batches]
    return made + _by_xla_together({key: one.table for key, one in flat.items() if key not in taken})


def _by_xla_together(tables: Mapping[K, Array]) -> list[tuple[list[K], Array]]:
    """Rows of statistics made by XLA, those of short tables of one length together."""
    by_length: dict[Any, list[K]] = defaultdict(list)
    groups = [[key] for key, part in tables.items() if part.size >= LARGE]
    for key, part in tables.items():
        if part.size < LARGE:
            by_length[part.dtype, part.shape[1]].append(key)
    for (_, length), keys in by_length.items():
        size = max(1, TOGETHER // length)
        groups += [keys[start : start + size] for start in range(0, len(keys), size)]
    rows = [measure(jnp.concatenate([tables[key] for key in keys]), lead=1) for keys in groups]
    # Without a barrier the arithmetic of every row is compiled into the concatenation of all.
    return list(zip(groups, lax.optimization_barrier(rows) if rows else (), strict=True))


def _by_library(flat: Mapping[K, Found], copies: Collection[K]) -> tuple[list[K], Array]:
    """Rows of statistics made by one call. The copies are written one behind the other as they are made: XLA hands to a
    second thread what could all be made at once, and in a step of a tenth of a millisecond that costs more than it
    saves. Scalars are first, and of them the last: the gradients with which a way back begins are mostly constants, and
    those that nothing else stands before need no writing.
    """
    apart = [key for key in flat if key in copies]
    scalars = [key for key in reversed(apart) if flat[key].array.size == 1]
    behind = scalars + [key for key in apart if flat[key].array.size > 1]
    others = [key for key in flat if key not in copies]
    whole = [_joined([flat[key].array.reshape(-1) for key in behind])] if behind else []
    leads = [0] * len(whole) + [flat[key].lead for key in others]
    rows = kernel.measure(
        [*whole, *(flat[key].array for key in others)], leads, [flat[key].array.size for key in behind]
    )
    return behind + others, rows


def _batches(flat: Mapping[K, Array]) -> list[list[K]]:
    """Arrays of one precision that are measured by one call, in the step's order."""
    found: list[list[K]] = []
    latest: dict[Any, list[K]] = {}
    room: dict[Any, int] = {}
    for key, array in flat.items():
        if array.size > room.get(array.dtype, 0):
            latest[array.dtype], room[array.dtype] = [], TOGETHER if compat.on_cpu() else TOGETHER_ON_GPU
            found.append(latest[array.dtype])
        latest[array.dtype].append(key)
        room[array.dtype] -= array.size
    return found


def gathered(arrays: Mapping[Key, Array]) -> tuple[dict[Key, Array], dict[str, Array], Layout]:
    """Whole arrays as they leave the step: the large ones, one vector of the small ones for each type, and where in it
    each of these lies. Of several processes that train as one each must be able to read what all of them have, and a
    vector would be divided among them: there every array leaves by itself.
    """
    if jax.process_count() > 1:
        return dict(arrays), {}, ()
    groups: dict[str, list[Key]] = defaultdict(list)
    for key, array in arrays.items():
        if _is_plain(array) and array.size <= SMALL and not jnp.issubdtype(array.dtype, jax.dtypes.extended):
            groups[str(array.dtype)].append(key)
    packed, layout = {}, []
    for vector, keys in groups.items():
        # Without a barrier the arithmetic of every array is compiled into the concatenation of all.
        packed[vector] = jnp.concatenate(lax.optimization_barrier([arrays[key].reshape(-1) for key in keys]))
        starts = np.cumsum([0, *(arrays[key].size for key in keys)])
        layout += [(key, Part(vector, int(at), arrays[key].shape)) for key, at in zip(keys, starts, strict=False)]
    apart = dict(layout)
    return {key: array for key, array in arrays.items() if key not in apart}, packed, tuple(layout)


def unpack(packed: Mapping[str, Array], layout: Layout, xp: ModuleType) -> dict[Key, Array]:
    """Rows of statistics from what left the step, with the axes of ``vmap`` and of outer loops in front.

    What left as it is is measured here, arrays of one length together.
    """
    parts, lengths = {}, defaultdict(list)
    for piece in dict.fromkeys(piece for _, piece in layout):
        vector = packed[piece.vector]
        shape = (*vector.shape[:-1], *piece.lead, piece.rows, piece.width)
        table = vector[..., piece.start : piece.start + math.prod(shape[vector.ndim - 1 :])].reshape(shape)
        part = table[..., piece.row, :]
        parts[piece] = part
        if piece.raw:
            lengths[part.dtype, piece.width].append(piece)
    for pieces in lengths.values():
        shapes = [parts[piece].shape[:-1] for piece in pieces]
        rows = stats.measure(xp.concatenate([parts[p].reshape(-1, p.width) for p in pieces]), xp, lead=1)
        starts = np.cumsum([0, *map(math.prod, shapes)])
        for piece, shape, start in zip(pieces, shapes, starts, strict=False):
            parts[piece] = rows[start : start + math.prod(shape)].reshape(*shape, stats.WIDTH)
    return {key: parts[piece] for key, piece in layout}

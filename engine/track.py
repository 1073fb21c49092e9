"""Rows of numbers by step, in bounded memory: columns that keep the extremes, however long the run.

A :class:`Track` holds rows of numbers, one row a step at first. When there are more than :data:`COLUMNS` columns,
neighbours are joined two and two: a column then covers 2, 4, 8 … steps, counted from step 0, and keeps of each number
the smallest, the largest and the last. So what a column holds doesn't depend on how the steps came in, and no spike is
ever lost. NaN and infinities are counted, and don't hide the finite numbers beside them.

Memory: 16 bytes a number and column in single precision (smallest, largest, last, and how many weren't finite), so
16 kB for each number that is followed, at most; :attr:`Track.nbytes` is what a track takes now.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

Array = Any

COLUMNS = 1000
"""Columns that are kept at most; a long run has from half as many to this."""


@dataclasses.dataclass(frozen=True, eq=False)
class Columns:
    """Runs of steps, each with the smallest, the largest and the last of every number.

    The first axis of each array is the column, the others are those of a row.
    """

    first: Array
    """Number of the first step in the column that was recorded."""
    final: Array
    """Number of the last one; ``last`` is of this step."""
    count: Array
    """How many were recorded."""
    low: Array
    """Smallest finite number; NaN where there is none."""
    high: Array
    last: Array
    """As it was recorded, finite or not."""
    nonfinite: Array
    """How many were NaN or infinite."""

    def __len__(self) -> int:
        return len(self.first)

    def of(self, *index: Any) -> Columns:
        """The same columns of some of the numbers only: an index into a row."""
        chosen = {name: getattr(self, name)[(slice(None), *index)] for name in _PER_NUMBER}
        return dataclasses.replace(self, **chosen)


_PER_STEP = ("first", "final", "count")
_PER_NUMBER = ("low", "high", "last", "nonfinite")
FIELDS = _PER_STEP + _PER_NUMBER


def thinned(columns: Columns, stride: int, most: int) -> Columns:
    """Columns joined two and two until there are no more than ``most``; no extreme is lost.

    Args:
        columns: of a track.
        stride: of that track.
        most: columns wanted at most.
    """
    while len(columns) > most:
        stride *= 2
        columns = _joined(columns, stride)
    return columns


class Track:
    """Rows of numbers by step, kept in at most :data:`COLUMNS` columns."""

    def __init__(self, shape: tuple[int, ...], dtype: Any = np.float32, capacity: int = COLUMNS) -> None:
        self.stride = 1
        """How many steps a column covers."""
        self.capacity = capacity
        self._columns = _columns(np.zeros(0, np.int64), np.zeros((0, *shape), dtype))
        self._buffer = self._columns
        self._length = 0

    @property
    def columns(self) -> Columns:
        """What is kept, oldest first; it stays as it is when more is recorded."""
        return _cut(self._buffer, slice(0, self._length), copy=True)

    @property
    def final(self) -> int:
        """Number of the last step that is recorded; -1 if there is none."""
        return int(self._buffer.final[self._length - 1]) if self._length else -1

    @property
    def nbytes(self) -> int:
        """Bytes that the columns take."""
        return sum(int(getattr(self._buffer, name).nbytes) for name in FIELDS)

    def append(self, steps: Array, rows: Array) -> None:
        """Record some steps.

        Args:
            steps: their numbers, increasing, and larger than any recorded before.
            rows: ``(steps, …)``.
        """
        if not len(steps):
            return
        new = _columns(np.asarray(steps, np.int64), np.asarray(rows))
        while (joined := _joined(new, self.stride)) and self._needed(joined) > self.capacity:
            self.stride *= 2
            self._put(0, _joined(_cut(self._buffer, slice(0, self._length)), self.stride))
        start = self._length - self._continues(joined)
        whole = _joined(_together(_cut(self._buffer, slice(start, self._length)), joined), self.stride)
        self._put(start, whole)

    def truncate(self, step: int) -> int:
        """Forget what was recorded from a step on, and what shares a column with it.

        Returns:
            The step from which on records are missing now.
        """
        held = _cut(self._buffer, slice(0, self._length))
        kept = int(np.searchsorted(held.final, step))  # columns that end before the step
        missing = int(held.first[kept]) if kept < self._length else step
        self._length = kept
        return min(step, missing)

    def load(self, columns: Columns, stride: int) -> None:
        """Take over columns that were kept elsewhere.

        Raises:
            ValueError: they are columns of something else.
        """
        shapes = {getattr(columns, name).shape for name in _PER_NUMBER}
        lengths = {getattr(columns, name).shape for name in _PER_STEP}
        if shapes != {(len(columns), *self._buffer.low.shape[1:])} or lengths != {(len(columns),)}:
            raise ValueError(f"columns of shapes {sorted(shapes)} are no record of this run")
        self.stride = stride
        self._buffer, self._length = columns, len(columns)

    def _needed(self, new: Columns) -> int:
        return self._length + len(new) - self._continues(new)

    def _continues(self, new: Columns) -> int:
        """1 if the first new column is part of the last one that is kept."""
        if not self._length:
            return 0
        return int(self._buffer.final[self._length - 1] // self.stride == new.first[0] // self.stride)

    def _put(self, start: int, columns: Columns) -> None:
        """Replace everything from a column on."""
        end = start + len(columns)
        if end > len(self._buffer):
            spare = min(max(2 * end, 64), max(self.capacity, end)) - len(self._buffer)
            self._buffer = _padded(self._buffer, spare)
        for name in FIELDS:
            getattr(self._buffer, name)[start:end] = getattr(columns, name)
        self._length = end


def _columns(steps: Array, rows: Array) -> Columns:
    """Each step in a column of its own."""
    finite = np.isfinite(rows)
    known = np.where(finite, rows, np.nan).astype(rows.dtype)
    return Columns(steps, steps, np.ones(len(steps), np.int64), known, known, rows, (~finite).astype(np.int32))


def _joined(columns: Columns, stride: int) -> Columns:
    """Neighbours joined that lie within the same ``stride`` steps."""
    keys = columns.first // stride
    starts = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1)) if len(keys) else np.zeros(0, int)
    if len(starts) == len(keys):
        return columns
    ends = np.append(starts[1:], len(keys)) - 1
    return Columns(
        first=columns.first[starts],
        final=columns.final[ends],
        count=np.add.reduceat(columns.count, starts),
        low=np.fmin.reduceat(columns.low, starts),
        high=np.fmax.reduceat(columns.high, starts),
        last=columns.last[ends],
        nonfinite=np.add.reduceat(columns.nonfinite, starts),
    )


def _cut(columns: Columns, part: slice, copy: bool = False) -> Columns:
    cut = {name: getattr(columns, name)[part] for name in FIELDS}
    return Columns(**{name: array.copy() for name, array in cut.items()} if copy else cut)


def _together(before: Columns, after: Columns) -> Columns:
    return Columns(**{name: np.concatenate([getattr(before, name), getattr(after, name)]) for name in FIELDS})


def _padded(columns: Columns, spare: int) -> Columns:
    arrays = {name: getattr(columns, name) for name in FIELDS}
    return Columns(
        **{name: np.concatenate([a, np.zeros((spare, *a.shape[1:]), a.dtype)]) for name, a in arrays.items()}
    )

"""Readings as event files, which TensorBoard opens: scalars of every node, and of full readings histograms.

TensorBoard's own package writes them (``pip install backprop-explorer[tensorboard]``).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import numpy as np

from engine.errors import EngineError
from engine.reading import Reading

Array = Any

STATISTICS = ("rms", "zero_fraction", "nonfinite")
"""What is written of each value and gradient; see :meth:`engine.Reading.stats`."""

_SIZES = 10.0 ** np.linspace(-12, 4, 129)
LIMITS = np.concatenate([-_SIZES[::-1], [0.0], _SIZES, [np.finfo(np.float64).max]])
"""Upper ends of the bins of a histogram: eight for each power of ten, on both sides of zero."""


class EventsError(EngineError):
    """Event files can't be written."""


class Events:
    """Writes event files into a folder, one file for each object of this kind."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Begin a file.

        Args:
            folder: is made if it isn't there; ``tensorboard --logdir`` is given it, or one above it.

        Raises:
            EventsError: TensorBoard isn't installed.
        """
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2  # noqa: PLC0415
            from tensorboard.summary.writer.event_file_writer import EventFileWriter  # noqa: PLC0415
        except ImportError as error:
            raise EventsError("Event files need TensorBoard: pip install 'backprop-explorer[tensorboard]'.") from error
        self._event, self._summary = event_pb2.Event, summary_pb2
        self._writer = EventFileWriter(os.fspath(folder))

    def add(self, step: int, reading: Reading, loss: float | None = None, nodes: Iterable[str] | None = None) -> None:
        """Write what was read of a step.

        Args:
            step: its number.
            reading: full, or of statistics.
            loss: is written as ``loss``, if given.
            nodes: ids or names to write; those that were read unless given.

        Raises:
            UnknownNodeError: a node isn't there, or wasn't read.
        """
        values = [] if loss is None else [self._scalar("loss", loss)]
        for key in _read(reading) if nodes is None else nodes:
            name = reading.graph.node(key).name
            for part, numbers in reading.stats(key).items():
                values += [self._scalar(f"{name}/{part}/{each}", numbers[each]) for each in STATISTICS]
            values += self._histograms(reading, key, name) if reading.plan.how == "full" else []
        event = self._event(wall_time=time.time(), step=int(step), summary=self._summary.Summary(value=values))
        self._writer.add_event(event)

    def close(self) -> None:
        """Have everything on the disk."""
        self._writer.close()

    def __enter__(self) -> Events:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _scalar(self, tag: str, value: float) -> Any:
        return self._summary.Summary.Value(tag=tag, simple_value=float(value))

    def _histograms(self, reading: Reading, key: str, name: str) -> list[Any]:
        found = []
        for part, read in (("value", reading.value), ("grad", reading.grad)):
            try:
                entries = _entries(read(key))
            except EngineError:  # read forward only, or in a branch that wasn't taken
                continue
            if entries.size > 1:
                histogram = self._summary.HistogramProto(**counted(entries))
                found.append(self._summary.Summary.Value(tag=f"{name}/{part}", histo=histogram))
        return found


def _read(reading: Reading) -> list[str]:
    """Nodes that have statistics in a reading."""
    found = []
    for node in reading.graph.nodes:
        try:
            found += [node.id] if reading.stats(node.id) else []
        except EngineError:
            continue
    return found


def _entries(array: Array) -> Array:
    """The finite entries, in a row; of complex numbers the magnitudes."""
    row = np.ma.compressed(np.abs(array) if np.iscomplexobj(array) else array).astype(np.float64)
    return row[np.isfinite(row)]


def counted(entries: Array) -> dict[str, Any]:
    """A histogram of numbers, as TensorBoard keeps one; bins that are empty at both ends are left out."""
    places = np.minimum(np.searchsorted(LIMITS, entries), len(LIMITS) - 1)
    counts = np.bincount(places, minlength=len(LIMITS))
    first, last = places.min(), places.max()
    start = max(first - 1, 0)  # a bin begins where the one before it ends
    with np.errstate(over="ignore"):
        squares = float((entries * entries).sum())
    return {
        "min": float(entries.min()),
        "max": float(entries.max()),
        "num": float(entries.size),
        "sum": float(entries.sum()),
        "sum_squares": squares,
        "bucket_limit": LIMITS[start : last + 1].tolist(),
        "bucket": counts[start : last + 1].astype(float).tolist(),
    }

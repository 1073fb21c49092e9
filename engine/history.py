"""The history of a run: losses, norms of parameters and statistics of nodes, as columns over the steps.

Three tracks, each of at most 1,000 columns (:mod:`engine.track`, which says what a column keeps): the numbers of every
step, the statistics of every watched step, and the losses and accuracies on fixed examples now and then.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engine import stats
from engine.errors import NotExecutedError, UnknownNodeError
from engine.graph import Graph
from engine.loop import Records, Statistics
from engine.track import Columns, Track

Array = Any

PARTS = ("value", "grad")
TESTS = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")


@dataclasses.dataclass(frozen=True, eq=False)
class History:
    """What was recorded of a run."""

    parameters: tuple[str, ...]
    """Names of the parameters' leaves."""
    nodes: tuple[str, ...]
    """Ids of the nodes that are measured."""
    numbers: Track
    """Loss, then ‖w‖, ‖Δw‖, the gradient's norm and ‖Δw‖/‖w‖ of each parameter; every step."""
    measures: Track
    """``(nodes, 2, 7)``: of each node's value and gradient the statistics :data:`engine.stats.ROW`; watched steps."""
    tests: Track
    """The numbers of :data:`TESTS`; now and then."""

    @property
    def tracks(self) -> dict[str, Track]:
        """The tracks by name."""
        return {"numbers": self.numbers, "measures": self.measures, "tests": self.tests}

    @property
    def nbytes(self) -> int:
        """Bytes that are taken."""
        return sum(track.nbytes for track in self.tracks.values())

    # ---- reading --------------------------------------------------------------------------------------------------

    def loss(self) -> Columns:
        """The loss of each step on its own batch, before its update."""
        return self.numbers.columns.of(0)

    def weights(self) -> Columns:
        """‖w‖ of each parameter: ``(columns, parameters)``."""
        return self._norms(0)

    def updates(self) -> Columns:
        """‖Δw‖ of each parameter: ``(columns, parameters)``."""
        return self._norms(1)

    def gradients(self) -> Columns:
        """Norm of each parameter's gradient, before clipping: ``(columns, parameters)``."""
        return self._norms(2)

    def ratios(self) -> Columns:
        """‖Δw‖ / ‖w‖ of each parameter: ``(columns, parameters)``; NaN or infinite where ‖w‖ is zero."""
        return self._norms(3)

    def measured(self, what: str, statistic: str) -> Columns:
        """One statistic of every watched node: ``(columns, nodes)``.

        Args:
            what: ``"value"`` or ``"grad"``.
            statistic: one of :data:`engine.stats.ROW`: ``rms mean std min max zero_fraction nonfinite``.
        """
        return self.measures.columns.of(slice(None), PARTS.index(what), stats.ROW.index(statistic))

    def tested(self, name: str) -> Columns:
        """One of :data:`TESTS`: on examples held out, or on as many of the training set; NaN where there is none."""
        return self.tests.columns.of(TESTS.index(name))

    def _norms(self, which: int) -> Columns:
        count = len(self.parameters)
        return self.numbers.columns.of(slice(1 + which * count, 1 + (which + 1) * count))

    # ---- recording ------------------------------------------------------------------------------------------------

    def record(self, records: Records) -> None:
        """Add steps; those that are there already stay."""
        self.take(records.steps, rows(records))
        if records.reading is not None:
            self.take_measures(records.watched, measured(records.reading, self.nodes, len(records.watched)))

    def take(self, steps: Array, numbers: Array) -> None:
        """Add steps as :func:`rows` tells them."""
        _append(self.numbers, steps, numbers)

    def take_measures(self, steps: Array, found: Array) -> None:
        """Add watched steps as :func:`measured` tells them."""
        _append(self.measures, steps, found)

    def record_test(self, step: int, found: Array) -> None:
        """Add what was measured on fixed examples after some steps."""
        _append(self.tests, np.array([step]), np.asarray(found)[None])

    def truncate(self, step: int) -> int:
        """Forget the steps from this one on, and what was measured on fixed examples after more than ``step`` steps.

        Returns:
            The step from which on something is missing now: columns that reach across the step go as well.
        """
        return min(step, self.numbers.truncate(step), self.measures.truncate(step), self.tests.truncate(step + 1))


def history(parameters: tuple[str, ...], nodes: tuple[str, ...], dtype: Any = np.float32) -> History:
    """An empty history."""
    shapes = ((1 + 4 * len(parameters),), (len(nodes), len(PARTS), stats.WIDTH), (len(TESTS),))
    return History(parameters, nodes, *(Track(shape, dtype) for shape in shapes))


def watched(graph: Graph, nodes: tuple[str, ...] | None) -> tuple[str, ...]:
    """Ids of the nodes that ids, names and scopes mean, in the order of the graph; ``None`` means all.

    Raises:
        UnknownNodeError: there is no such node.
    """
    scopes = {scope.id for scope in graph.scopes}
    chosen: set[str] = set()
    for key in nodes or ():
        inside = key in scopes and key not in graph
        chosen.update([node.id for node in graph.members(key)] if inside else [graph.node(key).id])
    return tuple(node.id for node in graph.nodes if nodes is None or node.id in chosen)


def rows(records: Records) -> Array:
    """The numbers of each step in one row."""
    with np.errstate(all="ignore"):
        ratios = records.updates / records.weights
    return np.concatenate([records.loss[:, None], records.weights, records.updates, records.gradients, ratios], axis=1)


def measured(reading: Statistics, nodes: Sequence[str], steps: int) -> Array:
    """Statistics of some steps: ``(steps, nodes, 2, 7)``; NaN for what a step didn't run, or that has none."""
    found = np.full((steps, len(nodes), len(PARTS), stats.WIDTH), np.nan)
    for place, node in enumerate(nodes):
        for part, numbers in _stats(reading, node).items():
            for column, name in enumerate(stats.ROW):
                found[:, place, PARTS.index(part), column] = numbers[name]
    return found


def _stats(reading: Statistics, node: str) -> Mapping[str, Mapping[str, Any]]:
    try:
        return reading.stats(node)
    except (NotExecutedError, UnknownNodeError):
        return {}


def _append(track: Track, steps: Array, rows: Array) -> None:
    new = steps > track.final
    track.append(steps[new], rows[new])

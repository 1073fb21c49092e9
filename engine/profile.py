"""Gradients by layer and through time: how large they are, which units pass them, how far a step moves the weights."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engine import magnitudes, stats
from engine.errors import EngineError
from engine.factors import Factor, factors, rms
from engine.graph import Graph
from engine.layers import Layer, Segment, layers, structure
from engine.numbers import Numbers
from engine.reading import Reading
from engine.slopes import activations, slope

__all__ = [
    "Factor",
    "Layer",
    "Row",
    "Through",
    "Update",
    "ends",
    "factors",
    "layers",
    "rms",
    "rows",
    "structure",
    "through",
    "told",
    "updates",
]

Array = Any

FLAT = 0.05
"""A unit is saturated where its slope is below this share of the activation's steepest: ``tanh`` beyond ±2.2, the
sigmoid beyond ±4.4. There a step has a twentieth of its effect, and the next one less."""

STEEPEST = {"tanh": 1.0, "logistic": 0.25, "erf": 2 / math.sqrt(math.pi), "atan": 1.0}
"""Activations that flatten out on both sides, with the steepest slope of each. Others, which are flat on one side by
design, are dead or not but never saturated."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One layer in one reading. Shares are of all entries, units of the last axis of the layer's own weight."""

    layer: Layer
    gradient: float
    """Root mean square of the gradient at the layer's output, before normalisation and activation."""
    value: float
    """Root mean square of what the layer hands on: its activation, or its output where it has none."""
    zero_gradient: float
    """Share of entries whose gradient is exactly zero."""
    dead: float | None = None
    """Share of units that are zero, with a slope of zero, for the whole batch; ``None`` if that isn't known."""
    saturated: float | None = None
    """Share of entries where the activation is flat (:data:`FLAT`) though not zero."""


@dataclasses.dataclass(frozen=True)
class Through:
    """The gradient at the state of a recurrent net, by time."""

    loop: str
    """What the scan is called: ``cell × 64``."""
    entries: tuple[str, ...]
    """Ids of the state as one iteration receives it."""
    gradient: tuple[float, ...]
    """Root mean square of the gradient at the state that step ``t`` of the forward pass receives, the first first; the
    largest where there are several states."""

    @property
    def ratio(self) -> float:
        """The gradient at the first step over that at the last."""
        first, last = self.gradient[0], self.gradient[-1]
        return first / last if last else math.nan


@dataclasses.dataclass(frozen=True)
class Update:
    """How far one step moved a parameter."""

    parameter: str
    """Id of the leaf."""
    change: float
    """Euclidean norm of the update."""
    size: float
    """Euclidean norm of the parameter before it."""

    @property
    def ratio(self) -> float:
        """``‖Δw‖/‖w‖``; infinite from zero."""
        if self.size:
            return self.change / self.size
        return math.inf if self.change else 0.0


def updates(graph: Graph, before: Mapping[str, Array], after: Mapping[str, Array]) -> tuple[Update, ...]:
    """How far a step moved each parameter.

    Args:
        graph: the traced function.
        before: parameters before the step, by the id of their leaf.
        after: parameters after it.
    """
    found = []
    for id in before:
        with np.errstate(all="ignore"):
            moved, size = magnitudes.on_host(after[id], before[id]), magnitudes.on_host(before[id])
        found.append(Update(graph.node(id).id, moved, size))
    return tuple(found)


# ---- where one looks -----------------------------------------------------------------------------------------------


def ends(graph: Graph, parameters: tuple[str, ...]) -> tuple[str, ...]:
    """For each layer the node that it hands on: its activation, or its output where it has none."""
    bent = activations(graph, parameters)
    found = structure(graph, parameters).layers
    return tuple(bent[each.output][-1].end if each.output in bent else each.output for each in found)


def told(graph: Graph, parameters: tuple[str, ...], most: int) -> tuple[str, ...]:
    """Ids of the nodes that tell how training goes: of each layer its output and what it hands on.

    Args:
        graph: the traced function.
        parameters: ids of the argument leaves that are trained.
        most: how many nodes; of a very deep net those of the first layers.
    """
    pairs = zip(structure(graph, parameters).layers, ends(graph, parameters), strict=True)
    return tuple(dict.fromkeys(id for layer, end in pairs for id in (layer.output, end)))[:most]


# ---- one row a layer -----------------------------------------------------------------------------------------------


def rows(numbers: Numbers, parameters: tuple[str, ...]) -> tuple[Row, ...]:
    """The gradient profile: every layer that the loss depends on, in program order.

    Args:
        numbers: a reading, full or of statistics; of statistics the dead and saturated shares aren't known.
        parameters: ids of the argument leaves that are trained.
    """
    graph, full = numbers.graph, numbers.reading.plan.how == "full"
    found, bent = [], activations(graph, parameters)
    for layer in structure(graph, parameters).layers:
        parts = bent.get(layer.output, ())
        end = parts[-1].end if parts else layer.output
        try:
            sizes = (_measured if full else _recorded)(numbers, layer.output, end)
        except (EngineError, KeyError):
            continue  # in a branch that wasn't taken, or not watched
        dead, saturated = _shares(numbers, layer, parts) if full and parts else (None, None)
        found.append(Row(layer, *sizes, dead, saturated))
    return tuple(found)


def _measured(numbers: Numbers, output: str, end: str) -> tuple[float, float, float]:
    """Size of the gradient, size of the value, share of zero gradients; from a full reading."""
    gradient = numbers.grad(output)
    return rms(gradient), rms(numbers.value(end)), float(np.mean(gradient == 0))


def _recorded(numbers: Numbers, output: str, end: str) -> tuple[float, float, float]:
    """The same from statistics."""
    gradient, value = numbers.reading.stats(output)["grad"], numbers.reading.stats(end)["value"]
    return gradient["rms"], value["rms"], gradient["zero_fraction"]


def _shares(numbers: Numbers, layer: Layer, parts: Sequence[Segment]) -> tuple[float, float]:
    """Shares of dead units and of saturated entries."""
    slopes, values = slope(numbers, parts[0].start, parts[0].inner), numbers.value(parts[0].end)
    if slopes is None or not slopes.size:
        return 0.0, 0.0
    flat = np.abs(slopes) < FLAT * steepest(numbers.graph, parts[0])
    off = (slopes == 0) & (values == 0)
    rest = tuple(axis for axis in range(-slopes.ndim, 0) if axis not in layer.axes)
    return float(np.mean(off.all(axis=rest))), float(np.mean(flat & ~off))


def steepest(graph: Graph, part: Segment) -> float:
    """The steepest slope of an activation that flattens out on both sides; 0 for others."""
    return STEEPEST.get(graph.node(part.inner[0]).op, 0.0) if len(part.inner) == 1 else 0.0


# ---- through time --------------------------------------------------------------------------------------------------


def through(reading: Reading) -> tuple[Through, ...]:
    """The gradient at the states of every scan, by time; empty without one. Works on statistics as well."""
    graph = reading.graph
    states: dict[str, list[str]] = {}
    for node in graph.nodes:
        if node.kind == "carry" and node.id in reading.plan.graded and len(node.iterations) == 1:
            states.setdefault(node.scope, []).append(node.id)
    return tuple(_through(reading, scope, entries) for scope, entries in states.items())


def _through(reading: Reading, scope: str, entries: Sequence[str]) -> Through:
    series = np.max([_by_time(reading, entry) for entry in entries], axis=0)
    if reading.graph.reverse(entries[0]):
        series = series[::-1]
    return Through(reading.graph.scope(scope).label, tuple(entries), tuple(map(float, series)))


def _by_time(reading: Reading, entry: str) -> Array:
    return np.asarray(reading.rows(entry, "grad"))[..., stats.ROW.index("rms")]

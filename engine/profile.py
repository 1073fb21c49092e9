"""Gradients by layer: how large they are, and which factors made them so on the way from one layer to the one before.

Between two layers a gradient passes the upper layer's weights, what is added to the stream beside them, a
normalisation, an activation. Each of these multiplies its root mean square, and as every gradient on the way was
recorded, each factor is a ratio of two measured numbers, so that their product is the whole ratio. Only the slope of
the activation is measured apart from the gradients, from the values that went forward: what a reader can check by hand.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from engine import stats
from engine.errors import EngineError
from engine.graph import Graph
from engine.layers import Flow, Layer, Link, Segment, Structure, layers, structure
from engine.numbers import Numbers
from engine.reading import Reading
from engine.slopes import is_activation, shape_of, slope

__all__ = [
    "Factor",
    "Layer",
    "Row",
    "Through",
    "Update",
    "factors",
    "layers",
    "rows",
    "structure",
    "through",
    "updates",
]

Array = Any

FLAT = 0.05
"""A unit is saturated where its slope is below this share of the activation's steepest: ``tanh`` beyond ±2.2, the
sigmoid beyond ±4.4. There a step has a twentieth of its effect, and the next one less."""

STEEPEST = {"tanh": 1.0, "logistic": 0.25, "erf": 2 / math.sqrt(math.pi), "atan": 1.0}
"""Activations that flatten out on both sides, with the steepest slope of each. Others, which are flat on one side by
design, are dead or not but never saturated."""

TOLERANCE = 0.1
"""How far the product of the factors may be from the measured ratio before their correlation is stated."""


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
class Factor:
    """What multiplies the gradient's root mean square on its way from a layer's output to that of the one before."""

    layer: str
    """The layer it arrives at."""
    above: str
    """The layer it comes from."""
    activation: str
    """What the activation between them is called; empty where there is none."""
    activation_slope: float
    """Root mean square of its slope, from the forward values; 1 without an activation."""
    weight_gain: float
    """What the upper layer sends back to its input, over the gradient at its output."""
    norm: float = 1.0
    """What the normalisation makes of it."""
    residual: float = 1.0
    """The whole gradient where ways part, over what comes along this one: what skips the upper layer adds to it."""
    time: float = 1.0
    """What leaving or entering a loop makes of it: the gradient inside is that of all its iterations."""
    other: float = 1.0
    """Anything else on the way: dropout, pooling, scaling, products with other data."""
    alignment: float = 1.0
    """How much better than by chance large gradients meet steep slopes; stated where it makes more than 10 %."""
    measured: float = 1.0
    """The ratio itself."""

    @property
    def product(self) -> float:
        """The factors multiplied; ``measured``, to within 10 %."""
        return math.prod(
            (self.activation_slope, self.weight_gain, self.norm, self.residual, self.time, self.other, self.alignment)
        )


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


def rms(array: Array) -> float:
    """Root mean square over all entries that are there, in double precision; NaN of nothing."""
    kept = np.ma.compressed(array) if isinstance(array, np.ma.MaskedArray) else np.asarray(array)
    if not kept.size:
        return math.nan
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.mean(np.square(np.abs(kept).astype(np.float64)))))


def updates(graph: Graph, before: Mapping[str, Array], after: Mapping[str, Array]) -> tuple[Update, ...]:
    """How far a step moved each parameter.

    Args:
        graph: the traced function.
        before: parameters before the step, by the id of their leaf.
        after: parameters after it.
    """
    found = []
    for id in before:
        old, new = np.asarray(before[id], np.float64), np.asarray(after[id], np.float64)
        with np.errstate(all="ignore"):
            found.append(Update(graph.node(id).id, float(np.linalg.norm(new - old)), float(np.linalg.norm(old))))
    return tuple(found)


# ---- one row a layer -----------------------------------------------------------------------------------------------


def rows(numbers: Numbers, parameters: tuple[str, ...]) -> tuple[Row, ...]:
    """The gradient profile: every layer that the loss depends on, in program order.

    Args:
        numbers: a reading, full or of statistics; of statistics the dead and saturated shares aren't known.
        parameters: ids of the argument leaves that are trained.
    """
    graph, full = numbers.graph, numbers.reading.plan.how == "full"
    found = []
    for layer in structure(graph, parameters).layers:
        parts = activations(graph, parameters).get(layer.output, ())
        end = parts[-1].end if parts else layer.output
        try:
            gradient = numbers.reading.stats(layer.output)["grad"]
            value = numbers.reading.stats(end)["value"]["rms"]
        except (EngineError, KeyError):
            continue  # in a branch that wasn't taken, or not watched
        dead, saturated = _shares(numbers, layer, parts) if full and parts else (None, None)
        found.append(Row(layer, gradient["rms"], value, gradient["zero_fraction"], dead, saturated))
    return tuple(found)


@lru_cache(maxsize=16)
def activations(graph: Graph, parameters: tuple[str, ...]) -> dict[str, tuple[Segment, ...]]:
    """For the output of each layer that has one, the activation behind it: usually one part of the graph."""
    flow, found = _flow(graph, parameters), {}
    made = structure(graph, parameters)
    for link in (*made.recurrent, *made.links):
        bent = tuple(s for s in _parts(flow, link) if not s.carry and is_activation(flow, s.start, s.inner))
        if bent:
            found[link.lower.output] = bent
    return found


def _parts(flow: Flow, link: Link) -> tuple[Segment, ...]:
    """The segments of a link, those together that are one activation: ``clip`` is a maximum, then a minimum."""
    parts: list[Segment] = []
    for segment in link.segments[:-1]:
        alone = not segment.carry and shape_of(flow, segment.start, segment.inner) == "straight"
        runs = () if alone or segment.carry else reversed(range(len(parts)))
        start = next((index for index in runs if _one(flow, parts[index:], segment)), len(parts))
        run = [*parts[start:], segment]
        inner = tuple(id for part in run for id in part.inner)
        parts[start:] = [Segment(run[0].start, segment.end, inner, segment.carry)]
    return (*parts, link.segments[-1])


def _one(flow: Flow, run: Sequence[Segment], last: Segment) -> bool:
    """Whether a segment and those before it are one function of an entry, seen by nobody half-way."""
    first = run[0]
    if any(part.carry for part in run) or not is_activation(flow, first.start, first.inner):
        return False
    inner = tuple(id for part in (*run, last) for id in part.inner)
    equations = {flow.graph.node(id).equation for id in inner}
    seen = all(equations.issuperset(flow.graph.consumers(id)) for id in inner[:-1] if id != last.end)
    return seen and is_activation(flow, first.start, inner)


@lru_cache(maxsize=16)
def _flow(graph: Graph, parameters: tuple[str, ...]) -> Flow:
    return Flow(graph, parameters)


def _shares(numbers: Numbers, layer: Layer, parts: Sequence[Segment]) -> tuple[float, float]:
    """Shares of dead units and of saturated entries."""
    slopes, values = _slope(numbers, parts[0]), numbers.value(parts[0].end)
    if slopes is None or not slopes.size:
        return 0.0, 0.0
    flat = np.abs(slopes) < FLAT * steepest(numbers.graph, parts[0])
    off = (slopes == 0) & (values == 0)
    rest = tuple(axis for axis in range(-slopes.ndim, 0) if axis not in layer.axes)
    return float(np.mean(off.all(axis=rest))), float(np.mean(flat & ~off))


def steepest(graph: Graph, part: Segment) -> float:
    """The steepest slope of an activation that flattens out on both sides; 0 for others."""
    return STEEPEST.get(graph.node(part.inner[0]).op, 0.0) if len(part.inner) == 1 else 0.0


def activation_name(graph: Graph, part: Segment) -> str:
    """What a reader calls an activation: the library function that it is, or its operation."""
    node = graph.node(part.end)
    if node.scope and graph.scope(node.scope).kind == "library" and len(part.inner) > 1:
        return graph.scope(node.scope).name.rstrip("0123456789").rstrip("_")
    return {"logistic": "sigmoid", "sin": "sine"}.get(node.op, node.label if node.kind == "custom" else node.op)


# ---- factors -------------------------------------------------------------------------------------------------------


def factors(numbers: Numbers, parameters: tuple[str, ...], links: Iterable[Link] | None = None) -> tuple[Factor, ...]:
    """The factors of each ratio between the gradients of two consecutive layers, the last layer first.

    Args:
        numbers: a full reading, with contributions.
        parameters: ids of the argument leaves that are trained.
        links: which ways between layers; those along the trunk unless given.

    Returns:
        One for each way whose ends have gradients that are finite and not zero.
    """
    made = structure(numbers.graph, parameters)
    chosen = trunk_links(made) if links is None else tuple(links)
    with np.errstate(all="ignore"):  # a gradient of zero has no ratio, and is left out
        found = [_factor(_Way(numbers, _flow(numbers.graph, parameters), link)) for link in reversed(chosen)]
    return tuple(factor for factor in found if factor is not None)


def trunk_links(made: Structure) -> tuple[Link, ...]:
    """The ways between consecutive layers of the trunk, the first first."""
    by_upper = {link.upper: link for link in made.links}
    return tuple(by_upper[layer] for layer in made.trunk[1:])


@dataclasses.dataclass(frozen=True, eq=False)
class _Way:
    """One link in one reading. Sizes are one number; through time one for each passage from a step to the next."""

    numbers: Numbers
    flow: Flow
    link: Link

    def size(self, array: Array, later: bool) -> Array:
        """Root mean square of the part of an array that takes part in the passages."""
        if not self.link.recurrent:
            return np.array([rms(array)])
        output = self.link.lower.output
        axis = len(self.numbers.graph.node(output).iterations) - 1
        by_time = np.moveaxis(array, axis, 0)
        later ^= self.numbers.graph.reverse(output)
        return np.array([rms(part) for part in (by_time[1:] if later else by_time[:-1])])

    def grad(self, id: str, later: bool) -> Array:
        """Size of a whole gradient."""
        return self.size(self.numbers.grad(id), later)

    def sent(self, segment: Segment, later: bool) -> Array:
        """Size of what comes back to the start of a segment along it."""
        graph = self.numbers.graph
        equations = {graph.node(id).equation for id in segment.inner} | set(segment.inner)
        parts = [part for consumer, part in self.numbers.contributions(segment.start).items() if consumer in equations]
        return self.size(sum(parts[1:], parts[0]), later) if parts else np.array([math.nan])


_FACTORS = ("activation_slope", "weight_gain", "norm", "residual", "time", "other")


def _factor(way: _Way) -> Factor | None:
    link, graph = way.link, way.numbers.graph
    one = np.ones(1)
    found: dict[str, Array] = {**dict.fromkeys(_FACTORS, one), "alignment": one, "measured": one}
    names = []
    parts = _parts(way.flow, link)
    normed = any(_is_norm(graph, segment) for segment in parts)
    try:
        for index, segment in enumerate(parts):
            later = any(part.carry for part in parts[:index])
            whole, sent, passed = _passage(way, segment, later)
            kind = _kind(way.flow, segment, normed, index == len(parts) - 1)
            steepness = _steepness(way, segment, later) if kind == "activation_slope" else None
            own = {"residual": whole / sent, "measured": whole / passed, kind: sent / passed}
            if steepness is not None:
                own |= {kind: steepness, "alignment": sent / passed / steepness}
            found = {key: value * own.get(key, one) for key, value in found.items()}
            names += [activation_name(graph, segment)] if kind == "activation_slope" else []
    except EngineError:
        return None  # part of the way wasn't executed, or has no gradient to read
    means = _means(found)
    if means is None:
        return None
    if abs(1 / means["alignment"] - 1) <= TOLERANCE:
        means["alignment"] = 1.0
    return Factor(link.lower.name, link.upper.name, " · ".join(names), **means)


def _means(found: Mapping[str, Array]) -> dict[str, float] | None:
    """Geometric means over the passages in which everything is a positive number; ``None`` without one."""
    table = np.array(np.broadcast_arrays(*found.values()))
    table = table[:, (np.isfinite(table) & (table > 0)).all(axis=0)]
    if not table.size:
        return None
    return dict(zip(found, map(float, np.exp(np.log(table).mean(axis=1))), strict=True))


def _passage(way: _Way, segment: Segment, later: bool) -> tuple[Array, Array, Array]:
    """Sizes of the whole gradient at the start of a segment, of what comes along it, and of that at its end."""
    whole = way.grad(segment.start, later)
    if segment.carry:
        sent = way.grad(segment.end, True)
        return whole, sent, sent
    return whole, way.sent(segment, later), way.grad(segment.end, later)


def _kind(flow: Flow, segment: Segment, normed: bool, last: bool) -> str:
    if last:
        return "weight_gain"
    if flow.graph.node(segment.start).places != flow.graph.node(segment.end).places:
        return "time"
    if _is_norm(flow.graph, segment):
        return "norm"
    if is_activation(flow, segment.start, segment.inner):
        return "activation_slope"
    return "norm" if normed and _is_scale(flow, segment) else "other"


def _is_norm(graph: Graph, segment: Segment) -> bool:
    """A normalisation divides by a root of something that is summed up."""
    found = {graph.node(id).op for id in segment.inner}
    return not found.isdisjoint({"rsqrt", "sqrt"}) and "reduce_sum" in found


def _is_scale(flow: Flow, segment: Segment) -> bool:
    """A product with, or sum of, a parameter: the scale and shift after a normalisation."""
    (id, *more) = segment.inner
    node = flow.graph.node(id)
    others = [source for source in flow.before(id) if source != segment.start]
    return not more and node.op in ("mul", "add") and bool(others) and all(each in flow.parametric for each in others)


def _slope(numbers: Numbers, part: Segment) -> Array | None:
    return slope(numbers, part.start, part.inner)


def _steepness(way: _Way, segment: Segment, later: bool) -> Array | None:
    slopes = _slope(way.numbers, segment)
    return None if slopes is None else way.size(slopes, later)


# ---- through time --------------------------------------------------------------------------------------------------


def through(reading: Reading) -> tuple[Through, ...]:
    """The gradient at the states of every scan, by time; empty without one. Works on statistics as well."""
    graph = reading.graph
    states: dict[str, list[str]] = {}
    for node in graph.nodes:
        if node.kind == "carry" and node.id in reading.grads and len(node.iterations) == 1:
            states.setdefault(node.scope, []).append(node.id)
    return tuple(_through(reading, scope, entries) for scope, entries in states.items())


def _through(reading: Reading, scope: str, entries: Sequence[str]) -> Through:
    series = np.max([_by_time(reading, entry) for entry in entries], axis=0)
    if reading.graph.reverse(entries[0]):
        series = series[::-1]
    return Through(reading.graph.scope(scope).label, tuple(entries), tuple(map(float, series)))


def _by_time(reading: Reading, entry: str) -> Array:
    array = np.asarray(reading.grads[entry])
    if reading.plan.how == "stats":
        return array[..., stats.ROW.index("rms")]
    return np.array([rms(part) for part in array])

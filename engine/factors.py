"""Why a gradient has another size at one layer than at the next: the factors on its way back.

Between two layers a gradient passes the upper layer's weights, what is added to the stream beside them, a
normalisation, an activation. Each of these multiplies its root mean square, and as every gradient on the way was
recorded, each factor is a ratio of two measured numbers, so that their product is the whole ratio. Only the slope of
the activation is measured apart from the gradients, from the values that went forward: what a reader can check by hand.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from engine.errors import EngineError
from engine.graph import Graph
from engine.layers import Flow, Link, Segment, Structure, structure
from engine.magnitudes import on_host
from engine.numbers import Numbers
from engine.slopes import activation_name, flow_of, is_activation, parts_of, slope

Array = Any

TOLERANCE = 0.1
"""How far the product of the factors may be from the measured ratio before their correlation is stated."""


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


def rms(array: Array) -> float:
    """Root mean square over all entries that are there, in double precision; NaN of nothing."""
    kept = np.ma.compressed(array) if isinstance(array, np.ma.MaskedArray) else np.asarray(array)
    if not kept.size:
        return math.nan
    with np.errstate(all="ignore"):
        return on_host(np.abs(kept)) / math.sqrt(kept.size)


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
        found = [_factor(_Way(numbers, flow_of(numbers.graph, parameters), link)) for link in reversed(chosen)]
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
    parts = parts_of(way.flow, link)
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


def _steepness(way: _Way, segment: Segment, later: bool) -> Array | None:
    slopes = slope(way.numbers, segment.start, segment.inner)
    return None if slopes is None else way.size(slopes, later)

"""The slope of an activation at each entry, from the forward values alone.

An activation is a part of the graph that treats every entry alike, in one or several operations (``tanh``; ``gelu``,
which is eight). Its slope follows from the recorded values by forward mode: a tangent of 1 is sent through the
operations, each by its partial derivatives. No gradient is looked at, so that what the backward pass did can be
compared with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from engine.graph import Graph, Literal, Node
from engine.layers import Flow, Link, Segment, structure
from engine.numbers import Numbers

Array = Any
Partial = Callable[[Node, Sequence[Array], Array], Sequence[Array]]
"""Partial derivatives by each operand, from the operation, the operands' values and the result."""


def _one(slope: Callable[[Array, Array], Array]) -> Partial:
    """Of a function of one operand, from operand and result."""
    return lambda node, values, y: (slope(values[0], y),)


def _passes(node: Node, values: Sequence[Array], y: Array) -> Sequence[Array]:
    return (1.0,) * len(values)


def _chosen(better: Callable[[Array, Array], Array]) -> Partial:
    def partial(node: Node, values: Sequence[Array], y: Array) -> Sequence[Array]:
        a, b = values
        mine = np.where(a == b, 0.5, better(a, b))
        return mine, 1 - mine

    return partial


def _pow(node: Node, values: Sequence[Array], y: Array) -> Sequence[Array]:
    a, b = values
    return b * np.power(a, b - 1), np.where(y == 0, 0.0, y * np.log(np.where(a > 0, a, 1.0)))


def _select(node: Node, values: Sequence[Array], y: Array) -> Sequence[Array]:
    which = np.asarray(values[0])
    return (0.0, *((which == index) * 1.0 for index in range(len(values) - 1)))


def _clamp(node: Node, values: Sequence[Array], y: Array) -> Sequence[Array]:
    low, a, high = values
    return 0.0, (low < a) & (a < high), 0.0


def _integer_pow(node: Node, values: Sequence[Array], y: Array) -> Sequence[Array]:
    n = node.param("y")
    return (n * np.power(values[0], float(n - 1)),)


def _erf_slope(a: Array) -> Array:
    return 2 / math.sqrt(math.pi) * np.exp(-a * a)


_CURVED: dict[str, Partial] = {
    "tanh": _one(lambda a, y: 1 - y * y),
    "logistic": _one(lambda a, y: y * (1 - y)),
    "exp": _one(lambda a, y: y),
    "exp2": _one(lambda a, y: y * math.log(2)),
    "expm1": _one(lambda a, y: y + 1),
    "log": _one(lambda a, y: 1 / a),
    "log1p": _one(lambda a, y: 1 / (1 + a)),
    "sin": _one(lambda a, y: np.cos(a)),
    "cos": _one(lambda a, y: -np.sin(a)),
    "sinh": _one(lambda a, y: np.cosh(a)),
    "cosh": _one(lambda a, y: np.sinh(a)),
    "asinh": _one(lambda a, y: 1 / np.sqrt(a * a + 1)),
    "atan": _one(lambda a, y: 1 / (a * a + 1)),
    "erf": _one(lambda a, y: _erf_slope(a)),
    "erfc": _one(lambda a, y: -_erf_slope(a)),
    "square": _one(lambda a, y: 2 * a),
    "sqrt": _one(lambda a, y: 0.5 / y),
    "rsqrt": _one(lambda a, y: -0.5 * y**3),
    "abs": _one(lambda a, y: np.sign(a)),
    "integer_pow": _integer_pow,
    "pow": _pow,
    "max": _chosen(lambda a, b: a > b),
    "min": _chosen(lambda a, b: a < b),
    "select_n": _select,
    "clamp": _clamp,
}
"""Operations that bend: one of them makes an activation."""

_STRAIGHT: dict[str, Partial] = {
    **dict.fromkeys(("add", "add_any", "convert_element_type", "copy", "copy_p", "name", "reduce_precision"), _passes),
    "sub": lambda node, values, y: (1.0, -1.0),
    "neg": _one(lambda a, y: -1.0),
    "mul": lambda node, values, y: (values[1], values[0]),
    "div": lambda node, values, y: (1 / values[1], -y / values[1]),
    "stop_gradient": _one(lambda a, y: 0.0),
}

_PARTIALS = _CURVED | _STRAIGHT


def is_activation(flow: Flow, start: str, inner: Iterable[str]) -> bool:
    """Whether a part of the graph is a function of each entry of ``start``, and a bent one."""
    return shape_of(flow, start, inner) == "bent"


def shape_of(flow: Flow, start: str, inner: Iterable[str]) -> str:
    """``bent`` or ``straight`` for a function of each entry of ``start`` apart, empty for anything else.

    Other operands may be numbers, parameters (a slope that is learned) and choices made from ``start`` itself.
    """
    graph, inside = flow.graph, {start}
    bent = False
    shape = graph.node(start).shape
    for id in inner:
        node = graph.node(id)
        known = node.op in _PARTIALS or node.kind == "custom"
        if not known or node.shape != shape or not all(_harmless(flow, inside, source) for source in node.inputs):
            return ""
        both = len([source for source in node.inputs if source in inside]) > 1
        bent |= node.op in _CURVED or node.kind == "custom" or (both and node.op in ("mul", "div"))
        inside.add(id)
    return "bent" if bent else "straight"


def _harmless(flow: Flow, inside: set[str], source: str) -> bool:
    """Whether an operand is part of the activation, a parameter, a number, or made of these."""
    if source in inside or source in flow.parametric:
        return True
    node = flow.graph.node(source)
    sources = flow.before(source)
    if not sources:
        return node.op not in ("input", "constant") or math.prod(node.shape) == 1
    elementwise = node.op in ("eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "is_finite", "broadcast_in_dim")
    return (elementwise or node.op in _PARTIALS) and all(_harmless(flow, inside, each) for each in sources)


def slope(numbers: Numbers, start: str, inner: Sequence[str]) -> Array | None:
    """The slope of an activation at each entry.

    Args:
        numbers: a full reading.
        start: id of the node it is applied to.
        inner: ids of its operations, in program order (see :func:`is_activation`).

    Returns:
        An array like the value of ``start``, in double precision; ``None`` where a rule of the user's own says what
        goes back, which no forward value tells.
    """
    tangents: dict[str, Array] = {start: np.ones(np.shape(numbers.value(start)))}
    with np.errstate(all="ignore"):
        for id in inner:
            node = numbers.graph.node(id)
            if node.kind == "custom" and not _through(numbers, node, tangents):
                return None
            if node.kind != "custom":
                tangents[id] = _tangent(numbers, node, tangents)
    return np.broadcast_to(tangents[inner[-1]], np.shape(numbers.value(start)))


def _through(numbers: Numbers, node: Node, tangents: dict[str, Array]) -> bool:
    """Follow a function of JAX's own with a derivative rule; its body says the same but where it is bent."""
    if node.label == "relu":
        tangents[node.id] = tangents[node.inputs[0]] * (numbers.value(node.inputs[0]) > 0)
        return True
    body = _body(numbers.graph, node)
    if node.param("origin") != "library" or not all(each.op in _PARTIALS or not _moves(each) for each in body):
        return False
    last = node.inputs[0]
    for each in body:
        if each.op in _PARTIALS and _moves(each):
            tangents[each.id] = _tangent(numbers, each, tangents)
            last = each.id
    tangents[node.id] = tangents[last]
    return True


def _body(graph: Graph, node: Node) -> list[Node]:
    return [each for each in graph.nodes if each.id.startswith(f"{node.id}/")]


def _moves(node: Node) -> bool:
    """Whether a node is computed from floating numbers to floating numbers."""
    return node.dtype.startswith(("float", "bfloat")) and bool(node.inputs)


def _tangent(numbers: Numbers, node: Node, tangents: dict[str, Array]) -> Array:
    values = [_operand(numbers, source, node) for source in node.operands]
    partials = _PARTIALS[node.op](node, values, np.asarray(numbers.value(node.id), np.float64))
    total: Array = 0.0
    for source, partial in zip(node.operands, partials, strict=False):
        if isinstance(source, str) and source in tangents:
            total = total + np.asarray(partial, np.float64) * tangents[source]
    return total


def _operand(numbers: Numbers, source: str | Literal, node: Node) -> Array:
    """An operand's value, in double precision; one number repeated is as good as the number."""
    if isinstance(source, Literal):
        return source.value
    value = np.asarray(numbers.value(source))
    return value if value.dtype == bool else value.astype(np.float64)


# ---- along a link ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def flow_of(graph: Graph, parameters: tuple[str, ...]) -> Flow:
    """What is computed from what in a graph."""
    return Flow(graph, parameters)


@lru_cache(maxsize=16)
def activations(graph: Graph, parameters: tuple[str, ...]) -> dict[str, tuple[Segment, ...]]:
    """For the output of each layer that has one, the activation behind it: usually one part of the graph."""
    flow, found = flow_of(graph, parameters), {}
    made = structure(graph, parameters)
    for link in (*made.recurrent, *made.links):
        bent = tuple(s for s in parts_of(flow, link) if not s.carry and is_activation(flow, s.start, s.inner))
        if bent:
            found[link.lower.output] = bent
    return found


def parts_of(flow: Flow, link: Link) -> tuple[Segment, ...]:
    """The segments of a link, those together that are one activation: ``clip`` is a maximum, then a minimum."""
    parts: list[Segment] = []
    for segment in link.segments[:-1]:
        alone = not segment.carry and shape_of(flow, segment.start, segment.inner) == "straight"
        runs = () if alone or segment.carry else reversed(range(len(parts)))
        start = next((index for index in runs if _are_one(flow, parts[index:], segment)), len(parts))
        run = [*parts[start:], segment]
        inner = tuple(id for part in run for id in part.inner)
        parts[start:] = [Segment(run[0].start, segment.end, inner, segment.carry)]
    return (*parts, link.segments[-1])


def _are_one(flow: Flow, run: Sequence[Segment], last: Segment) -> bool:
    """Whether a segment and those before it are one function of an entry, seen by nobody half-way."""
    first = run[0]
    if any(part.carry for part in run) or not is_activation(flow, first.start, first.inner):
        return False
    inner = tuple(id for part in (*run, last) for id in part.inner)
    equations = {flow.graph.node(id).equation for id in inner}
    seen = all(equations.issuperset(flow.graph.consumers(id)) for id in inner[:-1] if id != last.end)
    return seen and is_activation(flow, first.start, inner)


def activation_name(graph: Graph, part: Segment) -> str:
    """What a reader calls an activation: the library function that it is, or its operation."""
    node = graph.node(part.end)
    if node.scope and graph.scope(node.scope).kind == "library" and len(part.inner) > 1:
        return graph.scope(node.scope).name.rstrip("0123456789").rstrip("_")
    return {"logistic": "sigmoid", "sin": "sine"}.get(node.op, node.label if node.kind == "custom" else node.op)

"""Which arrays leave the step as a copy, and which as they are, so that watching changes no bit of training.

XLA contracts a product into the sum that follows it, and rounds once instead of twice. A product that is also an output
is computed apart, and the sum after it comes out different in the last bit. A copy leaves what XLA does alone; but each
copy is computed anew from the last array that is in memory, so hundreds in a row take minutes to compile. So all are
copies, but now and then in a long row one leaves as it is: where a product can't meet a sum.

What XLA keeps in memory in any case needs no copy: what a matrix product or a loop returns, and what one of them reads
(its operand can't be computed inside it). One reader more changes nothing that XLA decides. Nor does a sum over an axis
need one, going forward, and coming back where it is the gradient of an argument: what follows takes in a number that is
rounded already. And what XLA never computes twice, as an exponential, is in memory as soon as a copy reads it: then the
copy can be left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from engine.flow import ways_back
from engine.graph import Graph, Node

ROW = 16
"""How many copies are computed from one array in memory before one leaves as it is, where that is harmless."""

LONGEST = 128
"""How many before one leaves as it is in any case: without it a chain of a thousand sums would never be compiled."""

_FACTORS = frozenset(
    {"mul", "div", "tanh", "logistic", "exp", "log", "sin", "cos", "sqrt", "rsqrt", "integer_pow", "square", "pow"}
)
"""Operations that add nothing to their operand."""

_SCALED = _FACTORS - {"tanh"}
"""Those whose derivative multiplies what comes back before anything else; that of tanh is (g + g·t)(1 − t)."""

_TERMS = frozenset({"add", "sub"})

_REDUCTIONS = frozenset({"reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_window_sum"})

_IN_MEMORY = frozenset({"dot_general", "conv_general_dilated", "scan", "while", "cond"})
"""Operations whose results are arrays of their own."""

_COMPUTED_ONCE = frozenset(
    {"exp", "log", "tanh", "logistic", "sqrt", "rsqrt", "cbrt", "erf", "expm1", "log1p", "atan2"}
)
"""Operations that XLA never computes twice: with one reader more, be it a copy, their result is an array of its own."""

_AS_THEY_ARE = ("float32", "float64")
"""Precisions that they are computed in as they are: halves are widened first, and complex numbers taken apart."""

_WIDENING = _TERMS | {"mul", "div", "broadcast_in_dim"}
"""Operations that an operand may be repeated for: what comes back to it is a sum."""

_HALVES = frozenset({"float16", "bfloat16"})
"""Computed in a wider type, whose extra digits must not be cut off half-way."""


_SAME = frozenset({"name", "copy", "copy_p"})
"""Operations that XLA doesn't see: the array after one is the array before it."""


def held_values(graph: Graph) -> frozenset[str]:
    """Nodes whose value is an array of its own in any case, so that reading it there changes nothing."""
    ends = {edge.source for edge in graph.edges if edge.kind == "carry"}
    found = {node.id for node in graph.nodes if node.kind in _GIVEN or _is_made(graph, node)} | ends
    for node in reversed(graph.nodes):
        if any(_reads(graph, graph.node(id), node.id, found) for id in graph.consumers(node.id) if id in graph):
            found.add(node.id)
    found |= {node.id for node in graph.nodes if node.op in _SAME and not found.isdisjoint(node.inputs)}
    return frozenset(id for id in found if graph.node(id).kind in _GIVEN or graph.node(id).dtype not in _HALVES)


_GIVEN = ("input", "constant", "carry", "shared")


def _is_made(graph: Graph, node: Node) -> bool:
    """Whether an operation returns an array of its own. A sum over axes of length 1 is only another shape to XLA."""
    if node.op in _REDUCTIONS:
        return any(math.prod(graph.node(id).shape) > math.prod(node.shape) for id in node.inputs)
    return node.op in _IN_MEMORY


def _reads(graph: Graph, node: Node, source: str, found: set[str]) -> bool:
    """Whether an operation reads this operand from memory."""
    if node.op in _SAME:
        return node.id in found
    if node.op == "conv_general_dilated":
        return node.inputs[0] == source and _straight(graph, node)
    return node.kind in ("carry", "shared") or (node.op == "dot_general" and _straight(graph, node))


def _straight(graph: Graph, node: Node) -> bool:
    """Whether a product reads its operands as they lie. Others are turned round first, in a loop that may take in
    whatever comes before it; and one along an axis of length 1 is no product of matrices to XLA.
    """
    if any(1 in shape for shape in (node.shape, *(graph.node(id).shape for id in node.inputs))):
        return False
    numbers = node.param("dimension_numbers")
    if node.op == "dot_general":
        (left, right), (left_batch, right_batch) = numbers
        return not (left_batch or right_batch) and len(left) == len(right) == 1
    lhs = tuple(dict(numbers)["lhs_spec"])
    return lhs == (0, len(lhs) - 1, *range(1, len(lhs) - 1))


def held_gradients(graph: Graph, active: frozenset[str], sending: frozenset[str]) -> frozenset[str]:
    """Nodes whose gradient is an array of its own in any case: on the way back a product or a loop returns it, or
    reads it.

    Args:
        graph: the traced function.
        active: nodes that depend on what is differentiated; gradients of no others are computed unwatched, and leave as
            they are only where a product returns them.
        sending: equations that something comes back from (:func:`engine.flow.senders`).
    """
    ends = {edge.source for edge in graph.edges if edge.kind == "carry" and len(graph.consumers(edge.source)) == 1}
    read = {node.id for node in graph.nodes if node.id in active and _is_read(graph, node, active)} | (ends & active)
    for node in graph.nodes:
        if any(_hands_on(graph, id, node, sending) for id in node.inputs if id in read):
            read.add(node.id)
    found = read | {node.id for node in graph.nodes if _is_returned(graph, node, active)}
    for node in reversed(graph.nodes):
        after = graph.consumers(node.id)
        if len(after) == 1 and after[0] in found and graph.node(after[0]).op in _SAME:
            found.add(node.id)
    return frozenset(id for id in found if graph.node(id).dtype not in _HALVES)


def _is_read(graph: Graph, node: Node, active: frozenset[str]) -> bool:
    """Whether the way back through what made a node begins with a product or a loop; or with the iteration before."""
    if node.op == "conv_general_dilated":
        return node.inputs[0] in active and _straight(graph, node)
    return node.kind == "carry" or node.op in ("scan", "cond") or (node.op == "dot_general" and _straight(graph, node))


def _is_returned(graph: Graph, node: Node, active: frozenset[str]) -> bool:
    """Whether all that comes back to a node is what one operation returns as an array of its own."""
    consumers = graph.consumers(node.id)
    if len(consumers) != 1 or consumers[0] not in graph:
        return False
    after = graph.node(consumers[0])
    if after.inputs.count(node.id) == 1 and after.op in ("dot_general", "conv_general_dilated"):
        return _straight(graph, after)
    if node.id in active and (_is_scattered(graph, after, node) or _is_divided(graph, after, node)):
        return True
    summed = after.op in _WIDENING and math.prod(after.shape) > math.prod(node.shape) and _is_argument(graph, node)
    return node.id in active and (summed or after.kind in ("carry", "slice", "shared"))


def _is_scattered(graph: Graph, after: Node, node: Node) -> bool:
    """Whether an operation picks more than one place of a node: what comes back is added up at these, in a loop."""
    if after.op != "gather" or after.inputs[0] != node.id or len(after.inputs) != 2:
        return False
    return math.prod(graph.node(after.inputs[1]).shape[:-1]) > 1


def _is_divided(graph: Graph, after: Node, node: Node) -> bool:
    """Whether what comes back to a node is divided by a sum, which XLA does once: a logarithm's derivative."""
    while node.op in _SAME | {"broadcast_in_dim", "reshape"} and node.inputs:
        before = graph.node(node.inputs[0])
        if math.prod(before.shape) != math.prod(node.shape):
            return False
        node = before
    return after.op == "log" and _is_made(graph, node)


def _is_argument(graph: Graph, node: Node) -> bool:
    """Whether a node is an argument, in another shape perhaps: what comes back to it leaves the step anyway, or the
    iteration.
    """
    while node.op in _SAME | {"broadcast_in_dim", "reshape"} and node.inputs:
        before = graph.node(node.inputs[0])
        if math.prod(before.shape) != math.prod(node.shape) or len(graph.consumers(before.id)) != 1:
            return False
        node = before
    return node.kind == "shared" or (node.kind == "input" and not node.places)


def _hands_on(graph: Graph, id: str, node: Node, sending: frozenset[str]) -> bool:
    """Whether a node's gradient comes from another as it is, and nothing else comes to it."""
    before = graph.node(id)
    as_it_is = node.op in _SAME | {"add"} or (node.op == "sub" and node.operands[0] == id)
    alike = as_it_is and node.inputs.count(id) == 1 and (before.shape, before.dtype) == (node.shape, node.dtype)
    return alike and ways_back(graph, id, sending) == [node.id]


def bare_values(graph: Graph, held: frozenset[str]) -> frozenset[str]:
    """Nodes whose value leaves the step without a copy, those that are held among them."""
    multiplied = _multiplied(graph)
    once = {node.id for node in graph.nodes if node.op in _COMPUTED_ONCE and node.dtype in _AS_THEY_ARE}

    def harmless(node: Node) -> bool:
        return node.op in _FACTORS | _TERMS and node.id in multiplied

    return _every_so_often(graph.nodes, graph.sources, harmless, held | once)


def bare_gradients(graph: Graph, active: frozenset[str], sending: frozenset[str]) -> frozenset[str]:
    """Nodes whose gradient leaves the step without a copy."""
    multiplied, held = _multiplied(graph), held_gradients(graph, active, sending)
    nexts: dict[str, list[str]] = {node.id: [] for node in graph.nodes}
    for node in graph.nodes:
        for source in graph.sources(node.id):
            nexts[source].append(node.id)

    def harmless(node: Node) -> bool:
        spread = any(graph.node(id).shape != node.shape for id in graph.sources(node.id))  # comes back as a sum
        return node.op in _SCALED and not spread and node.id in multiplied

    return _every_so_often(reversed(graph.nodes), nexts.__getitem__, harmless, held)


def _multiplied(graph: Graph) -> frozenset[str]:
    """Nodes that go into nothing but factors."""
    ops = {node.equation: node.op for node in graph.nodes if node.equation}
    return frozenset(node.id for node in graph.nodes if _FACTORS.issuperset(map(ops.get, graph.consumers(node.id))))


def _every_so_often(
    nodes: Iterable[Node],
    before: Callable[[str], Iterable[str]],
    harmless: Callable[[Node], bool],
    held: frozenset[str],
) -> frozenset[str]:
    rows: dict[str, int] = {}
    bare = set(held)
    for node in nodes:
        in_memory = node.op in _IN_MEMORY or node.id in held
        row = 0 if in_memory else 1 + max((rows.get(id, 0) for id in before(node.id)), default=-1)
        if row >= LONGEST or (row >= ROW and node.dtype not in _HALVES and harmless(node)):
            bare.add(node.id)
            row = 0
        rows[node.id] = row
    return frozenset(bare)

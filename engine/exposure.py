"""Which arrays leave the step as a copy, and which as they are, so that watching changes no bit of training.

XLA contracts a product into the sum that follows it, and rounds once instead of twice. A product that is also an output
is computed apart, and the sum after it comes out different in the last bit. A copy leaves what XLA does alone; but each
copy is computed anew from the last array that is in memory, so hundreds in a row take minutes to compile. So all are
copies, but now and then in a long row one leaves as it is: where a product can't meet a sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

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

_IN_MEMORY = frozenset({"dot_general", "conv_general_dilated", "scan", "while", "cond"})
"""Operations whose results are arrays of their own."""

_HALVES = frozenset({"float16", "bfloat16"})
"""Computed in a wider type, whose extra digits must not be cut off half-way."""


def in_memory(node: Node) -> bool:
    """Whether a node's value is an array of its own in any case, so that reading it there changes nothing."""
    return node.kind in ("input", "constant") or node.op in _IN_MEMORY


def bare_values(graph: Graph) -> frozenset[str]:
    """Nodes whose value leaves the step without a copy."""
    multiplied = _multiplied(graph)

    def harmless(node: Node) -> bool:
        return node.op in _FACTORS | _TERMS and node.id in multiplied

    return _every_so_often(graph.nodes, graph.sources, harmless)


def bare_gradients(graph: Graph) -> frozenset[str]:
    """Nodes whose gradient leaves the step without a copy."""
    multiplied = _multiplied(graph)
    nexts: dict[str, list[str]] = {node.id: [] for node in graph.nodes}
    for node in graph.nodes:
        for source in graph.sources(node.id):
            nexts[source].append(node.id)

    def harmless(node: Node) -> bool:
        spread = any(graph.node(id).shape != node.shape for id in graph.sources(node.id))  # comes back as a sum
        return node.op in _SCALED and not spread and node.id in multiplied

    return _every_so_often(reversed(graph.nodes), nexts.__getitem__, harmless)


def _multiplied(graph: Graph) -> frozenset[str]:
    """Nodes that go into nothing but factors."""
    ops = {node.equation: node.op for node in graph.nodes if node.equation}
    return frozenset(node.id for node in graph.nodes if _FACTORS.issuperset(map(ops.get, graph.consumers(node.id))))


def _every_so_often(
    nodes: Iterable[Node], before: Callable[[str], Iterable[str]], harmless: Callable[[Node], bool]
) -> frozenset[str]:
    rows: dict[str, int] = {}
    bare = set()
    for node in nodes:
        row = 0 if node.op in _IN_MEMORY else 1 + max((rows.get(id, 0) for id in before(node.id)), default=-1)
        if row >= LONGEST or (row >= ROW and node.dtype not in _HALVES and harmless(node)):
            bare.add(node.id)
            row = 0
        rows[node.id] = row
    return frozenset(bare)

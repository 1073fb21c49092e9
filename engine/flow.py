"""Where derivatives go: which nodes a gradient could come back from, and which it comes back to."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from engine import ops
from engine.graph import Graph, Node


def has_gradient(node: Node) -> bool:
    """Whether a cotangent of the node exists: real and complex floats, not integers, booleans, keys or references."""
    return node.kind != "reference" and node.dtype.startswith(("float", "bfloat", "complex"))


def downstream(graph: Graph, starts: Iterable[str]) -> frozenset[str]:
    """Nodes that a gradient could come back from: those reached from ``starts`` through derivatives."""
    reached = set(starts)
    before = -1
    while before < len(reached):  # the carry of a scan leads back to nodes already passed
        before = len(reached)
        for node in graph.nodes:
            if passes(node) and not reached.isdisjoint(_sources(graph, node)):
                reached.add(node.id)
    return frozenset(reached)


def upstream(graph: Graph, ends: Iterable[str]) -> frozenset[str]:
    """Nodes from which ``ends`` are reached through derivatives; the ends themselves too."""
    reached = set(ends)
    before = -1
    while before < len(reached):
        before = len(reached)
        for node in reversed(graph.nodes):
            if node.id in reached and passes(node):
                reached.update(source for source in _sources(graph, node) if has_gradient(graph.node(source)))
    return frozenset(reached)


def _sources(graph: Graph, node: Node) -> tuple[str, ...]:
    """What a node is made of. A scan over nothing returns the carry that it began with."""
    carry = graph.carried(node.id) if node.kind == "loop" else None
    never = carry is not None and graph.node(carry).iterations[-1] == 0
    return (*graph.sources(node.id), carry) if carry and never else graph.sources(node.id)


def passes(node: Node) -> bool:
    """Whether a gradient that arrives at the node can go on to its operands."""
    return has_gradient(node) and not ops.cuts(node.op)


def blocked(graph: Graph, cut: Collection[str]) -> frozenset[str]:
    """Nodes whose gradient would have to come back through one of the equations ``cut``, so that it isn't known."""
    if not cut:
        return frozenset()
    loss = upstream(graph, graph.outputs[:1])
    heard = [node for node in graph.nodes if node.equation in cut and node.id in loss]
    return upstream(graph, {source for node in heard for source in node.inputs if has_gradient(graph.node(source))})


def senders(graph: Graph, live: Iterable[str]) -> frozenset[str]:
    """What sends on what comes back to it, by the ids that consumers have: of equations, and of what leaves a loop or a
    branch.

    Args:
        graph: the traced function.
        live: what something comes back to from the loss (:func:`upstream`).
    """
    sending = [node for node in map(graph.node, live) if passes(node)]
    return frozenset(node.equation for node in sending).union(node.id for node in sending)


def ways_back(graph: Graph, id: str, sending: Collection[str]) -> list[str]:
    """The consumers of a node from which something comes back to it, and where it leaves the program."""
    return [consumer for consumer in graph.consumers(id) if consumer in sending or consumer not in graph]

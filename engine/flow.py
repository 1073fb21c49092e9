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
            if passes(node) and not reached.isdisjoint(graph.sources(node.id)):
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
                reached.update(source for source in graph.sources(node.id) if has_gradient(graph.node(source)))
    return frozenset(reached)


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
    """Equations that send on what comes back to them; by their ids, as consumers are.

    Args:
        graph: the traced function.
        live: what something comes back to from the loss (:func:`upstream`).
    """
    return frozenset(node.equation for node in map(graph.node, live) if passes(node))


def ways_back(graph: Graph, id: str, sending: Collection[str]) -> list[str]:
    """The consumers of a node from which something comes back to it, and where it leaves the program."""
    return [consumer for consumer in graph.consumers(id) if consumer in sending or consumer not in graph]

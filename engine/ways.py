"""The ways from a value to the loss, along which its gradient comes back: what lies on them, and how many there are."""

from __future__ import annotations

import dataclasses
from functools import cached_property

from engine.flow import downstream, upstream
from engine.graph import Graph


@dataclasses.dataclass(frozen=True)
class Ways:
    """Everything between a node and the loss through which a gradient passes."""

    graph: Graph
    start: str
    nodes: frozenset[str]
    """Ids of what lies on a way, both ends too; empty where no gradient comes back."""

    @cached_property
    def _equations(self) -> frozenset[str]:
        return self.nodes | {self.graph.node(id).equation for id in self.nodes}

    def takes(self, source: str, consumer: str) -> bool:
        """Whether a way leads along a use: from a node to an equation, or to what an inner program receives."""
        return source in self.nodes and consumer in self._equations

    @property
    def operations(self) -> int:
        """How many operations the gradient comes back through."""
        inner = self.nodes - {self.start}
        return sum(self.graph.node(id).op not in ("input", "constant") for id in inner)

    @property
    def paths(self) -> int:
        """How many ways there are, if a loop is gone through once."""
        found = dict.fromkeys([self.start], 1 if self.nodes else 0)
        for node in self.graph.nodes:
            if node.id in self.nodes and node.id != self.start:
                # the carry of a scan leads back to what comes later in the program: that is another iteration
                found[node.id] = sum(found.get(source, 0) for source in self.graph.sources(node.id))
        return sum(found.get(id, 0) for id in self.graph.outputs[:1])


def ways(graph: Graph, key: str) -> Ways:
    """The ways from a node to the loss.

    Args:
        graph: a traced loss.
        key: id or name of the node.

    Raises:
        UnknownNodeError: there is no such node.
    """
    start = graph.node(key).id
    heard = upstream(graph, graph.outputs[:1])
    found = downstream(graph, [start]) & heard if start in heard else frozenset[str]()
    return Ways(graph, start, found)

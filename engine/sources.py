"""For each node the one whose array, or whose statistics, are its own too, so that nothing is measured twice."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property, partial
from types import ModuleType
from typing import Any

from engine import stats
from engine.flow import senders, upstream, ways_back
from engine.graph import Graph, Literal, Node

Array = Any
Key = tuple[str, str]
"""``("value", id)`` or ``("grad", id)``; whole arrays leave a step as ``("use", key)`` too."""

SAME = frozenset({"reshape", "transpose", "squeeze", "expand_dims", "rev", "copy", "copy_p", "name"})
"""Operations that say the same numbers again, each once."""


_UNBOUNDED = {"max": Literal(-math.inf), "min": Literal(math.inf)}
"""What leaves every number as it is: `jnp.max` says so of the maximum of nothing."""


def recorded(graph: Graph, node: Node) -> str:
    """The node whose array holds this node's values: what a loop passes in unchanged is recorded once, outside."""
    while node.kind in ("shared", "slice"):
        if not node.inputs:
            return ""
        node = graph.node(node.inputs[0])
    return node.id


_IN_ORDER = SAME - {"transpose", "rev"} | {"broadcast_in_dim"}
"""Operations that say the same numbers in the same order, where they say each once."""


def _in_order(node: Node) -> bool:
    """Whether an operation says the numbers of its operand in the order that they have there."""
    return node.op in _IN_ORDER and not (node.op == "reshape" and node.param("dimensions"))


def written(graph: Graph, node: Node, allowed: Collection[str], given: Collection[str] = ()) -> str:
    """The node whose array has this node's values, one after the other: what it says again, if that is recorded too."""
    node = graph.node(recorded(graph, node) or node.id)
    while _in_order(node) and node.id not in given and node.inputs and node.inputs[0] in allowed:
        source = graph.node(node.inputs[0])
        if not _as_many(source, node) or source.kind in ("shared", "slice"):
            break
        node = source
    return node.id


def passed(
    graph: Graph, node: Node, allowed: Collection[str], sending: Collection[str], given: Collection[str] = ()
) -> str:
    """The same of gradients: the last node that what comes to this one has come through as it is, where nothing else
    comes to it; or the parts that the iterations of a loop have of it.
    """
    while len(ways := ways_back(graph, node.id, sending)) == 1 and ways[0] in allowed and ways[0] not in given:
        after = graph.node(ways[0])
        shared_out = after.kind == "slice" and after.places[:-1] == node.places
        if not (shared_out or _hands_back(after, node)):
            break
        node = after
    return node.id


def _hands_back(after: Node, node: Node) -> bool:
    """Whether an operation hands what comes to it back to this operand as it is."""
    term = after.op == "add" or (after.op == "sub" and after.operands[0] == node.id)
    fits = _in_order(after) or (term and after.shape == node.shape)
    return fits and _as_many(node, after) and after.inputs.count(node.id) == 1


def _as_many(first: Node, second: Node) -> bool:
    """Whether two nodes have as many numbers, of one precision and made equally often."""
    sizes = {math.prod(node.shape) for node in (first, second)}
    return len(sizes) == 1 and (first.dtype, first.places) == (second.dtype, second.places)


def said_again(
    graph: Graph, again: Iterable[tuple[Key, str]], what: str, arrays: Mapping[str, Array]
) -> dict[str, Array]:
    """The arrays of what has another node's numbers, each in its own shape, behind the axes of ``vmap`` and loops."""
    found = {}
    for (kind, id), source in again:
        if kind == what and source in arrays:
            array, node, of = arrays[source], graph.node(id), graph.node(source)
            lead = array.shape[: array.ndim - len(of.iterations) - len(of.shape)]
            shape = *lead, *node.iterations, *node.shape
            found[id] = array if array.shape == shape else array.reshape(shape)
    return found


def measured(graph: Graph, node: Node, given: Collection[str] = ()) -> str:
    """The node whose statistics are this node's too: what it repeats, if it does nothing else, and isn't ``given``
    other numbers.
    """
    node = graph.node(recorded(graph, node) or node.id)
    returned = graph.returned(node.id)
    node = node if returned is None or returned in given else graph.node(returned)
    while _repeats(node) and node.id not in given and node.inputs and 0 not in node.shape:
        source = graph.node(node.inputs[0])
        if (source.dtype, source.places) != (node.dtype, node.places):
            break
        node = graph.node(recorded(graph, source) or source.id)
    return recorded(graph, node)


def _repeats(node: Node) -> bool:
    """Whether an operation says the numbers of its operand again, and no others."""
    unbounded = _UNBOUNDED.get(node.op) in node.operands
    return unbounded or node.op in SAME | {"broadcast_in_dim", "stop_gradient"}


def arrived(
    graph: Graph, node: Node, allowed: Collection[str], sending: Collection[str], given: Collection[str] = ()
) -> str:
    """The node whose gradient has the same entries, in another order perhaps, or fewer times each: the last on a way
    without forks, and before one that is ``given`` other numbers, past which nothing comes back. What doesn't send
    anything (:func:`engine.flow.senders`) makes no fork.
    """
    found = node
    while len(ways := ways_back(graph, node.id, sending)) == 1 and ways[0] in graph:
        after = graph.node(ways[0])
        alike = (after.dtype, after.places) == (node.dtype, node.places) and after.inputs.count(node.id) == 1
        added = after.op == "add" or (after.op == "sub" and after.operands[0] == node.id)
        unmixed = added and after.shape == node.shape
        widened = after.op == "broadcast_in_dim" and math.prod(after.shape) == math.prod(node.shape)
        repeated = after.op == "reduce_sum" and 0 not in node.shape
        handed_on = after.op in SAME or unmixed or widened or repeated
        if not (alike and handed_on) or after.id in given:
            break
        node = after
        found = node if node.id in allowed else found
    return found.id


@dataclasses.dataclass(frozen=True)
class Handed:
    """A node of a loop that has in each iteration what another has in the one before, or after."""

    first: str
    """The node outside whose statistics stand at the end of the row that the other one doesn't reach."""
    rest: str
    """The other one."""
    ahead: bool
    """Whether ``first`` stands in front."""

    @property
    def of(self) -> tuple[str, ...]:
        """Whose rows it follows from."""
        return self.first, self.rest

    def rows(self, found: Sequence[Array], xp: ModuleType) -> Array:
        """What there is for each iteration, ``(..., iterations, n)``, from what there is of the two."""
        first, rest = found
        ends = first[..., None, :]
        if self.ahead:
            return xp.concatenate([ends, rest], axis=-2)[..., :-1, :]
        return xp.concatenate([rest, ends], axis=-2)[..., 1:, :]


@dataclasses.dataclass(frozen=True)
class Whole:
    """A node outside a loop that has in all what another has in the iterations."""

    parts: str
    """The other one."""

    @property
    def of(self) -> tuple[str, ...]:
        """Whose rows it follows from."""
        return (self.parts,)

    def rows(self, found: Sequence[Array], xp: ModuleType) -> Array:
        """What there is of the whole, ``(..., n)``, from what there is of its parts, ``(..., iterations, n)``."""
        (parts,) = found
        return stats.combine(parts, xp=xp)


@dataclasses.dataclass(frozen=True, eq=False)
class Handing:
    """What the iterations of a graph's loops hand on to each other: going forward the state that one receives is what
    the one before made; coming back, what arrives at a state that nothing else uses is what the next one sends. And
    what arrives at an array that they share out among them is what arrives at their parts of it.
    """

    graph: Graph
    allowed: frozenset[str]
    """Nodes that a gradient comes back to."""
    sending: frozenset[str]
    """Equations that send one on."""
    given: frozenset[str] = frozenset()
    """Nodes that other numbers stand in for: they are handed nothing, and send nothing back."""

    @cached_property
    def _carries(self) -> dict[str, list[str]]:
        """For each node that ends an iteration the carries that it becomes."""
        found: dict[str, list[str]] = {}
        for edge in self.graph.edges:
            if edge.kind == "carry":
                found.setdefault(edge.source, []).append(edge.target)
        return found

    @cached_property
    def _ends(self) -> dict[str, str]:
        return {carry: end for end, carries in self._carries.items() for carry in carries}

    @cached_property
    def _outs(self) -> dict[str | None, str]:
        """For each carry the output of the loop that it ends as."""
        return {self.graph.carried(node.id): node.id for node in self.graph.nodes if node.kind == "loop"}

    def value(self, id: str) -> Handed | None:
        """Where a carry's values are measured in any case."""
        carry = self.graph.node(id)
        if id not in self._ends or id in self._carries or not carry.inputs or id in self.given:
            return None
        sources = map(self.graph.node, (carry.inputs[0], self._ends[id]))
        first, rest = (measured(self.graph, source, self.given) for source in sources)
        if rest in self._ends:  # from the same loop again
            return None
        return self._handed(carry, first, rest, not self.graph.reverse(id))

    def gradient(self, id: str) -> Handed | Whole | None:
        """The same of the gradient of what an iteration ends with, or of what the iterations share out."""
        return self._sent(id) or self._shared_out(id)

    def _shared_out(self, id: str) -> Whole | None:
        ways = ways_back(self.graph, id, self.sending)
        if len(ways) != 1 or ways[0] not in self.allowed or ways[0] in self.given:
            return None
        part = self.graph.node(ways[0])
        if part.kind != "slice":
            return None
        parts = self.graph.node(arrived(self.graph, part, self.allowed, self.sending, self.given))
        fits = math.prod(parts.shape) == math.prod(part.shape) and parts.dtype == part.dtype
        return Whole(parts.id) if fits and parts.places == part.places else None

    def _sent(self, id: str) -> Handed | None:
        carries = self._carries.get(id, [])
        if id in self._ends or len(carries) != 1 or len(self.graph.consumers(id)) != 1:
            return None
        (carry,), out = carries, self._outs.get(carries[0])
        if out is None or not self.allowed.issuperset({carry, out}) or not self.given.isdisjoint({carry, out}):
            return None
        sources = map(self.graph.node, (out, carry))
        first, rest = (arrived(self.graph, source, self.allowed, self.sending, self.given) for source in sources)
        if rest in self._carries:  # from the same loop again
            return None
        return self._handed(self.graph.node(id), first, rest, self.graph.reverse(carry))

    def _handed(self, node: Node, first: str, rest: str, ahead: bool) -> Handed | None:
        if not first or not rest:
            return None
        before, other = self.graph.node(first), self.graph.node(rest)
        sizes = {math.prod(each.shape) for each in (node, before, other)}
        fits = len(sizes) == 1 and node.dtype == before.dtype == other.dtype
        stands = other.places == node.places and before.places == node.places[:-1]
        return Handed(first, rest, ahead) if fits and stands else None


@dataclasses.dataclass(frozen=True, eq=False)
class Sources:
    """For each node the one whose statistics are its own; looked up once for all steps of a compiled program."""

    graph: Graph
    kept: frozenset[Key]
    """What was measured."""
    handed: Mapping[Key, Handed | Whole]
    given: frozenset[str] = frozenset()
    """Nodes that other numbers stood in for."""
    _found: dict[tuple[str, str], str] = dataclasses.field(default_factory=dict, init=False, repr=False)
    _entries: dict[str, int] = dataclasses.field(default_factory=dict, init=False, repr=False)

    @cached_property
    def _arrivals(self) -> frozenset[str]:
        return frozenset(id for what, id in (*self.kept, *self.handed) if what == "grad")

    @cached_property
    def _sending(self) -> frozenset[str]:
        return senders(self.graph, upstream(self.graph, self.graph.outputs[:1]))

    def of(self, what: str, node: Node) -> str:
        """Its id, for the node's ``"value"`` or its ``"grad"``."""
        key = what, node.id
        if key not in self._found:
            walk = measured if what == "value" else partial(arrived, allowed=self._arrivals, sending=self._sending)
            self._found[key] = walk(self.graph, node, given=self.given)
        return self._found[key]

    def entries(self, node: Node) -> int:
        """How many numbers a node has, over all iterations."""
        if node.id not in self._entries:
            self._entries[node.id] = math.prod((*node.iterations, *node.shape))
        return self._entries[node.id]

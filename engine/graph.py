"""The compute graph as data: frozen, hashable, and free of JAX.

A :class:`Node` is one array of the program (an argument leaf, a constant, or an output of one equation). An
:class:`Edge` is one value used by one consumer. A :class:`Scope` is a fold: a function call, a module, a jitted
function, a loop body, a branch. Ids come from the position in the program, so two traces of the same function agree.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from engine.errors import UnknownNodeError
from engine.text import table

OUTPUT = "%output"
"""The consumer of the loss: what it sends back is the seed of the backward pass, 1."""


@dataclasses.dataclass(frozen=True, slots=True)
class Literal:
    """A number written into the program, such as the 2 of ``2 * x``."""

    value: bool | int | float | complex | str

    def __str__(self) -> str:
        return f"{self.value:g}" if isinstance(self.value, float) else str(self.value)


Source = str | Literal
"""Where an operand comes from: a node's id, or a number in the program."""


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """One level of control flow around a node.

    ``kind`` is ``"scan"`` (``size`` = iterations), ``"branch"`` (``size`` = index of the branch), ``"while"`` or
    ``"custom"`` (the body of a custom rule, looked at forward only). ``owner`` is the id of the equation.
    """

    kind: str
    owner: str
    size: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """One array of the program."""

    id: str
    """Position in the program: ``%7``, inside the body of ``%7``: ``%7/2``; further outputs: ``%7.1``."""
    name: str
    """Unique and readable: ``params.layers.0.w``, ``dense_1/tanh``."""
    op: str
    """The primitive's name, or ``"input"`` or ``"constant"``."""
    kind: str
    """``input constant op custom loop carry slice shared branch while``: how it came about, see :data:`KINDS`."""
    shape: tuple[int, ...]
    """Shape of one execution; inside a scan a reading has the iterations in front of it."""
    dtype: str
    scope: str = ""
    """Id of the scope it lies in; the empty string is the function itself."""
    source: str = ""
    """``file:line`` of the user's code that made it; empty if unknown."""
    operands: tuple[Source, ...] = ()
    params: tuple[tuple[str, Any], ...] = ()
    """The primitive's parameters, as plain values."""
    label: str = ""
    """What to call the operation: the function's name for a call, else the primitive's."""
    places: tuple[Place, ...] = ()
    """The control flow around it, outermost first."""
    note: str = ""
    """Why it reads forward only; empty if its gradient can be read."""

    def __repr__(self) -> str:
        return f"Node({self.id} {self.name}: {self.op}, {shape_text(self)})"

    @property
    def inputs(self) -> tuple[str, ...]:
        """Ids of the nodes it is computed from, in operand order (twice if used twice)."""
        return tuple(operand for operand in self.operands if isinstance(operand, str))

    @property
    def equation(self) -> str:
        """Id of the equation that made it: the node's own, without the number of the output."""
        head, dot, _ = self.id.rpartition(".")
        return head if dot else self.id

    @property
    def iterations(self) -> tuple[int, ...]:
        """Lengths of the scans around it, outermost first: the leading axes of what is read."""
        return tuple(place.size for place in self.places if place.kind == "scan")

    def param(self, name: str, default: Any = None) -> Any:
        """One parameter of the primitive."""
        return dict(self.params).get(name, default)


KINDS = {
    "input": "an argument of the function",
    "constant": "an array the function closes over",
    "op": "one primitive operation",
    "custom": "a function with a derivative rule of its own, run whole",
    "loop": "what a scan returns",
    "carry": "the carry as one iteration of a scan receives it",
    "slice": "the element of a scanned array that one iteration receives",
    "shared": "a value that every iteration of a scan shares",
    "branch": "what a cond returns: the value of the branch taken",
    "while": "a value of a while_loop, forward only",
    "reference": "a mutable reference",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Edge:
    """A value used by a consumer.

    ``target`` is the id of the consuming equation (its first output); what leaves a loop or a branch goes to the
    output that it becomes, and the loss to :data:`OUTPUT`.
    """

    source: str
    target: str
    kind: str = "use"
    """``use``: a gradient comes back along it. ``look``: inside a body that reads forward only, so the target is no
    consumer. ``carry``: from the end of one iteration of a scan to the start of the next."""


@dataclasses.dataclass(frozen=True, slots=True)
class Scope:
    """A fold that a reader can open: a call of a function, a module, a loop body, a branch."""

    id: str
    """Path of names from the root, unique: ``block_1/dense``."""
    name: str
    label: str
    """What a reader sees: ``dense · layers.0``, ``cell × 64``."""
    kind: str
    """``function module named jit remat custom scan branch while library``."""
    parent: str = ""
    note: str = ""
    """Why its inside reads forward only; empty if it reads both ways."""


@dataclasses.dataclass(frozen=True)
class Graph:
    """A traced function: nodes in topological order, edges, scopes, and which nodes are its ends."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    scopes: tuple[Scope, ...]
    inputs: tuple[str, ...]
    """Ids of the argument leaves, in flattening order."""
    outputs: tuple[str, ...]
    """Ids of what the function returns, in flattening order; of a loss the first."""
    name: str = "function"

    @cached_property
    def _by_id(self) -> dict[str, Node]:
        return {node.id: node for node in self.nodes}

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def _consumers(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {node.id: [] for node in self.nodes}
        for edge in self.edges:
            if edge.kind == "use":
                found[edge.source].append(edge.target)
        return {key: tuple(targets) for key, targets in found.items()}

    @cached_property
    def _sources(self) -> dict[str, tuple[str, ...]]:
        found = {node.id: dict.fromkeys(node.inputs) for node in self.nodes}
        for edge in self.edges:
            if edge.target in found:
                found[edge.target][edge.source] = None
        return {key: tuple(sources) for key, sources in found.items()}

    @cached_property
    def _returned(self) -> dict[str, str]:
        places = {node.id: node.places for node in self.nodes}
        looks = [(edge, places[edge.source][-1]) for edge in self.edges if edge.kind == "look" and places[edge.source]]
        return {e.source: e.target for e, within in looks if (within.kind, within.owner) == ("custom", e.target)}

    @cached_property
    def _carries(self) -> dict[str, list[str]]:
        """For each scan its carries, in order."""
        found: dict[str, list[str]] = {}
        for node in self.nodes:
            if node.kind == "carry":
                found.setdefault(node.places[-1].owner, []).append(node.id)
        return found

    @cached_property
    def _scopes(self) -> dict[str, Scope]:
        return {scope.id: scope for scope in self.scopes}

    def __contains__(self, key: object) -> bool:
        return key in self._by_id or key in self._by_name

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.name, self.outputs, tuple((node.id, node.name, node.shape) for node in self.nodes)))

    def __repr__(self) -> str:
        return f"Graph({self.name}: {len(self.nodes)} nodes, {len(self.edges)} edges, {len(self.scopes)} scopes)"

    def _repr_html_(self) -> str:
        """Every node as a row, for a notebook."""
        title = f"{self.name}: {len(self.nodes)} nodes, {len(self.edges)} edges, {len(self.scopes)} scopes"
        reads = (", ".join(map(str, node.operands)) for node in self.nodes)
        rows = [
            [node.id, node.name, node.op, shape_text(node), own] for node, own in zip(self.nodes, reads, strict=True)
        ]
        return table(title, ("id", "name", "operation", "shape", "computed from"), rows)

    def node(self, key: str) -> Node:
        """The node with this id or name.

        Raises:
            UnknownNodeError: nothing is called so; the message offers the closest names.
        """
        found = self._by_id.get(key) or self._by_name.get(key)
        if found is None:
            raise UnknownNodeError(_unknown(key, [*self._by_name, *self._by_id], self.name))
        return found

    def scope(self, key: str) -> Scope:
        """The scope with this id."""
        if key not in self._scopes:
            raise UnknownNodeError(_unknown(key, list(self._scopes), self.name, what="scope"))
        return self._scopes[key]

    def consumers(self, key: str) -> tuple[str, ...]:
        """Ids of the equations that use this node, each once, in program order; the loss ends with ``%output``."""
        return self._consumers[self.node(key).id]

    def sources(self, key: str) -> tuple[str, ...]:
        """Ids of the nodes its value depends on directly: its operands, what a loop or branch returns through it, and,
        for the carry of a scan, what the iteration before hands on.
        """
        return self._sources[self.node(key).id]

    def returned(self, key: str) -> str | None:
        """Id of the custom function that returns this value of its body as its only or first output."""
        return self._returned.get(key)

    def carried(self, key: str) -> str | None:
        """Id of the carry that the iterations of a scan receive, for the output of the scan that it ends as."""
        out = self.node(key)
        entries = self._carries.get(out.equation, ())
        number = int(out.id[len(out.equation) + 1 :] or 0)
        return entries[number] if number < len(entries) else None

    def reverse(self, key: str) -> bool:
        """Whether the innermost scan around a node runs from the last element to the first."""
        owner = self.node(key).places[-1].owner
        return owner in self._by_id and bool(self._by_id[owner].param("reverse"))

    def ancestry(self, scope: str) -> tuple[str, ...]:
        """The scope and those around it, innermost first, without the root."""
        found = []
        while scope:
            found.append(scope)
            scope = self._scopes[scope].parent
        return tuple(found)

    def members(self, scope: str) -> tuple[Node, ...]:
        """Every node in a scope, those of inner scopes too."""
        return tuple(node for node in self.nodes if not scope or scope in self.ancestry(node.scope))


def shape_text(node: Node) -> str:
    """``float32 32×16``, with the iterations of loops in front; ``float32`` alone for a single number."""
    sizes = [*map(str, node.iterations), *map(str, node.shape)]
    return f"{node.dtype} {'×'.join(sizes)}" if sizes else node.dtype


def closest(key: str, names: Iterable[str]) -> str:
    """`` Did you mean 'a' or 'b'?``, or nothing where no name is close."""
    matches = difflib.get_close_matches(key, list(names), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, matches))}?" if matches else ""


def _unknown(key: str, names: list[str], function: str, what: str = "node") -> str:
    return f"{function} has no {what} {key!r}; it has {len(names)} names and ids.{closest(key, names)}"

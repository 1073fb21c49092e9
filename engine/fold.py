"""What of a graph is seen when some of its scopes are open: boxes, wires between them, the open scopes around them."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterable
from functools import cached_property

from engine import ops
from engine.graph import OUTPUT, Graph, Node, Scope

MOST = 3000
"""So many boxes are painted within a frame. With more, not everything is opened at once."""

PART = 96
"""More than this side by side are put into parts, each a fold of its own."""


@dataclasses.dataclass(frozen=True, slots=True)
class Box:
    """One thing on the screen: a node, or a folded scope."""

    id: str
    """The node's id, or ``scope:`` and the scope's id."""
    label: str
    parent: str
    """The open scope that it lies in; empty for the outermost level."""
    shows: str
    """The node whose value and gradient it shows: itself, or what leaves the folded scope."""
    members: tuple[str, ...]
    """Ids of all nodes it stands for."""
    scope: str = ""
    """The scope that opens when it is unfolded; empty for a plain node."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wire:
    """Values that go from one box to another."""

    source: str
    target: str
    uses: tuple[tuple[str, str], ...]
    """The uses it stands for: node and consumer."""
    kind: str = "use"


@dataclasses.dataclass(frozen=True)
class Folded:
    """A graph as folded. Boxes are in the order in which the program computes them."""

    graph: Graph
    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]
    open: tuple[Scope, ...]
    """The open scopes that hold something, outer ones first."""

    @cached_property
    def box_of(self) -> dict[str, str]:
        """For each node the box that stands for it."""
        return {member: box.id for box in self.boxes for member in box.members}

    def box(self, id: str) -> Box:
        """The box with this id."""
        return next(box for box in self.boxes if box.id == id)


def fold(graph: Graph, opened: Iterable[str], hidden: Iterable[str] = (), plumbing: bool = False) -> Folded:
    """Fold a graph.

    Args:
        graph: the traced function.
        opened: ids of the scopes to open; one inside a closed scope stays unseen.
        hidden: argument leaves that lie inside the scope that uses them (the parameters of a layer), rather than
            outside as data do.
        plumbing: whether reshapes, broadcasts and casts have boxes of their own.

    Returns:
        What is seen.
    """
    view = _View(graph, frozenset(opened), frozenset(hidden), plumbing)
    members: dict[str, list[str]] = {}
    for node in graph.nodes:
        members.setdefault(view.box_of(node.id), []).append(node.id)
    boxes = [view.box(id, tuple(ids)) for id, ids in members.items()]
    position = {node.id: index for index, node in enumerate(graph.nodes)}
    boxes.sort(key=lambda box: position[box.shows])
    seen = dict.fromkeys(scope for box in boxes for scope in reversed(graph.ancestry(box.parent)))
    order = {scope.id: index for index, scope in enumerate(graph.scopes)}
    return Folded(
        graph, tuple(boxes), view.wires(), tuple(graph.scope(id) for id in sorted(seen, key=order.__getitem__))
    )


class _View:
    """Where each node of a graph is seen."""

    def __init__(self, graph: Graph, opened: frozenset[str], hidden: frozenset[str], plumbing: bool) -> None:
        self.graph = graph
        self.opened = opened
        self.hidden = hidden
        self.plumbing = plumbing
        self._found: dict[str, str] = {}
        self._shut: dict[str, str] = {"": ""}

    def home(self, node: Node) -> str:
        """The scope a node is drawn in."""
        if node.id not in self.hidden:
            return node.scope
        around = [
            self.graph.ancestry(self.graph.node(user).scope)[::-1]
            for user in self.graph.consumers(node.id)
            if user != OUTPUT
        ]
        shared = ""
        for level in zip(*around, strict=False):
            if len(set(level)) == 1:
                shared = level[0]
        return shared

    def box_of(self, id: str) -> str:
        """The box that stands for a node."""
        if id not in self._found:
            self._found[id] = self._box_of(self.graph.node(id))
        return self._found[id]

    def _box_of(self, node: Node) -> str:
        closed = self._closed(self.home(node))
        if closed:
            return f"scope:{closed}"
        neighbour = self._neighbour(node)
        return self.box_of(neighbour) if neighbour else node.id

    def _closed(self, scope: str) -> str:
        """The outermost closed scope around; empty if all are open."""
        if scope not in self._shut:
            around = self._closed(self.graph.scope(scope).parent)
            self._shut[scope] = around or ("" if scope in self.opened else scope)
        return self._shut[scope]

    def _neighbour(self, node: Node) -> str:
        """The node that a piece of plumbing is folded into: what it reads, or else what reads it."""
        if not self._loose(node):
            return ""
        return node.inputs[0] if node.inputs else self._reader(node)

    def _loose(self, node: Node) -> bool:
        return not self.plumbing and ops.is_plumbing(node.op) and node.id not in self.graph.outputs

    def _reader(self, node: Node) -> str:
        """The first node that computes with what plumbing makes of a number in the program."""
        users = (self.graph.node(user) for user in self.graph.consumers(node.id) if user != OUTPUT)
        return next(filter(None, (self._reader(user) if self._loose(user) else user.id for user in users)), "")

    def box(self, id: str, members: tuple[str, ...]) -> Box:
        """A box for the nodes it stands for."""
        graph = self.graph
        if not id.startswith("scope:"):
            node = graph.node(id)
            return Box(id, _label(node), self.home(node), id, members)
        scope = graph.scope(id.removeprefix("scope:"))
        return Box(id, scope.label, scope.parent, self._leaving(members), members, scope.id)

    def _leaving(self, members: tuple[str, ...]) -> str:
        """Of the nodes of a closed scope the one that it is there for: the last that is used outside."""
        inside = set(members)
        outward = [m for m in members if any(user not in inside for user in self.graph.consumers(m))]
        computed = [m for m in outward if self.graph.node(m).op not in ("input", "constant")]
        return (computed or outward or list(members))[-1]

    def wires(self) -> tuple[Wire, ...]:
        """Wires between different boxes, parallel ones merged."""
        merged: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
        for edge in self.graph.edges:
            if edge.target != OUTPUT:
                ends = self.box_of(edge.source), self.box_of(edge.target)
                if ends[0] != ends[1]:
                    merged.setdefault((*ends, edge.kind), []).append((edge.source, edge.target))
        return tuple(Wire(source, target, tuple(uses), kind) for (source, target, kind), uses in merged.items())


def _label(node: Node) -> str:
    return node.name if node.op in ("input", "constant") else node.label


# ---- which scopes to open ------------------------------------------------------------------------------------------

_SHUT = ("library", "custom", "while")
"""Kinds that are one operation to a reader until they are opened by hand."""


def layers(graph: Graph, hidden: Iterable[str] = (), most: int = 24) -> frozenset[str]:
    """Scopes to open so that one sees the layers: those that contain other functions, outer ones first.

    Args:
        graph: the traced function.
        hidden: as for :func:`fold`.
        most: stop opening when more boxes than this would be seen.
    """
    containers = {scope.parent for scope in graph.scopes if scope.kind not in _SHUT}
    wanted = [s for s in graph.scopes if s.id in containers and s.kind not in _SHUT]
    opened: frozenset[str] = frozenset()
    for scope in sorted(wanted, key=lambda scope: scope.id.count("/")):
        tried = opened | {scope.id}
        if opened and _count(graph, tried, hidden) > most:
            break
        opened = tried
    return opened


def _count(graph: Graph, opened: frozenset[str], hidden: Iterable[str]) -> int:
    """How many boxes would be seen."""
    view = _View(graph, opened, frozenset(hidden), plumbing=False)
    return len({view.box_of(node.id) for node in graph.nodes})


def operations(graph: Graph, most: int = MOST) -> frozenset[str]:
    """Scopes to open so that one sees every operation; a softmax, a ReLU or a while_loop is one.

    Args:
        graph: the traced function.
        most: open no more, outer ones first, than show so many things.
    """
    level = Counter(scope.parent for scope in graph.scopes) + Counter(node.scope for node in graph.nodes)
    opened: dict[str, None] = {}
    seen = level[""]
    for scope in sorted(graph.scopes, key=lambda scope: scope.id.count("/")):
        reached = not scope.parent or scope.parent in opened
        if scope.kind not in _SHUT and reached and seen + level[scope.id] <= most:
            opened[scope.id] = None
            seen += level[scope.id]
    return frozenset(opened)


INPUTS = 24
"""Of more argument leaves by a path, besides the parameters, each lies with what uses it."""


def tucked(graph: Graph, parameters: Iterable[str]) -> tuple[str, ...]:
    """Ids of the argument leaves that lie inside the scope that uses them: parameters that have a path, and what else a
    model brings along by the dozen, such as moving averages. Single numbers given by name stand for themselves.
    """
    trained = set(parameters)
    found = [id for id in graph.inputs if "." in graph.node(id).name]
    own = [id for id in found if id in trained]
    return tuple(found if len(found) - len(own) > INPUTS else own)


def in_parts(graph: Graph, most: int = PART, hidden: Iterable[str] = ()) -> Graph:
    """The graph with long stretches put into parts: where more than ``most`` things lie side by side.

    The layout of a few hundred boxes takes seconds, that of a few thousand never ends; parts keep each picture small.
    What is hidden, as for :func:`fold`, lies elsewhere and doesn't count.
    """
    away = frozenset(hidden)
    crowded = {scope: level for scope, level in _levels(graph, away).items() if len(level) > most}
    if not crowded:
        return graph
    scopes, moved, taken = list(graph.scopes), {}, {scope.id for scope in graph.scopes}
    for scope, level in crowded.items():
        count = -(-len(level) // most)
        for number, start in enumerate(range(0, len(level), -(-len(level) // count))):
            names = (f"part_{index}" for index in itertools.count(number + 1))  # parts of parts have other names
            id = next(id for id in (f"{scope}/{name}" if scope else name for name in names) if id not in taken)
            part = Scope(id, id.rpartition("/")[2], f"part {number + 1} of {count}", "part", scope)
            scopes.append(part)
            taken.add(id)
            moved.update(dict.fromkeys(level[start : start + -(-len(level) // count)], part.id))
    nodes = tuple(dataclasses.replace(n, scope=moved[n.id]) if n.id in moved else n for n in graph.nodes)
    placed = [dataclasses.replace(scope, parent=moved.get(f"scope:{scope.id}", scope.parent)) for scope in scopes]
    return in_parts(dataclasses.replace(graph, nodes=nodes, scopes=_outer_first(placed)), most, away)


def _levels(graph: Graph, hidden: frozenset[str]) -> dict[str, list[str]]:
    """What lies directly in each scope, in program order: ids of nodes, ``scope:`` and ids of scopes."""
    found: dict[str, dict[str, None]] = {"": {}, **{scope.id: {} for scope in graph.scopes}}
    parents = {scope.id: scope.parent for scope in graph.scopes}
    for node in graph.nodes:
        if node.id in hidden:
            continue
        thing, scope = node.id, node.scope
        while thing not in found[scope]:
            found[scope][thing] = None
            if not scope:
                break
            thing, scope = f"scope:{scope}", parents[scope]
    return {scope: list(level) for scope, level in found.items()}


def _outer_first(scopes: Iterable[Scope]) -> tuple[Scope, ...]:
    parents = {scope.id: scope.parent for scope in scopes}

    def depth(scope: str) -> int:
        return 1 + depth(parents[scope]) if scope else 0

    return tuple(sorted(scopes, key=lambda scope: depth(scope.id)))

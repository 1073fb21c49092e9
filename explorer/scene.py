"""Graph and layout -> Scene: shapes and texts, ready to be drawn by any lowering."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from engine import ops
from engine.explain import rule_name
from engine.fold import Box, Folded
from engine.graph import Graph, Node, Scope, shape_text
from explorer.frozen import plain
from explorer.geometry import Layout, Point
from explorer.steps import Stop

BOX = (144.0, 92.0)
SMALL = (124.0, 78.0)
WIDEST = 220.0

SEARCHED = 5000
"""Most folded nodes that the search knows the names of."""


@dataclasses.dataclass(frozen=True)
class SceneBox:
    """A box with what it says."""

    id: str
    name: str
    """How the playhead and the table call it: ``dense_1/tanh``."""
    label: str
    detail: str
    """The second, quieter part of the label: ``layers.0``."""
    x: float
    y: float
    w: float
    h: float
    kind: str
    """``parameter input constant operation fold``."""
    operation: str
    node: str
    """The node whose numbers it shows."""
    shape: str
    opens: str
    """Id of the scope that it unfolds to; empty if there is nothing to unfold."""
    parent: str
    source: str
    forward: str
    backward: str
    words: str
    note: str
    """Why it reads forward only, or why nothing passes it."""
    holds: tuple[tuple[str, str], ...]
    """Name and id of the parameters in it."""


@dataclasses.dataclass(frozen=True)
class SceneCluster:
    """An open scope."""

    id: str
    label: str
    note: str
    x: float
    y: float
    w: float
    h: float


@dataclasses.dataclass(frozen=True)
class SceneWire:
    """A wire as a Bézier path: ``x0 y0``, then ``x1 y1 x2 y2 x3 y3`` for each piece."""

    source: str
    target: str
    kind: str
    count: int
    path: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Scene:
    """Everything there is to draw but the numbers."""

    title: str
    width: float
    height: float
    direction: str
    boxes: tuple[SceneBox, ...]
    clusters: tuple[SceneCluster, ...]
    wires: tuple[SceneWire, ...]
    stops: tuple[Stop, ...]
    notes: tuple[str, ...] = ()
    """Sentences about what is shown otherwise than asked."""
    hidden: tuple[tuple[str, str], ...] = ()
    """Name and id of nodes that are folded away, for the search."""

    def as_dict(self) -> dict[str, Any]:
        """The scene as plain data, for a browser."""
        return dict(plain(self))


def sizes(folded: Folded) -> dict[str, Point]:
    """Width and height of each box: numbers need less room than arrays, long names more than short ones."""
    return {box.id: _size(folded.graph, box) for box in folded.boxes}


def _size(graph: Graph, box: Box) -> Point:
    width, height = SMALL if _scalar(graph, box) else BOX
    label, _ = _labels(graph, box, graph.node(box.shows))
    return min(max(width, 8.3 * len(label) + (40 if box.scope else 20)), WIDEST), height


def _scalar(graph: Graph, box: Box) -> bool:
    node = graph.node(box.shows)
    return not node.shape and not node.iterations and not box.scope


def scene(
    folded: Folded, layout: Layout, stops: tuple[Stop, ...], parameters: Iterable[str], notes: Iterable[str] = ()
) -> Scene:
    """Put texts to shapes.

    Args:
        folded: what is seen.
        layout: where it is.
        stops: the positions of the playhead.
        parameters: ids of the argument leaves that are differentiated.
        notes: sentences to show beside the picture.
    """
    leaves = frozenset(parameters)
    return Scene(
        title=folded.graph.name,
        width=round(layout.size[0], 1),
        height=round(layout.size[1], 1),
        direction=layout.direction,
        boxes=tuple(_box(folded, layout, box, leaves) for box in folded.boxes),
        clusters=tuple(_cluster(layout, scope) for scope in folded.open),
        wires=tuple(
            SceneWire(w.source, w.target, w.kind, len(w.uses), _path(layout, (w.source, w.target, w.kind)))
            for w in folded.wires
        ),
        stops=stops,
        notes=tuple(notes),
        hidden=tuple(_folded_away(folded)),
    )


def _folded_away(folded: Folded) -> Iterator[tuple[str, str]]:
    inside = (id for box in folded.boxes for id in box.members if box.scope or id != box.shows)
    return ((folded.graph.node(id).name, id) for id in itertools.islice(inside, SEARCHED))


def _box(folded: Folded, layout: Layout, box: Box, leaves: frozenset[str]) -> SceneBox:
    graph = folded.graph
    node = graph.node(box.shows)
    rect = layout.boxes[box.id]
    label, detail = _labels(graph, box, node)
    op = _described(graph, box, node)
    return SceneBox(
        id=box.id,
        name=box.scope or node.name,
        label=label,
        detail=detail,
        x=round(rect.x, 1),
        y=round(rect.y, 1),
        w=rect.w,
        h=rect.h,
        kind=_kind(box, node, leaves),
        operation=_operation(graph, box, node),
        node=box.shows,
        shape=shape_text(node),
        opens=box.scope,
        parent=box.parent,
        source=node.source,
        forward=op.forward,
        backward=op.backward,
        words=op.words,
        note=node.note or op.cut,
        holds=tuple((graph.node(id).name.rpartition(".")[2], id) for id in box.members if id in leaves),
    )


def _labels(graph: Graph, box: Box, node: Node) -> tuple[str, str]:
    if box.scope:
        label, _, detail = box.label.partition(" · ")
        return label, detail
    if node.op in ("input", "constant"):
        path, _, last = node.name.rpartition(".")
        return last, path.partition(".")[2]
    described = ops.describe(rule_name(node))
    return (described.symbol, node.op) if len(described.symbol) <= 2 else (node.label.replace("_", " "), "")


def _described(graph: Graph, box: Box, node: Node) -> ops.Op:
    name = graph.scope(box.scope).name if box.scope else rule_name(node)
    if name in ops.OPS:
        return ops.describe(name)
    return ops.describe(rule_name(node)) if not box.scope else _fold_words(graph, box)


def _fold_words(graph: Graph, box: Box) -> ops.Op:
    scope = graph.scope(box.scope)
    count = sum(graph.node(member).op not in ("input", "constant") for member in box.members)
    words = f"{scope.label} holds {count} operations. Open it to see them; its value is what leaves it."
    return ops.Op(scope.label, f"y = {scope.name}(…)", "∂L/∂y = what its consumers send", words)


def _kind(box: Box, node: Node, leaves: frozenset[str]) -> str:
    if box.scope:
        return "fold"
    if node.id in leaves:
        return "parameter"
    return node.op if node.op in ("input", "constant") else "operation"


_SPELLED = {
    "named": "named scope",
    "library": "library function",
    "jit": "jitted function",
    "remat": "rematerialised function",
    "custom": "function with a rule of its own",
    "scan": "loop",
    "while": "loop",
}
"""Kinds of scopes that aren't words yet."""


def _operation(graph: Graph, box: Box, node: Node) -> str:
    if box.scope:
        kind = graph.scope(box.scope).kind
        return f"{_SPELLED.get(kind, kind)} of {len(box.members)} nodes"
    return node.op


def _cluster(layout: Layout, scope: Scope) -> SceneCluster:
    rect = layout.clusters[scope.id]
    return SceneCluster(
        scope.id, scope.label, scope.note, round(rect.x, 1), round(rect.y, 1), round(rect.w, 1), round(rect.h, 1)
    )


def _path(layout: Layout, key: tuple[str, str, str]) -> tuple[float, ...]:
    return tuple(round(value, 1) for point in layout.wires[key].points for value in point)

"""Folded graph -> Layout. Each open scope is laid out alone, from the inside out, and only what is unfolded is.

A wire that crosses the border of a scope is laid out in pieces, one for each scope that it passes through, and joined.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, lru_cache

from engine.fold import Folded, Wire
from explorer import dot
from explorer.dot_process import TIME_LIMIT, Engine
from explorer.errors import ExplorerError, LayoutTimeout
from explorer.geometry import Curve, Docks, Layout, Level, Point, Rect

MARGIN = 14.0
HEADER = 22.0

STRAIGHT = 12
"""How much harder the layout tries to keep the main line straight than what joins it."""

Key = tuple[str, str, str]
"""A wire: source box, target box, kind."""


class TooLarge(ExplorerError):  # noqa: N818 - named after what happened
    """One level could not be laid out in time: show it folded."""

    def __init__(self, scope: str, limit: float) -> None:
        super().__init__(f"Laying out {scope or 'the whole graph'} took longer than {limit:g} s.")
        self.scope = scope


@dataclasses.dataclass(frozen=True)
class Placed:
    """One level as Graphviz laid it out: y downwards, origin at the upper left."""

    size: Point
    centres: Mapping[str, Point]
    curves: Mapping[int, Curve]
    """By the number of the wire in the level."""

    def scaled(self, by: float) -> Placed:
        """The same, larger."""
        if by == 1:
            return self
        centres = {name: _times(point, by) for name, point in self.centres.items()}
        curves = {id: Curve(tuple(_times(point, by) for point in curve.points)) for id, curve in self.curves.items()}
        return Placed(_times(self.size, by), centres, curves)


def _times(point: Point, by: float) -> Point:
    return point[0] * by, point[1] * by


LONGEST = 30_000.0
"""How long a box may be that Graphviz is asked about: it holds the size of a box, and how far two that are side by side
lie apart, in sixteen bits. A level with a longer one is laid out smaller."""

KEPT = 1000
"""Levels that are remembered; of more, those go that were laid out first."""


class Layouts:
    """Lays out levels, each text once. May be used in any thread."""

    def __init__(self, engine: Engine, limit: float = TIME_LIMIT) -> None:
        self._engine = engine
        self._limit = limit
        self._known: dict[str, Placed] = {}
        self._lock = threading.Lock()

    def level(self, level: Level, direction: str, scope: str) -> Placed:
        """Where one level's boxes and wires go.

        Raises:
            TooLarge: Graphviz needed longer than the limit.
        """
        longest = max((max(size) for size in level.sizes), default=0.0)
        smaller = max(1.0, longest / LONGEST)
        text = dot.level_text(level, direction, 1 / smaller)
        found = self._known.get(text)
        if found is None:
            with self._lock:  # a class that opens the page asks for the same, all at once
                found = self._known.get(text) or self._asked(text, scope)
        return found.scaled(smaller)

    def _asked(self, text: str, scope: str) -> Placed:
        try:
            found = read(self._engine.lay_out(text, self._limit))
        except LayoutTimeout:
            raise TooLarge(scope, self._limit) from None
        while len(self._known) >= KEPT:
            del self._known[next(iter(self._known))]
        self._known[text] = found
        return found


@lru_cache(maxsize=4)
def layouts_of(engine: Engine) -> Layouts:
    """What all share who have levels laid out by an engine: what one of them unfolds is there for the next. A level
    has sizes and wires, and no word of anybody's.
    """
    return Layouts(engine)


def read(answer: str) -> Placed:
    """Graphviz's JSON as positions in pixels."""
    found = json.loads(answer)
    left, low, right, high = map(float, found["bb"].split(","))

    def point(text: str) -> Point:
        x, y = map(float, text.split(","))
        return x - left, high - y

    centres = {item["name"]: point(item["pos"]) for item in found.get("objects", ()) if "pos" in item}
    curves = {}
    for edge in found.get("edges", ()):
        points = tuple(point(text) for text in edge["pos"].split() if text[0] not in "es")
        curves[int(edge["id"])] = Curve(points)
    return Placed((right - left, high - low), centres, curves)


def lay_out(folded: Folded, sizes: Mapping[str, Point], layouts: Layouts, direction: str = "LR") -> Layout:
    """Lay a folded graph out.

    Args:
        folded: what is seen.
        sizes: width and height of each box.
        layouts: where to have levels laid out.
        direction: the way of the data: ``LR`` or ``TB``.

    Raises:
        TooLarge: an open scope can't be laid out in time; fold it and ask again.
    """
    return _Sheet(folded, sizes, layouts, direction).layout()


Piece = tuple[str, str, str]
"""A piece of a wire at one level: from, to, and the port by which it crosses borders."""


class _Sheet:
    """One layout in the making."""

    def __init__(self, folded: Folded, sizes: Mapping[str, Point], layouts: Layouts, direction: str) -> None:
        self.folded = folded
        self.sizes = sizes
        self.layouts = layouts
        self.direction = direction
        self._inner: dict[str, _Inner] = {}

    @cached_property
    def _parents(self) -> dict[str, str]:
        """The level around each box and each open scope; a level is written ``in:`` and the id of its scope."""
        found = {box.id: f"in:{box.parent}" for box in self.folded.boxes}
        found.update({f"in:{scope.id}": f"in:{scope.parent}" for scope in self.folded.open})
        return found

    def _around(self, thing: str) -> list[str]:
        """The levels around a box or a scope, innermost first; the last is the outermost level."""
        found = []
        while thing in self._parents:
            thing = self._parents[thing]
            found.append(thing)
        return found

    @cached_property
    def _pieces(self) -> dict[Key, list[tuple[str, Piece]]]:
        """For each wire the pieces it is laid out in, each with its level; ``<`` and ``>`` are entries and exits."""
        return {(w.source, w.target, w.kind): list(self._split(w)) for w in self.folded.wires}

    def _split(self, wire: Wire) -> Iterator[tuple[str, Piece]]:
        out, into = self._around(wire.source), self._around(wire.target)
        shared = next(level for level in out if level in into)
        port = f"{wire.kind}:{wire.source}"
        leaving = [wire.source, *out[: out.index(shared)]]
        entering = [wire.target, *into[: into.index(shared)]]
        for thing, level in itertools.pairwise(leaving):
            yield level, (thing, f">{port}", port)
        yield shared, (leaving[-1], entering[-1], port)
        for level, thing in itertools.pairwise(reversed(entering)):
            yield level, (f"<{port}", thing, port)

    @cached_property
    def _wired(self) -> dict[str, dict[Piece, int]]:
        """For each level its pieces of wires, each once, and how straight each should be.

        What is computed makes the main line; parameters and data join it from the side.
        """
        graph, shows = self.folded.graph, {box.id: box.shows for box in self.folded.boxes}
        found: dict[str, dict[Piece, int]] = {}
        for (source, _, kind), pieces in self._pieces.items():
            given = graph.node(shows[source]).op in ("input", "constant")
            for level, piece in pieces:
                aside = given and piece[0] == source
                found.setdefault(level, {}).setdefault(piece, 0 if kind == "carry" else 1 if aside else STRAIGHT)
        return found

    @cached_property
    def _contents(self) -> dict[str, list[str]]:
        """For each level what lies directly in it, in program order."""
        found: dict[str, dict[str, None]] = {"in:": {}}
        for box in self.folded.boxes:
            for thing, level in itertools.pairwise([box.id, *self._around(box.id)]):
                found.setdefault(level, {})[thing] = None
        return {level: list(things) for level, things in found.items()}

    def _place(self, level: str) -> _Inner:
        """A level as laid out, after those inside it."""
        if level not in self._inner:
            things = self._contents[level]
            wired = self._wired.get(level, {})
            ends = dict.fromkeys(end for tail, head, _ in wired for end in (tail, head))
            names = {thing: f"b{i}" for i, thing in enumerate(things)}
            entries, exits = ([end for end in ends if end.startswith(mark)] for mark in "<>")
            names |= {end: f"i{i}" for i, end in enumerate(entries)} | {end: f"o{i}" for i, end in enumerate(exits)}
            wires = []
            for (tail, head, port), pull in wired.items():
                ports = self._dock(tail, f">{port}"), self._dock(head, f"<{port}")
                wires.append((names[tail] + ports[0], names[head] + ports[1], pull))
            sizes, docks = map(self._size, things), map(self._docks, things)
            asked = Level(tuple(sizes), tuple(docks), tuple(wires), len(entries), len(exits))
            placed = self.layouts.level(asked, self.direction, level.removeprefix("in:"))
            self._inner[level] = _Inner(placed, names, {piece: i for i, piece in enumerate(wired)}, entries, exits)
        return self._inner[level]

    def _dock(self, thing: str, port: str) -> str:
        """Where a wire docks at an open scope; nothing at a plain box."""
        return f":{self._place(thing).names[port]}" if thing.startswith("in:") else ""

    def _docks(self, thing: str) -> Docks:
        if not thing.startswith("in:"):
            return Docks()
        inner = self._place(thing)
        axis, before = (1, MARGIN + HEADER) if self.direction == "LR" else (0, MARGIN)
        places = [
            tuple(round(inner.placed.centres[inner.names[port]][axis] + before) for port in ports)
            for ports in (inner.entries, inner.exits)
        ]
        return Docks(*places)

    def _size(self, thing: str) -> Point:
        if not thing.startswith("in:"):
            return self.sizes[thing]
        width, height = self._place(thing).placed.size
        return float(round(width + 2 * MARGIN)), float(round(height + 2 * MARGIN + HEADER))

    def layout(self) -> Layout:
        """Everything in place."""
        boxes: dict[str, Rect] = {}
        clusters: dict[str, Rect] = {}
        origins: dict[str, Point] = {}

        def put(level: str, origin: Point) -> None:
            inner = self._place(level)
            origins[level] = origin
            for thing in self._contents[level]:
                (x, y), (w, h) = inner.placed.centres[inner.names[thing]], self._size(thing)
                rect = Rect(origin[0] + x - w / 2, origin[1] + y - h / 2, w, h)
                if thing.startswith("in:"):
                    clusters[thing.removeprefix("in:")] = rect
                    put(thing, (rect.x + MARGIN, rect.y + MARGIN + HEADER))
                else:
                    boxes[thing] = rect

        put("in:", (0.0, 0.0))
        wires = {key: self._curve(pieces, origins) for key, pieces in self._pieces.items()}
        return Layout(self._place("in:").placed.size, self.direction, boxes, wires, clusters)

    def _curve(self, pieces: list[tuple[str, Piece]], origins: Mapping[str, Point]) -> Curve:
        whole: Curve | None = None
        for level, piece in pieces:
            inner = self._place(level)
            curve = inner.placed.curves[inner.wires[piece]].moved(*origins[level])
            whole = curve if whole is None else whole.then(curve)
        assert whole is not None
        return whole


@dataclasses.dataclass(frozen=True)
class _Inner:
    """A level as laid out, and what its things are called in DOT."""

    placed: Placed
    names: Mapping[str, str]
    wires: Mapping[Piece, int]
    entries: list[str]
    exits: list[str]


def fitting(make: Callable[[str], Layout], view: Point) -> Layout:
    """Of the two directions the one that can be drawn larger in a view of this size."""

    def scale(layout: Layout) -> float:
        return min(view[0] / max(layout.size[0], 1.0), view[1] / max(layout.size[1], 1.0))

    return max((make("LR"), make("TB")), key=scale)

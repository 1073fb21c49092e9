"""Geometry, and nothing else: where boxes, wires and open scopes are, in pixels, y downwards."""

from __future__ import annotations

import dataclasses

Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Docks:
    """Where wires enter and leave an open scope: distances along its sides, from the upper or left end."""

    entries: tuple[int, ...] = ()
    exits: tuple[int, ...] = ()

    def scaled(self, by: float) -> Docks:
        """The same of a scope of another size."""
        return Docks(*(tuple(round(place * by) for place in places) for places in (self.entries, self.exits)))


@dataclasses.dataclass(frozen=True)
class Level:
    """What lies directly in one open scope, without names: the input of one layout."""

    sizes: tuple[Point, ...]
    """Width and height of each box; an inner open scope is a box of the size that its own layout needs."""
    docks: tuple[Docks, ...]
    """For each box where along its sides wires dock; empty for one that isn't an open scope."""
    wires: tuple[tuple[str, str, int], ...]
    """From and to, as ``b0`` (box), ``b0:i0`` (first entry of that box), ``i0`` (entry of this level), ``o0`` (exit);
    and how straight it should be: 0 for one that may run against the flow."""
    entries: int
    exits: int


@dataclasses.dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle by its upper left corner."""

    x: float
    y: float
    w: float
    h: float

    def moved(self, dx: float, dy: float) -> Rect:
        """The same rectangle elsewhere."""
        return Rect(self.x + dx, self.y + dy, self.w, self.h)


@dataclasses.dataclass(frozen=True, slots=True)
class Curve:
    """A wire's way: a start point and then three points for each Bézier piece."""

    points: tuple[Point, ...]

    def moved(self, dx: float, dy: float) -> Curve:
        """The same curve elsewhere."""
        return Curve(tuple((x + dx, y + dy) for x, y in self.points))

    def then(self, other: Curve) -> Curve:
        """This curve, a smooth piece to where the other starts, and the other."""
        return Curve((*self.points, *bridge(self.points[-1], other.points[0]), *other.points[1:]))


def bridge(a: Point, b: Point) -> tuple[Point, Point, Point]:
    """A smooth Bézier piece from ``a`` to ``b``, leaving and arriving along the longer way."""
    if abs(b[0] - a[0]) > abs(b[1] - a[1]):
        middle = (a[0] + b[0]) / 2
        return (middle, a[1]), (middle, b[1]), b
    middle = (a[1] + b[1]) / 2
    return (a[0], middle), (b[0], middle), b


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where everything is."""

    size: Point
    direction: str
    boxes: dict[str, Rect]
    """By the box's id."""
    wires: dict[tuple[str, str, str], Curve]
    """By source, target and kind."""
    clusters: dict[str, Rect]
    """By the id of the open scope."""

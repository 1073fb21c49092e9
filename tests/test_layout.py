"""Layouts hold together: wires end on their boxes, nothing overlaps, and nothing is laid out twice or unseen."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import jax.numpy as jnp
import numpy as np
import pytest

from engine import trace
from explorer.dot_process import engine
from explorer.errors import LayoutTimeout
from explorer.geometry import Layout, Rect
from explorer.layout import LONGEST, Layouts, TooLarge, fitting, lay_out, read
from explorer.scene import sizes
from tests.programs import CASES
from tests.sheets import folded, laid_out, sheet

pytestmark = pytest.mark.once

PROGRAMS = [case for case in CASES if not case.x64]
HALF_A_LINE = 1.0
"""Pixels: Graphviz rounds, and a border has a width."""


@pytest.fixture(scope="module")
def layouts():
    with engine() as running:
        yield Layouts(running)


class Counting:
    """An engine that counts what it is asked, and may be slow at what has so many boxes."""

    def __init__(self, engine, slow_from: int = 10**6):
        self.engine, self.slow_from, self.asked = engine, slow_from, 0

    def lay_out(self, text, limit):
        self.asked += 1
        if text.count("\nb") - text.count("->") >= self.slow_from:
            raise LayoutTimeout(limit)
        return self.engine.lay_out(text, limit)

    def close(self): ...


@pytest.fixture
def counting(layouts):
    return Counting(layouts._engine)


@pytest.fixture(scope="module", params=PROGRAMS, ids=lambda case: case.name)
def graph(request):
    return trace(request.param.fun, *request.param.args)


@pytest.mark.parametrize("direction", ["LR", "TB"])
@pytest.mark.parametrize("granularity", ["layer", "all"])
def test_every_program_is_laid_out_soundly(graph, granularity, direction, layouts):
    seen = folded(graph, granularity)
    layout = laid_out(seen, layouts, direction)
    assert unattached(layout) == []
    assert overlapping(seen, layout) == []
    assert outside(seen, layout) == []


def unattached(layout: Layout, tolerance: float = HALF_A_LINE) -> list:
    """Wires that don't start on the border of their source or don't end on that of their target."""
    ends = {key: (curve.points[0], curve.points[-1]) for key, curve in layout.wires.items()}
    return [
        (key, away)
        for key, (start, end) in ends.items()
        if (away := max(distance(start, layout.boxes[key[0]]), distance(end, layout.boxes[key[1]]))) > tolerance
    ]


def distance(point, rect: Rect) -> float:
    """From a point to the border of a rectangle."""
    x, y = point[0] - rect.x, point[1] - rect.y
    beyond = max(-x, x - rect.w, 0.0), max(-y, y - rect.h, 0.0)
    return float(np.hypot(*beyond)) if any(beyond) else min(x, rect.w - x, y, rect.h - y)


def levels(seen, layout: Layout) -> dict[str, list[Rect]]:
    """What lies directly in each open scope."""
    found: dict[str, list[Rect]] = {"": []}
    for box in seen.boxes:
        found.setdefault(box.parent, []).append(layout.boxes[box.id])
    for scope in seen.open:
        found.setdefault(scope.parent, []).append(layout.clusters[scope.id])
    return found


def overlapping(seen, layout: Layout) -> list:
    def apart(a: Rect, b: Rect) -> bool:
        return a.x + a.w <= b.x or b.x + b.w <= a.x or a.y + a.h <= b.y or b.y + b.h <= a.y

    pairs = itertools.chain(*(itertools.combinations(level, 2) for level in levels(seen, layout).values()))
    return [pair for pair in pairs if not apart(*pair)]


def outside(seen, layout: Layout) -> list:
    """Boxes and open scopes that stick out of the scope, or the sheet, that they lie in."""
    around = {"": Rect(0, 0, *layout.size), **layout.clusters}
    return [
        (scope, rect)
        for scope, level in levels(seen, layout).items()
        for rect in level
        if not (
            around[scope].x <= rect.x + HALF_A_LINE
            and around[scope].y <= rect.y + HALF_A_LINE
            and rect.x + rect.w <= around[scope].x + around[scope].w + HALF_A_LINE
            and rect.y + rect.h <= around[scope].y + around[scope].h + HALF_A_LINE
        )
    ]


def inner(x):
    return jnp.sin(x) * x


def outer(x):
    return inner(x) + inner(2.0 * x)


SEEN = {name: sheet(outer, np.float32(1.0), granularity=name) for name in ("none", "operation")}


@pytest.mark.parametrize("direction", ["LR", "TB"])
def test_a_scope_longer_than_graphviz_can_count_is_laid_out_soundly(direction, layouts):
    seen = SEEN["operation"]
    long = {id: (w * 600, h * 600) for id, (w, h) in sizes(seen).items()}
    layout = lay_out(seen, long, layouts, direction)
    assert max(max(rect.w, rect.h) for rect in layout.clusters.values()) > 65_535
    smaller = max(max(rect.w, rect.h) for rect in layout.clusters.values()) / LONGEST
    assert unattached(layout, 2 * smaller) == []
    assert overlapping(seen, layout) == []
    assert outside(seen, layout) == []


def test_a_layout_goes_the_way_that_is_asked(layouts):
    across = laid_out(sheet(lambda x: jnp.sin(jnp.cos(x)), 1.0), layouts, "LR").boxes
    down = laid_out(sheet(lambda x: jnp.sin(jnp.cos(x)), 1.0), layouts, "TB").boxes
    assert across["%0"].x + across["%0"].w < across["%1"].x < across["%2"].x
    assert down["%0"].y + down["%0"].h < down["%1"].y < down["%2"].y


def test_wires_have_pieces_of_three_points(layouts):
    layout = laid_out(SEEN["operation"], layouts)
    assert {(len(curve.points) - 1) % 3 for curve in layout.wires.values()} == {0}


def test_every_box_wire_and_open_scope_has_a_place(layouts):
    seen = SEEN["operation"]
    layout = laid_out(seen, layouts)
    assert set(layout.boxes) == {box.id for box in seen.boxes}
    assert set(layout.wires) == {(wire.source, wire.target, wire.kind) for wire in seen.wires}
    assert set(layout.clusters) == {"inner", "inner_1"}


def test_a_second_layout_asks_nothing(counting):
    layouts = Layouts(counting)
    first = laid_out(SEEN["operation"], layouts)
    asked = counting.asked
    assert laid_out(SEEN["operation"], layouts) == first
    assert counting.asked == asked


def test_a_class_that_opens_a_page_at_once_has_it_laid_out_once(counting):
    layouts = Layouts(counting)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda each: laid_out(SEEN["none"], layouts), range(8)))
    assert found == [found[0]] * 8
    assert counting.asked == 1


def test_only_what_is_unfolded_is_laid_out(counting):
    laid_out(SEEN["none"], Layouts(counting))
    assert counting.asked == 1


def test_unfolding_asks_only_for_what_has_not_been_laid_out(counting):
    layouts, graph = Layouts(counting), SEEN["none"].graph
    laid_out(SEEN["none"], layouts)
    laid_out(folded(graph, "operation"), layouts)
    assert counting.asked == 1 + 2  # the two calls are alike, and the level around them


def test_a_level_that_takes_too_long_names_its_scope(counting):
    def crowded(x):
        return sum(jnp.sin(x * i) for i in range(1, 5))

    counting.slow_from = 8
    with pytest.raises(TooLarge, match=r"^Laying out crowded took longer than 0\.5 s\.$") as told:
        laid_out(sheet(lambda x: crowded(x) * 2.0, 1.0), Layouts(counting, limit=0.5))
    assert told.value.scope == "crowded"


def test_the_outermost_level_that_takes_too_long_says_so(counting):
    counting.slow_from = 1
    with pytest.raises(TooLarge, match=r"^Laying out the whole graph took longer than 5 s\.$"):
        laid_out(SEEN["none"], Layouts(counting))


def test_of_two_directions_the_larger_picture_is_taken():
    wide, tall = Layout((1000, 100), "LR", {}, {}, {}), Layout((100, 1000), "TB", {}, {}, {})
    ways = {"LR": wide, "TB": tall}
    assert fitting(ways.__getitem__, (800, 200)) is wide
    assert fitting(ways.__getitem__, (200, 800)) is tall


def test_graphviz_counts_upwards_and_pages_downwards():
    answer = """{"bb": "10,20,110,70", "objects": [{"name": "b0", "pos": "20,60"}, {"name": "cluster"}],
                 "edges": [{"id": "0", "pos": "e,60,45 20,60 30,60 40,50 50,45"}]}"""
    placed = read(answer)
    assert placed.size == (100, 50)
    assert placed.centres == {"b0": (10, 10)}
    assert placed.curves[0].points == ((10, 10), (20, 10), (30, 20), (40, 25))


def test_an_empty_function_has_a_layout(layouts):
    assert laid_out(sheet(lambda x: x, 1.0), layouts).boxes["%0"].w > 0

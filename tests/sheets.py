"""What the tests of pictures share: functions as folded, laid out, and with the numbers of one step."""

from __future__ import annotations

from engine import trace, value_and_grad
from engine.fold import Folded, fold, in_parts, layers, operations
from engine.graph import Graph
from engine.numbers import Numbers
from explorer.geometry import Layout
from explorer.layout import Layouts, lay_out
from explorer.scene import Scene, scene, sizes
from explorer.steps import stops


def parameters(graph: Graph) -> tuple[str, ...]:
    """Leaves with a path, as a session hides them inside their layers."""
    return tuple(id for id in graph.inputs if "." in graph.node(id).name)


def folded(graph: Graph, granularity: str = "operation", plumbing: bool = False) -> Folded:
    hidden = parameters(graph)
    ways = {
        "layer": lambda: layers(graph, hidden),
        "operation": lambda: operations(graph),
        "all": lambda: frozenset(scope.id for scope in graph.scopes),
        "none": frozenset,
    }
    return fold(graph, ways[granularity](), hidden, plumbing)


def sheet(fun, *args, granularity="operation", plumbing=False) -> Folded:
    """A function as folded."""
    return folded(in_parts(trace(fun, *args)), granularity, plumbing)


def laid_out(seen: Folded, layouts: Layouts, direction: str = "LR") -> Layout:
    return lay_out(seen, sizes(seen), layouts, direction)


def drawn(seen: Folded, layouts: Layouts, leaves: tuple[str, ...] = (), direction: str = "LR") -> Scene:
    """The scene of a folded graph whose parameters are ``leaves`` (all inputs if left out)."""
    chosen = leaves or seen.graph.inputs
    return scene(seen, laid_out(seen, layouts, direction), stops(seen, chosen), chosen)


def numbers(seen: Folded, fun, *args, argnums=0) -> Numbers:
    """The full reading of one step, on the graph as it is folded."""
    _, _, reading = value_and_grad(fun, argnums)(*args)
    return Numbers(reading.over(seen.graph))


def box_named(found, name: str):
    """The box of a folded graph or a scene that is called so."""
    return next(box for box in found.boxes if name in (box.id, box.label, getattr(box, "name", "")))

"""How the graph of a page is folded and laid out: part of what a session remembers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from functools import cached_property, partial

from engine import ops
from engine.fold import MOST, Box, Folded, fold, in_parts, layers, operations, tucked
from engine.graph import Graph
from explorer.dot_process import Engine
from explorer.errors import ExplorerError
from explorer.geometry import Layout, Point
from explorer.layout import TooLarge, fitting, lay_out, layouts_of
from explorer.scene import Scene, scene, sizes
from explorer.steps import stops

LAYER, OPERATION = "layer", "operation"

IN_PARTS = "Where much lies side by side without scopes it is shown in parts: stretches of the program, in its order."

_VIEW: Point = (720.0, 440.0)


class Sheet:
    """A graph, which of its scopes are open, and the drawing that follows."""

    opened: frozenset[str]
    """Ids of the open scopes."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._layouts = layouts_of(engine)
        self.granularity = LAYER
        self.plumbing = False
        self.view: Point = _VIEW

    def _spread_out(self, graph: Graph, parameters: tuple[str, ...]) -> None:
        """Begin with a graph, folded as one first sees it."""
        self.graph, self.parameters = graph, parameters
        self.graph = in_parts(graph, hidden=self._hidden)
        self.notes: list[str] = []
        self._as_usual()
        self._refold()

    def name_sources(self, named: Callable[[str], str]) -> None:
        """Call the places in the code otherwise: the cells of a notebook by their numbers."""
        nodes = (dataclasses.replace(node, source=named(node.source)) for node in self.graph.nodes)
        self.graph = dataclasses.replace(self.graph, nodes=tuple(nodes))
        self._refold()

    # ---- how it is folded -----------------------------------------------------------------------------------------

    def set_granularity(self, granularity: str) -> None:
        """Fold to layers, or unfold to operations."""
        if granularity not in (LAYER, OPERATION):
            raise ExplorerError(f"Granularity {granularity!r} is neither 'layer' nor 'operation'.")
        self.granularity = granularity
        self._as_usual()
        self._refold()
        shut = operations(self.graph, len(self.graph.nodes) + len(self.graph.scopes)) - self.opened
        if granularity == OPERATION and shut:
            self.notes.append(f"{len(shut)} folds stay shut: no more than {MOST} boxes are opened at a time.")

    def unfold(self, granularity: str, scopes: Iterable[str] = ()) -> None:
        """Fold to layers or unfold to operations, with these scopes open besides, and nothing else."""
        self.plumbing = False
        self.set_granularity(granularity)
        self.opened = self.opened | {self.graph.scope(scope).id for scope in scopes}

    def toggle(self, scope: str) -> None:
        """Open a folded scope, or fold an open one."""
        self.graph.scope(scope)
        self.opened = self.opened ^ {scope}
        self._refold()

    def reveal(self, node: str) -> None:
        """Open every scope around a node, so that it is seen; a parameter lies with what uses it."""
        found = self.graph.node(node)
        users = [id for id in self.graph.consumers(node) if id in self.graph] if found.id in self._hidden else []
        around = (self.graph.node(id).scope for id in (found.id, *users))
        self.opened = self.opened | {scope for each in around for scope in self.graph.ancestry(each)}
        if ops.is_plumbing(found.op):
            self.plumbing = True
        self._refold()

    def find(self, text: str) -> str:
        """Id of the node that is called so, or else of the first one whose name has that in it; empty if none has."""
        if text in self.graph:
            return self.graph.node(text).id
        wanted = text.lower()
        return next((node.id for node in self.graph.nodes if wanted in node.name.lower()), "")

    def show_plumbing(self, shown: bool) -> None:
        """Show reshapes, broadcasts and casts as boxes of their own, or fold them into their neighbours."""
        self.plumbing = shown
        self._refold()

    def resize(self, width: float, height: float) -> None:
        """Tell the size of the view, so that the graph is laid out the way that it can be drawn larger."""
        if (width, height) != self.view and width > 0 and height > 0:
            self.view = (width, height)
            self._refold()

    @cached_property
    def usually_open(self) -> frozenset[str]:
        """Ids of the scopes that are open as one first sees the graph."""
        return layers(self.graph, self._hidden) if self.granularity == LAYER else operations(self.graph)

    @property
    def _hidden(self) -> tuple[str, ...]:
        """What lies inside the layer that uses it."""
        return tucked(self.graph, self.parameters)

    def _as_usual(self) -> None:
        self._forget("usually_open")
        self.opened = self.usually_open

    def _refold(self) -> None:
        self.notes = []
        self._forget("_sheet", "scene", "figures")

    def _forget(self, *names: str) -> None:
        for name in names:
            self.__dict__.pop(name, None)

    # ---- what follows ---------------------------------------------------------------------------------------------

    @cached_property
    def _sheet(self) -> tuple[Folded, Layout]:
        return self._laid_out()

    @property
    def folded(self) -> Folded:
        """The graph as it is folded."""
        return self._sheet[0]

    @cached_property
    def scene(self) -> Scene:
        """Everything to draw but the numbers."""
        folded, layout = self._sheet
        return scene(folded, layout, stops(folded, self.parameters), self.parameters, self.notes)

    def _laid_out(self) -> tuple[Folded, Layout]:
        """Laid out as folded; what takes too long is folded instead, and said."""
        while True:
            folded = fold(self.graph, self.opened, self._hidden, self.plumbing)
            make = partial(lay_out, folded, sizes(folded), self._layouts)
            try:
                layout = fitting(make, self.view)
                self.notes += [IN_PARTS] if not self.notes and any(map(self._is_part, folded.boxes)) else []
                return folded, layout
            except TooLarge as error:
                self._fold_instead(error)

    def _is_part(self, box: Box) -> bool:
        return bool(box.scope) and self.graph.scope(box.scope).kind == "part"

    def _fold_instead(self, error: TooLarge) -> None:
        if error.scope:
            self.opened -= {error.scope}
            self.notes.append(f"{error} It is shown folded.")
            return
        smaller = in_parts(self.graph, 24, self._hidden)
        if smaller is self.graph:
            raise error
        self.graph = smaller
        self._as_usual()
        self._forget("numbers", "figures")
        self.notes.append(f"{error} It is shown in parts.")

"""One pass as it is seen: a drawing of its graph and the numbers in it. Part of what a session remembers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import jax
import numpy as np

from engine.explain import explain
from engine.numbers import Numbers, short
from engine.text import raised
from engine.training import Step
from engine.ways import ways
from explorer import svg
from explorer.errors import ExplorerError
from explorer.figures import Figures, figures, picture, read, sentence
from explorer.seen import Seen
from explorer.sheet import Sheet


class Looking(Sheet):
    """A sheet with the numbers of one step on it."""

    @property
    def step(self) -> Step:
        """The step that is shown."""
        raise NotImplementedError

    @property
    def numbers(self) -> Numbers:
        """Its numbers, on the host."""
        raise NotImplementedError

    way_of: str = ""
    """Id of the node whose ways to the loss are shown; empty if none's are."""

    room: Seen
    """The training that the step is of."""

    def rewind(self, step: int) -> None:
        """Show the pass of an earlier step."""
        raise NotImplementedError

    def status(self) -> dict[str, Any]:
        """The training as text and numbers."""
        raise NotImplementedError

    def frame(self) -> dict[str, Any]:
        """The training as columns of steps."""
        raise NotImplementedError

    def extras(self) -> dict[str, Any]:
        """What the pass that is shown has besides its graph."""
        raise NotImplementedError

    def findings(self) -> list[dict[str, Any]]:
        """What is wrong with the training, as plain data."""
        raise NotImplementedError

    def proof(self, box: str = "") -> Callable[[], dict[str, Any]]:
        """What proves the gradients that are shown."""
        raise NotImplementedError

    def unread(self) -> tuple[str, ...]:
        """Ids of the nodes that are seen, and of which something is to be read yet."""
        return ()

    @property
    def supposes(self) -> bool:
        """Whether what is shown was changed by hand."""
        return False

    listens: frozenset[str] | None = None
    """Boxes whose sentences are made along with the numbers; ``None``: all."""

    def listen(self, boxes: frozenset[str] | None) -> None:
        """Have sentences made of these boxes only: while training runs nobody reads the others; ``None`` for all."""
        if boxes != self.listens:
            self.listens = boxes
            self._forget("figures")

    @cached_property
    def figures(self) -> Figures:
        """The numbers of the step that is shown, or of what was changed in it."""
        speaks = frozenset[str]() if self.supposes else self.listens  # while somebody drags, one sentence is enough
        return figures(self.folded, self.numbers, self._images, self.plumbing, speaks)

    @property
    def _images(self) -> Mapping[str, tuple[int, int]]:
        """Nodes whose rows are pictures, with their height and width."""
        return {}

    def explain(self, node: str, index: tuple[int, ...] | None) -> dict[str, Any]:
        """The sentence about one entry of a node; ``None`` for the one with the largest gradient.

        Raises:
            EngineError: there is no such entry, or no gradient to read.
        """
        shape = self.numbers.value(node).shape
        fits = index is None or len(index) == len(shape)
        if not fits or not all(0 <= i < n for i, n in zip(index or (), shape, strict=False)):
            asked = f"{self.graph.node(node).name} has no entry {list(index or ())}"
            raise ExplorerError(f"{asked}; its shape is {list(shape)}.")
        return sentence(explain(self.numbers, node, index, self.plumbing), self.numbers)

    def region(self, node: str) -> dict[str, Any]:
        """Value and gradient of a node too large to have been sent ahead."""
        shown = self.graph.node(node)
        arrays = (read(getattr(self.numbers, what), shown)[0] for what in ("value", "grad"))
        value, grad = (None if array is None else dataclasses.asdict(picture(array)) for array in arrays)
        return {"value": value, "grad": grad}

    def show_ways(self, node: str) -> None:
        """Show the ways from a node to the loss; the same once more, or nothing, shows none."""
        id = self.graph.node(node).id if node else ""
        self.way_of = "" if id == self.way_of else id

    def ways(self) -> dict[str, Any]:
        """The ways that are shown as plain data: which boxes and wires lie on them; empty if none are shown."""
        if not self.way_of or self.way_of not in self.graph:
            return {}
        found = ways(self.graph, self.way_of)
        taken = [any(found.takes(*use) for use in wire.uses) for wire in self.folded.wires]
        return {
            "node": self.way_of,
            "name": self.graph.node(self.way_of).name,
            "boxes": [box.id for box in self.folded.boxes if not found.nodes.isdisjoint(box.members)],
            "wires": [place for place, on in enumerate(taken) if on],
            "operations": found.operations,
            "paths": _paths(found.paths),
        }

    def picture(self, position: int, theme: str = "light") -> str:
        """The graph at a position of the playhead, as SVG text."""
        return svg.render(self.scene, self.figures, position, theme)

    def _updates(self) -> dict[str, str]:
        """For each parameter how far the update moves it: ``‖Δw‖ / ‖w‖``."""
        pairs = zip(jax.tree.leaves(self.step.before.params), jax.tree.leaves(self.step.after.params), strict=True)
        found = {}
        moves = zip(self.step.update_norms, self.step.weight_norms, strict=True)
        for id, (old, new), (moved, size) in zip(self.parameters, pairs, moves, strict=True):
            alone = np.size(old) == 1
            found[id] = (
                f"{short(np.asarray(old).item())} → {short(np.asarray(new).item())}" if alone else _moved(moved, size)
            )
        return found


def _moved(moved: float, size: float) -> str:
    """How far an update moves an array, and beside its size."""
    share = f", {short(100 * moved / size)} % of ‖w‖ = {short(size)}" if size else ""
    return f"‖Δw‖ = {short(moved)}{share}"


def _paths(count: int) -> str:
    text = f"{count:,}"
    return text if len(text) < 12 else f"10{raised(len(str(count)) - 1)}"

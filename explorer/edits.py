"""What if: the entries of the shown step that a person changed, and the pass that follows from them.

Every argument of the loss, and the activations that are seen, are made changeable by one compiled program; then a
change is one more call of it. What it is compared with is a call of the same program without changes, so that what a
change doesn't reach agrees to the last bit.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from engine import whatif
from engine.errors import EngineError
from engine.graph import Graph
from engine.numbers import Numbers, short
from engine.reading import Reading
from engine.training import Step, Trainer
from engine.whatif import Change, Editor
from explorer.errors import ExplorerError
from explorer.figures import brief

MOST = 48
"""Activations that are made changeable beside the one that is asked for: each costs time to compile."""

Index = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Edit:
    """One thing that was changed."""

    node: str
    index: Index
    """Which entry; of a whole unit its place on the last axis alone."""
    value: float
    unit: bool = False
    """Whether a whole unit was switched off."""

    @property
    def place(self) -> tuple[str, Index, bool]:
        """Where it is; a later one there replaces it."""
        return self.node, self.index, self.unit

    def change(self, graph: Graph) -> Change:
        """The same as the engine takes it."""
        if self.unit:
            return whatif.ablate(graph, self.node, self.index[0])
        return whatif.put(graph, self.node, self.index, self.value)


class Editors:
    """The changeable programs of one problem; what is compiled for one step serves every other."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._compiled: list[Editor] = []

    def find(self, nodes: Iterable[str]) -> Editor | None:
        """A program in which these nodes can be changed, if one is compiled."""
        wanted = set(nodes)
        return next((editor for editor in self._compiled if wanted <= set(editor.nodes)), None)

    def compile(self, step: Step, nodes: Iterable[str]) -> None:
        """Compile one; takes long, and may be called in any thread."""
        fun, args = self._trainer.problem.fun, self.arguments(step)
        argnums = tuple(range(len(self._trainer.problem.params)))
        made = whatif.editor(fun, tuple(nodes), *args, argnums=argnums)
        made(args)
        self._compiled.insert(0, made)

    def arguments(self, step: Step) -> tuple[Any, ...]:
        """What the loss was called with at a step."""
        return (*step.before.params, *self._trainer.problem.batch(step.before.step))


@dataclasses.dataclass(frozen=True, eq=False)
class Pass:
    """A pass with changes, and the same one without."""

    before: Reading
    after: Reading
    losses: tuple[float, float]
    moved: frozenset[tuple[str, str]]
    """Node and ``value`` or ``grad``: what is another number than before."""


class Edits:
    """What is changed in one step."""

    def __init__(self, editors: Editors, graph: Graph, step: Step) -> None:
        self._editors = editors
        self._graph = graph
        self._step = step
        self._plain: tuple[Editor, Any] | None = None
        self.all: tuple[Edit, ...] = ()
        self.ran: Pass | None = None

    # ---- what is changed ------------------------------------------------------------------------------------------

    def put(self, node: str, index: Index, value: float) -> None:
        """Another number at an entry.

        Raises:
            WhatIfError: there is no such entry, or the node can't be changed.
            ExplorerError: it is no finite number.
        """
        with np.errstate(over="ignore"):
            if not math.isfinite(np.float32(value)):
                raise ExplorerError(f"{value} can't be put there: write a finite number that float32 can hold.")
        self._add(Edit(node, index, float(value)))

    def ablate(self, node: str, unit: int) -> None:
        """Zero at one place of the last axis, on the whole batch.

        Raises:
            WhatIfError: it has no such unit, or can't be changed.
        """
        self._add(Edit(node, (unit,), 0.0, unit=True))

    def undo(self, position: int | None = None) -> None:
        """Undo one change, or all of them."""
        self.all = () if position is None else self.all[:position] + self.all[position + 1 :]
        if not self.all:
            self.ran = None

    def _add(self, edit: Edit) -> None:
        whatif.editable(self._graph, edit.node)
        edit.change(self._graph)
        self.all = (*(own for own in self.all if own.place != edit.place), edit)

    # ---- the pass that follows ------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether what is changed can be run at once."""
        return self._editors.find(edit.node for edit in self.all) is not None

    def compile(self, seen: Iterable[str] = ()) -> None:
        """Make everything that is seen changeable; takes long, and may be called in any thread."""
        wanted = dict.fromkeys([*(edit.node for edit in self.all), *self._graph.inputs])
        others = [id for id in dict.fromkeys(seen) if id not in wanted][:MOST]
        self._editors.compile(self._step, [id for id in (*wanted, *others) if self._can(id)])

    def run(self) -> None:
        """The pass with the changes; :attr:`ran` has it."""
        found = self._editors.find(edit.node for edit in self.all)
        if not self.all or found is None:
            self.ran = None
            return
        editor = dataclasses.replace(found, factor=self._step.reading.factor)
        args = self._editors.arguments(self._step)
        if self._plain is None or self._plain[0] is not found:
            self._plain = found, editor(args)
        (loss, _, before), (other, _, after) = self._plain[1], editor(args, *self._changes(editor))
        changed = whatif.changes(before, after)
        moved = {(id, what) for id, each in changed.items() for what in ("value", "grad") if getattr(each, what).share}
        self.ran = Pass(before, after, (float(loss), float(other)), frozenset(moved))

    def _changes(self, editor: Editor) -> list[Change]:
        return [edit.change(editor.graph) for edit in self.all]

    def _can(self, id: str) -> bool:
        try:
            return bool(whatif.editable(self._graph, id))
        except EngineError:
            return False

    # ---- as told --------------------------------------------------------------------------------------------------

    def as_dict(self, box_of: Mapping[str, str]) -> dict[str, Any]:
        """The changes as plain data, for a browser; empty without any.

        Args:
            box_of: for each node the box that stands for it.
        """
        if not self.all or self.ran is None:
            return {}
        before, after = Numbers(self.ran.before), Numbers(self.ran.after)
        moved: dict[str, dict[str, bool]] = {}
        for id, what in self.ran.moved:
            if id in box_of:
                moved.setdefault(box_of[id], {"value": False, "grad": False})[what] = True
        return {
            "changes": [self._told(edit, before, after) | {"box": box_of.get(edit.node, "")} for edit in self.all],
            "loss": [short(loss) for loss in self.ran.losses],
            "boxes": moved,
        }

    def _told(self, edit: Edit, before: Numbers, after: Numbers) -> dict[str, Any]:
        name = brief(self._graph.node(edit.node).name)
        found = {"node": edit.node, "name": name, "index": list(edit.index), "unit": edit.unit}
        if edit.unit:
            return found | {"before": "", "after": "0"}
        old, new = (each.value(edit.node)[edit.index].item() for each in (before, after))
        return found | {"before": short(old), "after": short(new)}

    def said(self, sentence: Mapping[str, Any]) -> dict[str, Any]:
        """A sentence that says of changed entries that they send nothing back."""
        words = sentence["words"]
        if self._inner(sentence["node"], sentence["index"]):
            words = f"It was changed: what arrives is shown, and it sends nothing back to what made it. {words}"
        return {**sentence, "words": words, "terms": [self._term(term, sentence) for term in sentence["terms"]]}

    def _term(self, term: Mapping[str, Any], sentence: Mapping[str, Any]) -> Mapping[str, Any]:
        consumer = term["consumer"]
        if term["products"] or consumer not in {edit.node for edit in self.all if self._computed(edit.node)}:
            return term
        same = self._graph.node(consumer).shape == self._graph.node(sentence["node"]).shape
        if not same:
            return {**term, "words": "its changed entries send nothing back"}
        return {**term, "words": "changed: sends nothing back"} if self._inner(consumer, sentence["index"]) else term

    def _inner(self, node: str, index: Iterable[int]) -> bool:
        """Whether an entry of a computed value was changed; an argument has nothing before it."""
        place = tuple(index)
        here = [edit for edit in self.all if edit.node == node and self._computed(node)]
        return any(place[-1:] == edit.index if edit.unit else place == edit.index for edit in here)

    def _computed(self, node: str) -> bool:
        return node not in self._graph.inputs

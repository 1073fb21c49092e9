"""What one person at one page looks at: the only mutable state. Every button is a method of it; it knows no widget."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache, partial
from typing import Any

from engine.graph import Graph
from engine.more import BYTES, nbytes
from engine.numbers import Numbers, short
from engine.optimisers import controls, skipped
from engine.tasks import Problem, Settings
from engine.text import amount
from engine.training import Step, Trainer
from explorer import form, frames
from explorer.closeup import Closeup
from explorer.divided import Divided
from explorer.dot_process import Engine, shared_engine
from explorer.edits import Editors, Edits
from explorer.extras import spreads
from explorer.figures import Figures, figures
from explorer.keeping import Keeper
from explorer.limits import NONE, Limits
from explorer.pair import Pair
from explorer.problems import PROBLEMS, alone
from explorer.proof import MOST, Proofs
from explorer.room import DIALS, OWN, Room
from explorer.seen import told
from explorer.slices import Slices, way
from explorer.target import Target

_LOOK_SECONDS = 0.02
"""So long passes are looked at that nobody has asked to see, where training comes to rest."""


class Session(Pair, Closeup, Divided):
    """One page's state: the settings, the run, the step that is shown, and how its graph is folded."""

    room: Room
    problem: Problem
    settings: Settings
    target: Target | None

    def __init__(
        self,
        settings: Settings | None = None,
        target: Target | None = None,
        engine: Engine | None = None,
        limits: Limits = NONE,
    ) -> None:
        super().__init__(engine or shared_engine())
        self._limits = limits
        self.keeper = Keeper()
        self.said: tuple[str, ...] = ()
        """What one should know of the run that was opened."""
        chosen = limits.checked(settings or (OWN if target else Settings()))
        self._start(PROBLEMS.find(chosen, target), chosen, target)

    # ---- what is trained ------------------------------------------------------------------------------------------

    def choose(self, **changes: Any) -> None:
        """Change settings. What the optimiser takes changes from the next step on; anything else starts over.

        Nothing changes if one of them can't be.

        Raises:
            SettingsError: a value is out of its range, or settings don't fit together.
        """
        if changes.get("task") == "own":  # already shown
            return
        settings = self._limits.checked(dataclasses.replace(self.settings, **changes).checked())
        if set(changes) <= set(DIALS):
            self.settings = settings
            self._turn(changes)
            return
        target = None if "task" in changes else self.target
        self._start(PROBLEMS.find(settings, target), settings, target)

    def choose_text(self, name: str, value: str) -> None:
        """Change one setting to what was typed, or open the run that was named.

        Raises:
            SettingsError: there is no such setting, or the text is no value for it.
            StoreError: there is no such run.
        """
        if name != "run":
            self.choose(**form.typed(name, value))
        elif value:
            room, self.said = self.keeper.open(value, self.target)
            now = room.settings or dataclasses.replace(self.settings, **room.dials(room.step))
            self._start(room.problem, now, None if room.settings else self.target, room)

    def form(self) -> dict[str, Any]:
        """The settings as fields of a form: those that matter to the task."""
        target = self.target.name if self.target else ""
        return form.fields(self.settings, target, dict(self._limits.sizes), self.split.devices)

    def freeze(self, parameters: Sequence[str], frozen: bool) -> None:
        """Keep some parameters as they are from the next step on, or let them move again."""
        names = [self.graph.node(id).name for id in parameters]
        self._go_on()
        if names:
            (self.room.run.freeze if frozen else self.room.run.unfreeze)(*names)
        self._again()

    def _turn(self, changes: Mapping[str, Any]) -> None:
        self._go_on()
        before = self.room.run.controls.method
        for room in self.rooms:
            room.change(**changes)
        if self.room.run.controls.method != before:  # another program, to be compiled
            self.trained = False
            self._forget("step", "edits", "numbers", "figures")
        self._again()

    def _again(self) -> None:
        """Show the same pass again: its update may be another one now."""
        if not self.waiting and not self.trained:
            self._show(self.room.pass_at(self.step.before.step))

    def reset(self) -> None:
        """Back to the first step, from the same seed."""
        for room in self.rooms:
            room.reset()
        self.trained, self._back = False, None
        self._show(self.room.first)

    def train(self) -> None:
        """Take the update of the pass that is shown, without what was changed in it by hand; or the next step."""
        self._forget("edits", "numbers", "figures")
        self._go_on()
        if self.room.broken is None:
            if self.step.before.step != self.room.step:
                self._show(self.room.pass_at(self.room.step))
            self._advance(1)
            self.trained = True
            self._look()

    def advance(self, count: int) -> None:
        """Take some steps; :meth:`catch_up` then shows the pass that comes next."""
        self._go_on()
        self._advance(count)

    def catch_up(self, seconds: float = _LOOK_SECONDS) -> None:
        """Show the pass that the next step begins with, and look at others on the way for so many seconds at most."""
        if self.step.before.step != self.room.step:
            self._show(self.room.pass_at(self.room.step))
            self.trained = False
        self._look(seconds)

    def look_back(self) -> bool:
        """Remember what a pass on the way tells of each layer, around which nobody has looked; whether any was left."""
        unseen = [] if self.room.large else self.room.unseen()
        for at in unseen[:1]:
            self.room.look(step := self.room.pass_at(at), spreads(self.room, step))
        return bool(unseen)

    def _look(self, seconds: float = _LOOK_SECONDS) -> None:
        """Remember what the pass that is shown tells of each layer, the first, and others on the way as time allows."""
        end = time.monotonic() + seconds
        for step in (self.step,) if self.room.looks else (self.room.first, self.step):
            self.room.look(step, {} if self.room.large else spreads(self.room, step))
        while time.monotonic() < end and self.look_back():
            pass

    def rewind(self, step: int) -> None:
        """Show the pass of an earlier step. Nothing is forgotten until training goes on from there, or is changed."""
        self._show(self.room.pass_at(step))
        self.trained = False
        self._back = step

    def bring(self, step: int) -> None:
        """Take the run to where it is after that many steps, and show the pass that comes next."""
        self._bring(step)
        self._show(self.room.pass_at(self.room.step))
        self.trained = False
        self._look()

    # ---- two runs side by side ------------------------------------------------------------------------------------

    def compare(self, change: Mapping[str, Any], title: str) -> None:
        """Begin a second run from the same seed with some settings changed.

        Raises:
            SettingsError: they can't be.
        """
        settings = self._limits.checked(dataclasses.replace(self.settings, **change).checked())
        self.other = Room(PROBLEMS.find(settings, self.target), None if self.target else settings, controls(settings))
        self._others: list[dict[str, Any]] | None = None
        self.compared = settings, title

    def keep(self, new: bool) -> None:
        """End the comparison: go on with the second run, or with the first."""
        if self.other is not None and new:
            self._start(self.other.problem, self.compared[0], self.target, self.other)
        self.other = None

    def _start(self, chosen: Problem, settings: Settings, target: Target | None, room: Room | None = None) -> None:
        """Begin with a problem, or go on with a run of it."""
        self.problem, self.settings, self.target = chosen, settings, target
        self.room = room or Room(chosen, None if target else settings, controls(settings))
        self.other = None
        self.compared = settings, ""
        self.trained, self._back = False, None
        self._forget("step", "edits", "numbers")
        self._besides, self._asked = (), set()
        self._spread_out(self.room.graph, self.room.parameters)
        self.room.seen = self._shown if self.room.large else ()
        self.trainer: Trainer = self.room.trainer
        self._proofs = chosen.once("proofs", lambda: Proofs(self.trainer))
        self._editors = chosen.once("editors", lambda: Editors(self.trainer))
        self._slices = chosen.once("slices", lambda: Slices(chosen))

    @cached_property
    def step(self) -> Step:
        """The step that is shown; the first one is compiled and taken when its numbers are first asked for."""
        return self.begin()

    @property
    def waiting(self) -> bool:
        """Whether the step to show is still to be compiled."""
        return "step" not in self.__dict__

    @property
    def at_step(self) -> int:
        """The step whose pass is shown, or will be."""
        return self.room.step if self.waiting else self.step.before.step

    @property
    def begin(self) -> Callable[[], Step]:
        """What compiles and takes the step to show; takes long, and may be called in any thread."""
        return partial(alone, self.problem, self.room.next)

    def take(self, step: Step) -> None:
        """Show a step that was compiled elsewhere."""
        if step.before.step == 0:
            self.room.known_first = step
        self._show(step)
        if self.room.step:
            self._look()

    @cached_property
    def numbers(self) -> Numbers:
        """The numbers of that step, on the host, or of what was changed in it."""
        reading = self.edits.ran.after if self.edits.ran else self.step.reading
        first, *more = (each.over(self.graph) for each in (reading, *self._besides))
        return Numbers(first, tuple(more))

    def _show(self, step: Step) -> None:
        self._forget("edits", "numbers", "figures")
        self._besides, self._asked = (), set()
        self.__dict__["step"] = step
        self.settings = dataclasses.replace(self.settings, **self.room.dials(step.before.step))

    @property
    def warm(self) -> Callable[[], None]:
        """What compiles the training loop and the picture of the plane; may be called in any thread."""
        loops, step, large = [room.warm for room in self.rooms], self.step, self.room.large
        planes = [(plane, room.run.state.params) for plane, room in zip(self._planes, self.rooms, strict=True)]

        def work() -> None:
            for warm in loops:
                warm()
            if large:  # it takes a while, too
                float(step.loss_after)
            for plane, params in planes:
                plane(params) if plane else None

        return partial(alone, self.problem, work)

    # ---- what if ---------------------------------------------------------------------------------------------------

    @cached_property
    def edits(self) -> Edits:
        """What is changed in the step that is shown: nothing at first, and nothing in another step."""
        return Edits(self._editors, self.graph, self.step)

    @property
    def supposes(self) -> bool:
        """Whether what is shown was changed by hand."""
        return not self.waiting and self.edits.ran is not None

    def suppose(self) -> None:
        """Run the pass again with what was changed, and show it."""
        self.edits.run()
        self._forget("numbers", "figures")

    @property
    def plain_figures(self) -> Figures:
        """The numbers of the pass without the changes, to the last bit what the changed one is compared with."""
        assert self.edits.ran is not None
        numbers = Numbers(self.edits.ran.before.over(self.graph))
        return figures(self.folded, numbers, self._images, self.plumbing, frozenset())

    # ---- how the training goes ------------------------------------------------------------------------------------

    def frame(self) -> dict[str, Any]:
        """The run as columns of steps."""
        return frames.of_run(self.room, self.step.before.step)

    def survey(self) -> Callable[[], dict[str, Any]]:
        """What draws the loss around the way of the run; takes long, and may be called in any thread."""
        return partial(self._slices.around, way(self.room))

    def findings(self) -> list[dict[str, Any]]:
        """What is wrong with the run, as plain data; of a second one beside it, :meth:`comparison` tells it."""
        other = self.other
        self._others = told(other.findings(other.pass_at(other.step))) if other and other.step else None
        return told(self.room.findings(self.step))

    def comparison(self) -> dict[str, Any]:
        """The second run: its frame, and what was found wrong with it last (``None``: not looked yet)."""
        if self.other is None:
            return {}
        frame = frames.of_run(self.other, self.other.step)
        return {"frame": frame, "findings": self._others, "title": self.compared[1]}

    # ---- what is seen ---------------------------------------------------------------------------------------------

    @property
    def _images(self) -> Mapping[str, tuple[int, int]]:
        """The node that holds the batch's pictures, if the data are pictures."""
        first = self.graph.inputs[len(self.parameters) :][:1]
        return dict.fromkeys(first, self.problem.image) if self.problem.image else {}

    def explain(self, node: str, index: tuple[int, ...] | None) -> dict[str, Any]:
        """The sentence about one entry of a node, with what was changed by hand."""
        spoken = super().explain(node, index)
        return self.edits.said(spoken) if self.supposes else spoken

    def proof(self, box: str = "") -> Callable[[], dict[str, Any]]:
        """What proves the gradients that are shown; takes long, and may be called in any thread.

        Args:
            box: the one that is looked at. A large graph has only this one proved.
        """
        shown, step = self._graded, self.step
        if not self._proves_all:
            shown = {id: node for id, node in shown.items() if id == box}
        if self.room.large:  # by what was read of it
            reading = self.fetched(next(iter(shown.values()), ""))
            shown = shown if reading else {}
            step = dataclasses.replace(step, grads=(), reading=reading or step.reading)
        return partial(self._proofs.badges, step, shown)

    @property
    def _proves_all(self) -> bool:
        return len(self._graded) <= MOST and not self.room.large

    @property
    def _graded(self) -> dict[str, str]:
        """For each box with a gradient the node whose gradient it shows."""
        known = {node.id for node in self.graph.nodes} if self.room.large else self.step.reading.plan.graded
        return {box.id: box.shows for box in self.folded.boxes if box.shows in known}

    def _scaling(self) -> str:
        """What the loss is multiplied by in the pass that is shown, and what became of its update; or nothing."""
        factor, left = self.step.reading.factor, skipped(self.step.before.optimiser)
        if factor is None:
            return ""
        if self.trained and self.step.skipped:
            return f"This step was left out: scaled by {float(factor):,.0f}, a gradient overflowed."
        more = f" {left} steps were left out so far, as a gradient overflowed." if left else ""
        return f"The loss is scaled by {float(factor):,.0f}, and gradients are shown without it.{more}"

    def status(self) -> dict[str, Any]:
        """The training as text and numbers."""
        before = float(self.step.loss)
        after = float(self.step.loss_after) if self.trained else before
        return {
            "title": self.problem.title,
            "granularity": self.granularity,
            "plumbing": self.plumbing,
            "step": self.step.before.step,
            "trained": self.trained,
            "loss": before if math.isfinite(before) else None,
            "before": short(before),
            "after": short(after),
            "on": self.problem.note,
            "measure": self.problem.measure,
            "rate": short(self.room.run.controls.rate),
            "updates": self._updates(),
            "scaling": self._scaling(),
            "proves_all": self._proves_all,
            "large": _bounds(self.graph) if self.room.large else "",
        }


@lru_cache(maxsize=4)
def _bounds(graph: Graph) -> str:
    """What is read of a large graph, and how much memory that takes."""
    whole, most = amount(nbytes(graph, (node.id for node in graph.nodes)), "B"), amount(BYTES, "B")
    return (
        f"A large graph: all its values and gradients would take {whole}. Only what is seen is read, by statistics; "
        f"whole arrays of the selected box when you fetch them, {most} at most."
    )

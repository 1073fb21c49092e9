"""One run, or two that are compared: part of what a session remembers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.training import Step
from explorer.extras import Extras, extras, planes
from explorer.pace import Pieces
from explorer.room import Room


class Pair:
    """Two runs train in lock step, and go on from the step that is shown."""

    room: Room
    other: Room | None = None
    """The run that the first one is compared with."""
    _back: int | None = None
    """An earlier step that is shown: training goes on from there."""

    @property
    def step(self) -> Step:
        """The step that is shown."""
        raise NotImplementedError

    @property
    def rooms(self) -> list[Room]:
        """The run, and the one that it is compared with."""
        return [self.room] if self.other is None else [self.room, self.other]

    @property
    def behind(self) -> bool:
        """Whether the second run has still to catch up."""
        return self.other is not None and self.other.broken is None and self.other.step < self.room.step

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to train: no run has a finite loss."""
        return all(room.broken is not None for room in self.rooms)

    @property
    def pieces(self) -> Pieces:
        """How much is trained at a time, as all learn it who train the same."""
        return self.room.problem.once(("pieces", len(self.rooms)), Pieces)

    @property
    def _planes(self) -> list[Callable[[Any], Extras] | None]:
        """What draws the plane or the curve of each run, compiled once for all who train the same."""
        first = [self.room.problem.once("planes", lambda: planes(self.room))]
        if self.other is None:
            return first
        other = self.other
        return [*first, other.problem.once("plane", lambda: planes(other, units=False))]

    def extras(self) -> Extras:
        """What the pass that is shown has besides its graph: the plane, the spread of entries, gradients in time; and
        the plane of the second run after as many steps, if it has taken so many, under ``second``.
        """
        first, *others = self._planes
        found = extras(self.room, self.step, first)
        for plane in others:
            if plane and self.other is not None:
                step = min(self.step.before.step, self.other.step)
                found["second"] = plane(self.other.run.at(step).params) | {"step": step}
        return found

    def _go_on(self) -> None:
        """Go back for good to the earlier step that is shown, if one is."""
        back, self._back = self._back, None
        for room in self.rooms:
            if back is not None and room.step > back:
                room.rewind(back)

    def _bring(self, step: int) -> None:
        """Both runs to where they are after that many steps; what came after is forgotten."""
        self._back = None
        for room in self.rooms:
            if room.step > step:
                room.rewind(step)
            room.advance(step - room.step)

    def _advance(self, count: int) -> None:
        """Both runs, where two are compared, in lock step: the younger one catches up first."""
        if self.other is not None and self.behind:
            self.other.advance(min(count, self.room.step - self.other.step))
            return
        for room in self.rooms:
            room.advance(count)

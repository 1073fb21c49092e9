"""One run, or two that are compared: part of what a session remembers."""

from __future__ import annotations

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

    def _go_on(self) -> None:
        if self._back is not None:
            self.room.rewind(self._back)
            self._back = None

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

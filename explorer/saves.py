"""When a run that is trained by a command is saved on its way, and by whom."""

from __future__ import annotations

import time

from engine import cluster, saving
from explorer.room import Room

SECONDS = 30.0
"""Between two snapshots of a run of several processes, unless steps are given."""


class Saves:
    """Saves a run in its folder: by several processes together, or by this one alone."""

    def __init__(self, room: Room, folder: str, every: int = 0) -> None:
        """Save it as it is: whether it can be is known before, not after, the training.

        Args:
            room: the run.
            folder: where; empty for nowhere.
            every: steps whose number is a multiple of this; 0 for every :data:`SECONDS` of several processes, and at
                the end of one.

        Raises:
            StoreError, CheckpointsError: it can't be.
        """
        self._room, self._folder, self._every = room, folder, every
        self._together = saving.Saver(folder, room.settings) if folder and cluster.several() else None
        self.save()
        if self._together is not None:
            self._together.wait()

    def save(self) -> None:
        """Save it as it is; several processes go on while they do.

        Raises:
            StoreError: it can't be.
        """
        self._known, self._step = time.monotonic(), self._room.step
        if self._together is not None:
            self._together.save(self._room.run)
        elif self._folder:
            saving.save(self._room.run, self._folder, self._room.settings)

    def finish(self) -> None:
        """Save it for the last time.

        Raises:
            StoreError: it can't be.
        """
        self.save()
        if self._together is not None:
            self._together.wait()

    @property
    def due(self) -> bool:
        """Whether it is time."""
        if not self._folder or self._room.step == self._step:
            return False
        if self._every:
            return self._room.step % self._every == 0
        return self._together is not None and time.monotonic() >= self._known + SECONDS

    @property
    def ahead(self) -> int:
        """Steps that can be taken until it may be."""
        return self._every - self._room.step % self._every if self._every and self._folder else 1 << 30

"""Runs of a page in folders: saved where the server was started, and opened again."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

from engine import saving, store
from engine.tasks import Settings
from explorer.room import DIALS, Room, own_problem
from explorer.target import Target

FOLDER = "runs"
"""What runs are saved in, below the folder that the server was started in."""


class Keeper:
    """Where the run of a page is kept: one that was saved or opened goes on in its folder."""

    def __init__(self) -> None:
        self._folders: dict[int, Path] = {}

    def save(self, room: Room) -> Path:
        """Save a run as it is; the folder that it is in now.

        Raises:
            StoreError: the folder can't be written.
        """
        folder = self._folders.get(id(room)) or _fresh(room)
        saving.save(room.run, folder, room.settings)
        self._folders = {id(room): folder}
        return folder

    def open(self, folder: str, target: Target | None = None) -> tuple[Room, tuple[str, ...]]:
        """A run that was saved, and what one should know of it.

        Raises:
            StoreError: there is none in the folder, it is damaged, or of another function.
        """
        room, notes = reopened(folder, target)
        self._folders = {id(room): Path(folder)}
        return room, notes


def reopened(folder: str, target: Target | None = None, **dials: object) -> tuple[Room, tuple[str, ...]]:
    """A run from a folder, and what one should know of it.

    Args:
        folder: what a run was saved in.
        target: the function, for a run of one's own.
        **dials: controls that change from here on.
    """
    own = own_problem(target) if target else None
    opened = saving.open_run(folder, own)
    run = opened.run
    if dials:
        run.change(**dials)
    now = {name: getattr(run.controls, name) for name in DIALS}
    room = Room(run.problem, Settings(**{**opened.settings, **now}) if opened.settings else None)
    room.take_up(run)
    return room, opened.notes


def _fresh(room: Room) -> Path:
    """A folder of its own, named after what is trained and when."""
    name = room.settings.task if room.settings else room.graph.name
    first = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    names = itertools.chain([first], (f"{first}-{number}" for number in itertools.count(2)))
    return next(folder for folder in (Path(FOLDER) / name for name in names) if not (folder / store.NAME).exists())

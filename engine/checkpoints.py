"""Arrays that lie on several devices, or that several processes hold: each writes its own part, by Orbax.

What a process holds is copied when a save begins, and written while training goes on. The folder has its name only once
every process has written its part of it. Whatever lay on so many devices is read onto as many as there are now.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from engine.errors import EngineError

Array = Any


class CheckpointsError(EngineError, RuntimeError):
    """Orbax isn't there."""


class DamageError(CheckpointsError):
    """What was written can't be read any more."""


def _orbax() -> Any:
    try:
        import orbax.checkpoint as found  # noqa: PLC0415
    except ImportError as error:
        text = "Runs of several processes are saved by Orbax, which isn't installed"
        raise CheckpointsError(f"{text}: pip install 'backprop-explorer[cluster]'.") from error
    return found


class Writer:
    """Writes arrays to folders, one after the other, beside everything else that happens."""

    def __init__(self) -> None:
        """Get ready.

        Raises:
            CheckpointsError: Orbax isn't installed.
        """
        self._saver = _orbax().StandardCheckpointer()

    def begin(self, folder: str | os.PathLike[str], arrays: Mapping[str, Array]) -> None:
        """Begin to write; all processes must, with the same names in the same order.

        Args:
            folder: one that isn't there yet, on a disk that all processes see.
            arrays: by name, on their devices.

        Raises:
            OSError: what was begun before could not be written.
        """
        self._saver.save(Path(folder).resolve(), dict(arrays))

    def wait(self) -> None:
        """Wait until everything is written, by all processes.

        Raises:
            OSError: it could not be.
        """
        self._saver.wait_until_finished()


def restored(folder: str | os.PathLike[str], like: Mapping[str, Array]) -> dict[str, Array]:
    """Some of the arrays that were written to a folder.

    Args:
        folder: what they were written to.
        like: arrays by name; theirs are the shapes, the types and the places.

    Raises:
        CheckpointsError: Orbax isn't installed.
        DamageError: there are no such arrays, or a file isn't what it was.
    """
    orbax = _orbax()
    wanted = {name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding) for name, leaf in like.items()}
    places = orbax.checkpoint_utils.construct_restore_args(wanted)
    asked = orbax.args.PyTreeRestore(item=wanted, restore_args=places, partial_restore=True)
    path = Path(folder)
    try:
        found = dict(orbax.PyTreeCheckpointer().restore(path.resolve(), args=asked))
    except (ValueError, OSError) as error:
        raise DamageError(_unread(path)) from error
    if not all(isinstance(found[name], jax.Array) for name in like):  # what isn't there comes back as it was asked for
        raise DamageError(_unread(path))
    return found


def _unread(path: Path) -> str:
    return f"{path.parent.name}/{path.name} can't be read"

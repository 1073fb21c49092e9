"""A training that a command runs, told to the process that shows it: some steps of each piece, now and then a pass.

It is the page of :func:`explorer.watch`. Passes are computed aside, by this process alone and from the parameters as
they are: whoever trains along waits for nothing.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable

import jax
import numpy as np

from engine import cluster, wire
from engine.loop import Records, TrainState
from engine.optimisers import Controls
from engine.sampling import Sample
from explorer import members
from explorer.link import Link, Pieces
from explorer.room import Room

MOST = 32
"""Steps that are told of one piece of the training: more can't be told apart on the page."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Look:
    """A state whose pass is asked for."""

    state: TrainState
    controls: Controls


class Teller:
    """Tells a page of a run."""

    def __init__(self, room: Room, port: int, browser: bool) -> None:
        """Start the page.

        Args:
            room: the run.
            port: of the page, or the next one that is free.
            browser: whether it is opened in a browser.
        """
        self._room = room
        self._writer = wire.Writer(wire.COMMANDED)
        self._wanted = True
        page = ["-m", "explorer.watch_page", str(port), "browser" if browser else "quiet"]
        self._link = Link(page, self._pieces, self._heard)
        self._look()

    def tell(self, records: Records) -> None:
        """Tell of some steps that were taken; returns at once."""
        self._link.offer(records)
        self._look()

    def close(self) -> None:
        """The training has ended. The page goes on as long as somebody looks."""
        self._link.close()

    def _look(self) -> None:
        """Have the next pass shown, if one is asked for."""
        if self._wanted and self._room.broken is None:
            self._wanted = False
            self._link.offer(_Look(self._room.run.state, self._room.run.controls))

    def _heard(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "url" and cluster.several():  # what that process writes goes into a log
            print(f"Backprop Explorer follows the training at {rest}", file=sys.stderr, flush=True)
        self._wanted = self._wanted or word == "full"

    # ---- in a thread of its own -----------------------------------------------------------------------------------

    def _pieces(self, item: Records | _Look) -> Pieces:
        return self._pass(item) if isinstance(item, _Look) else self._columns(item)

    def _columns(self, records: Records) -> Pieces:
        nodes = dict.fromkeys([*self._room.watched, *self._room.parameters])
        return [*wire.columns(records, tuple(nodes), MOST), *members.message(self._room, records)]

    def _pass(self, look: _Look) -> Iterable[bytes | memoryview]:
        step = self._room.trainer.advance(look.state, look.controls)
        after = [np.asarray(leaf) for leaf in jax.tree.leaves(step.after.params)]
        return self._writer.pieces(Sample(look.state.step, step.loss, step.reading, self._room.parameters, None, after))

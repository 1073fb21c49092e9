"""How fast a page trains: as many steps at a time as leave it free to answer, and what is due to be shown meanwhile."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping

PIECE_SECONDS = 0.005
"""A click waits for a piece of the training at most, and for one thing that is shown after it."""

MOST = 256

EVERY_SECONDS = {"frame": 0.08, "pass": 0.25, "extras": 0.25, "judge": 1.5}
"""How often the charts are drawn, the pass on the graph and what is shown beside it are renewed, and the run judged."""

SENT_SECONDS = 0.03
"""Training waits so long at most for what is to be shown to be on its way: it would take turns with the thread that
sends it, and make an answer to a click come late.
"""

BREATH_SECONDS = 0.04
"""And so long after an answer, as a browser on the same machine has still to paint it."""

YIELD_SECONDS = 0.05
"""Where many train, a piece waits so long at most for somebody else to be answered."""

LUMP_SECONDS = 0.05
"""Where steps a second are limited, no piece is longer than what may be done in such a time."""

SHARE = 4
"""What takes long is shown less often: it leaves four times as long for the rest."""

TOGETHER_SECONDS = 0.07
"""Among many that train in one process, so much time lies between two frames, of whichever of them; what is shown less
often than they are is so in the same proportion.
"""

SELDOM_SECONDS = 5.0
"""However many they are, nobody waits longer for something to be due."""

CROWDED = 4
"""Among so many, and more, a piece may take that many times as long: each costs something by itself, and others click,
who don't wait for it.
"""

SLOW = 8
"""Pieces in a row that took too long before they become shorter: a single one may have waited for other programs."""

SLOWER = 1.02
"""By how much a step may take longer from one piece to the next: whatever else is longer, is time that it waited."""


class Pieces:
    """How many steps a piece has, and how long a step takes: all that train the same learn it together, so that a turn
    is the same training for each.
    """

    def __init__(self) -> None:
        self.count = 1
        self.seconds = 0.0
        """Of a step."""
        self._slow = 0

    def took(self, seconds: float, count: int, longest: float = PIECE_SECONDS) -> None:
        """Learn from how long a piece of some steps took, and how long one may."""
        each = seconds / count
        self.seconds = min(each, SLOWER * self.seconds) if self.seconds else each
        self._slow = self._slow + 1 if seconds > longest else 0
        if seconds < longest / 2 and count >= self.count:
            self.count = min(2 * self.count, MOST)
        elif self._slow >= SLOW:
            self.count, self._slow = max(self.count // 2, 1), 0


@dataclasses.dataclass(frozen=True)
class Piece:
    """What was trained in one turn."""

    steps: int
    seconds: float
    """That so many steps usually take; none for the first one of all, which nobody can tell from what it waited."""


NONE = Piece(0, 0.0)


class Pace:
    """When a page trains its next piece, and when what was shown last."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        most: float = math.inf,
        computed: Callable[[], float] = time.process_time,
    ) -> None:
        """Begin with single steps.

        Args:
            clock: tells seconds.
            most: steps a second.
            computed: tells the seconds that this process has computed.
        """
        self._clock, self._computed = clock, computed
        self._most = most
        self._free = -math.inf
        self._next: dict[str, float] = {}
        self.pieces = Pieces()

    def piece(self, does: Callable[[int], None], among: int = 1) -> Piece:
        """Have a piece trained, and learn from how long it took.

        Args:
            does: trains so many steps.
            among: how many train by turns.
        """
        start, count, known = self._clock(), self.count, bool(self.pieces.seconds)
        does(count)
        self.took(self._clock() - start, count, among)
        return Piece(count, count * self.pieces.seconds if known else 0.0)

    @property
    def count(self) -> int:
        """Steps of the next piece."""
        return int(min(self.pieces.count, max(self._most * LUMP_SECONDS, 1)))

    @property
    def early(self) -> float:
        """Seconds until more would be no more steps a second than may be."""
        return max(self._free - self._clock(), 0.0)

    def took(self, seconds: float, count: int, among: int = 1) -> None:
        """Learn from how long a piece took.

        Args:
            seconds: how long.
            count: how many steps it had.
            among: how many train by turns.
        """
        self._free = max(self._free, self._clock()) + count / self._most
        self.pieces.took(seconds, count, PIECE_SECONDS * min(among, CROWDED))

    def show(self, what: str, does: Callable[[], None], among: int = 1) -> bool:
        """Show something if it is time for it; whether it was.

        Args:
            what: a name of :data:`EVERY_SECONDS`.
            does: shows it.
            among: how many train by turns: what takes long for one of them takes its time from all.
        """
        start, computed = self._clock(), self._computed()
        if start < self._next.get(what, start):
            return False
        does()
        end = self._clock()
        took = min(end - start, self._computed() - computed)  # not what it waited for other programs
        crowd = max(1.0, TOGETHER_SECONDS * among / EVERY_SECONDS["frame"])
        pause = min(crowd * EVERY_SECONDS[what], SELDOM_SECONDS)
        self._next[what] = max(start + pause, end + SHARE * among * took)
        return True

    def show_one(self, shows: Mapping[str, Callable[[], None]], among: int = 1) -> bool:
        """Show what has been due for longest, if anything is: turns are rare among many, and nothing may always come
        before something else.
        """
        what = min(shows, key=lambda name: self._next.get(name, -math.inf))
        return self.show(what, shows[what], among)

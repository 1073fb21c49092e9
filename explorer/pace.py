"""How fast a page trains: as many steps at a time as leave it free to answer, and what is due to be shown meanwhile."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

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

NAP_SECONDS = 0.01

LUMP_SECONDS = 0.05
"""Where steps a second are limited, no piece is longer than what may be done in such a time."""

SHARE = 4
"""What takes long is shown less often: it leaves four times as long for the rest."""


class Pace:
    """Steps a piece, and when what was shown last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: float = math.inf) -> None:
        """Begin with single steps.

        Args:
            clock: tells seconds.
            most: steps a second.
        """
        self._clock = clock
        self._most = most
        self._free = -math.inf
        self._next: dict[str, float] = {}
        self.count = 1

    def piece(self, does: Callable[[int], None]) -> int:
        """Have a piece trained, and learn from how long it took; how many steps it had.

        Where other programs are busy, that is what it computed and not what it waited for: shorter pieces would come no
        sooner, and each costs something by itself.
        """
        start, computed, count = self._clock(), time.process_time(), self.count
        does(count)
        self.took(min(self._clock() - start, time.process_time() - computed), count)
        return count

    @property
    def early(self) -> bool:
        """Whether more would be more steps a second than may be."""
        return self._clock() < self._free

    def nap(self) -> None:
        """Sleep a little, if it is early; no longer than somebody who clicks would notice."""
        left = self._free - self._clock()
        if left > 0:
            time.sleep(min(left, NAP_SECONDS))

    def took(self, seconds: float, count: int = 0) -> None:
        """Learn from how long a piece took.

        Args:
            seconds: how long.
            count: how many steps it had.
        """
        self._free = max(self._free, self._clock()) + count / self._most
        if seconds < PIECE_SECONDS / 2:
            self.count = int(min(2 * self.count, MOST, max(self._most * LUMP_SECONDS, 1)))
        elif seconds > PIECE_SECONDS:
            self.count = max(self.count // 2, 1)

    def show(self, what: str, does: Callable[[], None], among: int = 1) -> bool:
        """Show something if it is time for it; whether it was.

        Args:
            what: a name of :data:`EVERY_SECONDS`.
            does: shows it.
            among: how many train by turns: what takes long for one of them takes its time from all.
        """
        start = self._clock()
        if start < self._next.get(what, start):
            return False
        does()
        end = self._clock()
        self._next[what] = max(start + EVERY_SECONDS[what], end + SHARE * among * (end - start))
        return True

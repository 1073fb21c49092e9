"""Who trains next: among the pages of this process turns go round, so that each gets as much time as the others.

A page trains a short piece at a time. Pages that all trained at once would only take the interpreter from one another,
and from whoever has clicked: while somebody is answered nobody begins with a piece.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from typing import Any


class Turns:
    """Gives turns, to whoever waits and has had the least time so far. May be used in any thread."""

    def __init__(self, at_once: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin, with nobody waiting.

        Args:
            at_once: pages that may train at the same time; as many as there are cores, unless given.
            clock: tells seconds.
        """
        self.at_once = at_once or os.cpu_count() or 1
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[Hashable, Callable[[], Any]] = {}
        self._since: dict[Hashable, float] = {}
        self._had: dict[Hashable, float] = {}
        self._least = 0.0
        self._answering = 0
        self._quiet = threading.Event()
        self._quiet.set()

    @property
    def among(self) -> int:
        """How many train by turns at the moment."""
        with self._lock:
            return max(1, len(self._waiting.keys() | self._since.keys()))

    def ask(self, who: Hashable, go: Callable[[], Any]) -> None:
        """Ask for a turn; ``go`` is called when it comes, at once or later, and only starts what is to be done. Where
        it returns ``False`` there is nobody any more, and others have the turn.
        """
        with self._lock:
            self._had[who] = max(self._had.get(who, 0.0), self._least)  # who was away doesn't catch up
            self._waiting[who] = go
        self._give()

    def done(self, who: Hashable, seconds: float | None = None) -> None:
        """Give a turn back; nothing happens if there was none.

        Args:
            who: had it.
            seconds: how long it counts, if not as long as it was: a machine that is busy elsewhere delays now this one
                and now that one, and those who train the same should come equally far.
        """
        with self._lock:
            since = self._since.pop(who, None)
            if since is not None and who in self._had:
                self._had[who] += self._clock() - since if seconds is None else seconds
        self._give()

    def leave(self, who: Hashable) -> None:
        """Ask no more, and give back what there is."""
        with self._lock:
            self._waiting.pop(who, None)
        self.done(who)
        with self._lock:
            self._had.pop(who, None)

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Somebody has clicked, and is answered until the block ends."""
        self._answers(1)
        try:
            yield
        finally:
            self._answers(-1)

    def _answers(self, more: int) -> None:
        with self._lock:
            self._answering += more
            self._quiet.clear() if self._answering else self._quiet.set()

    def quiet(self, seconds: float = 0.0) -> bool:
        """Wait until nobody is being answered, at most so long; whether nobody is."""
        return self._quiet.wait(seconds)

    def _give(self) -> None:
        while given := self._next():
            who, go = given
            if go() is False:
                with self._lock:
                    self._since.pop(who, None)
                    self._had.pop(who, None)

    def _next(self) -> tuple[Hashable, Callable[[], Any]] | None:
        with self._lock:
            ready = self._waiting.keys() - self._since.keys()
            if not ready or len(self._since) >= self.at_once:
                return None
            who = min(ready, key=self._had.__getitem__)
            self._least = self._had[who]
            self._since[who] = self._clock()
            return who, self._waiting.pop(who)


TURNS = Turns()
"""Of this process."""

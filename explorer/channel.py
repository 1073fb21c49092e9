"""From a worker's thread to the browser: in the page's own thread, not too early, and never more than it takes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from bokeh.document import Document


class Channel:
    """What is to be done to a page, in the order it was asked for."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._lock = threading.Lock()
        self._waiting: list[Callable[[], None]] | None = []
        self._pending: dict[str, dict[str, Any]] = {}
        self._taken = threading.Event()
        self._taken.set()

    def later(self, does: Callable[..., None], **arguments: Any) -> None:
        """In the page's own thread, as Bokeh asks, and not before the browser has the page: it would be lost."""
        call = partial(does, **arguments)
        with self._lock:
            if self._waiting is not None:
                self._waiting.append(call)
                return
        self._document.add_next_tick_callback(call)

    def newest(self, key: str, shows: Callable[..., None], **arguments: Any) -> None:
        """Like :meth:`later`, but of what the page's thread has not come to yet only the newest is done."""
        with self._lock:
            waits = key in self._pending
            self._pending[key] = arguments
            self._taken.clear()
        if not waits:
            self.later(self._now, key=key, shows=shows)

    def _now(self, key: str, shows: Callable[..., None]) -> None:
        with self._lock:
            arguments = self._pending.pop(key)
        shows(**arguments)
        with self._lock:
            if not self._pending:
                self._taken.set()

    def taken(self, seconds: float) -> bool:
        """Wait until the page's thread has come to all of that, at most so long; whether it has."""
        return self._taken.wait(seconds)

    def opened(self) -> None:
        """The browser has the page: from now on it can be told what changes."""
        with self._lock:
            waiting, self._waiting = self._waiting or [], None
        for call in waiting:
            self._document.add_next_tick_callback(call)

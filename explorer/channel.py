"""From a worker's thread to the browser: in the page's own thread, not too early, and never more than it takes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from bokeh.document import Document
from panel.io.state import set_curdoc

FIRST_SECONDS = 0.02

AWAY_SECONDS = 0.5
"""How often it is looked whether a tab that is away (a phone that sleeps) has come back."""


class Soon(Protocol):
    """Has something done in the server's own thread, whichever thread asks for it.

    Unless told otherwise once a new page is on its way: two threads that compute take turns, and the page comes first.
    """

    def __call__(self, does: Callable[[], Any], seconds: float = FIRST_SECONDS) -> Any:
        """Do it after so many seconds."""


class Channel:
    """What is to be done to a page, in the order it was asked for.

    No other thread touches the document, not even to ask for a turn: Panel holds it while it sends, and what another
    thread asks it for at that moment can be lost.
    """

    def __init__(self, document: Document, soon: Soon) -> None:
        self._document, self._soon = document, soon
        self._lock = threading.Lock()
        self._calls: deque[Callable[[], None]] = deque()
        self._open = False
        self._comes = False
        self._pending: dict[str, dict[str, Any]] = {}
        self._taken = threading.Event()
        self._taken.set()

    def later(self, does: Callable[..., None], **arguments: Any) -> None:
        """In the page's own thread, as Bokeh asks, and not before the browser has the page: it would be lost."""
        with self._lock:
            self._calls.append(partial(does, **arguments))
        self._call()

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
        self._open = True
        self._call()

    def _call(self) -> None:
        """Have the page's thread come, unless it comes already or has nothing to do."""
        with self._lock:
            due = self._open and bool(self._calls) and not self._comes
            self._comes = self._comes or due
        if due:
            self._soon(self._come, 0)

    async def _come(self) -> None:
        context = self._document.session_context
        if context is None:  # the tab is gone
            return
        if not context.session.connection_count:  # it is away; to hold its document would keep it for ever
            self._soon(self._come, AWAY_SECONDS)
        else:
            await context.with_locked_document(self._take)

    async def _take(self, document: Document) -> None:
        """Do what has waited longest; whatever becomes of it, and after what the page asks meanwhile, the next."""
        with self._lock:
            call, self._comes = self._calls.popleft(), False
        self._call()
        with set_curdoc(document):
            call()

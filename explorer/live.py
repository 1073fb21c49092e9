"""The page of a training loop in another process: the same page, renewed when something arrives."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from bokeh.document import Document

from explorer import folding, late
from explorer.app import Message, Opening, Page
from explorer.channel import Soon
from explorer.errors import ExplorerError
from explorer.pace import Pace

if TYPE_CHECKING:
    from explorer.follow import Follow
    from explorer.followed import Feed

_PATIENCE = 0.2
"""Seconds between two looks whether a first pass has come."""


class LivePage(Page):
    """One tab that follows. It asks for whole passes as long as it is open, and holds back nobody."""

    def __init__(self, feed: Feed, opening: Opening, document: Document, soon: Soon) -> None:
        self._feed = feed
        self._pace = Pace()
        self._news, self._closed = threading.Event(), False
        super().__init__(opening, document, soon)
        known = ("export", "explain", "fetch", "row", *folding.MESSAGES)
        own = {"play": self._go_on, "pause": self._hold, "rewind": self._rewind}
        self._parts = {name: self._parts[name] for name in known} | own
        self.shows.supposed = dict  # nothing can be changed by hand
        self.shows.passed = lambda: None  # nor divided
        feed.listeners.append(self._arrived)

    def close(self) -> None:
        """The tab is gone."""
        if not self._closed:
            self._feed.listeners.remove(self._arrived)
        self._closed = True
        super().close()

    def _follow(self) -> Follow:
        session: Any = self._known()
        return session

    def _begin(self) -> None:
        """Wait for the first pass: the first step that is read is compiled while the page opens."""
        while not self._closed and not (self._feed.followed and self._feed.followed.passes):
            if self._feed.ended:
                raise ExplorerError("The training ended before one of its steps could be read in full.")
            self._feed.want()
            threading.Event().wait(_PATIENCE)
        if not self._closed:
            follow: Any = late.load("explorer.follow").Follow(self._feed)
            self._session = follow
            self.shows.told["playing"] = True
            self._push()
            self._judge()

    def _do(self, message: Message) -> None:
        """What a message asks, at once: nothing has to be compiled here."""
        if self._session is not None:
            self._parts[message["type"]](message)

    def _prove(self, message: Message) -> None:
        """The function is elsewhere, so nothing is proved here."""

    def _arrived(self) -> None:
        if not self._news.is_set():
            self._news.set()
            self._crew.ask(self._renew)

    def _renew(self) -> None:
        self._news.clear()
        if self._session is None:
            return
        self._pace.show("frame", self._run)
        self._pace.show("pass", self._catch_up)
        if self._feed.ended:
            self._settle()
        else:
            self._pace.show("judge", self._judge)

    def _run(self) -> None:
        self.shows.running()
        if self._feed.members:
            self.shows.divided({"members": self._feed.members})

    def _catch_up(self) -> None:
        if self._follow().renew():
            self.shows.passing()
            self.shows.extras()

    def _settle(self) -> None:
        self._catch_up()
        self._run()
        self._judge()

    def _judge(self) -> None:
        self.shows.judged(self._known().findings())

    # ---- from the browser -----------------------------------------------------------------------------------------

    def _go_on(self, message: Message) -> None:
        self._turn(False)

    def _hold(self, message: Message) -> None:
        self._turn(True)

    def _turn(self, held: bool) -> None:
        self.shows.told["playing"] = not held
        self._follow().hold(held)
        self._push()

    def _rewind(self, message: Message) -> None:
        self.shows.told["playing"] = False
        self._follow().rewind(int(message["step"]))
        self._push()

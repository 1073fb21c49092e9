"""Lessons on a page: which one is on, at which beat, and what was answered. Messages -> the player -> the views."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from explorer import late
from explorer.running import Running
from explorer.showing import Showing

if TYPE_CHECKING:
    from explorer.lessons.lesson import Lesson
    from explorer.lessons.play import Player
    from explorer.session import Session

Message = dict[str, Any]


class Teaching:
    """The lesson's part of one page."""

    def __init__(
        self,
        known: Callable[[], Session],
        shows: Showing,
        running: Running,
        push: Callable[[], None],
        again: Callable[[Message], None],
    ) -> None:
        """Begin, without a lesson.

        Args:
            known: the page's session.
            shows: the views.
            running: the training's part of the page.
            push: sends everything there is to see.
            again: takes a message as if it had come from the browser now.
        """
        self._known, self._shows, self._running = known, shows, running
        self._push, self._again = push, again
        self.own: Lesson | None = None
        """A lesson of somebody's own, known by its name beside those of the course."""
        self.player: Player | None = None

    def received(self, message: Message) -> None:
        """Do what a message asks.

        Raises:
            ExplorerError: there is no such lesson, or it speaks of what isn't there.
        """
        _DOES[str(message["type"])](self, message)

    @property
    def place(self) -> dict[str, Any]:
        """Lesson and beat, as an address has them; empty outside lessons."""
        return {"lesson": self.player.lesson.name, "beat": self.player.number} if self.player else {}

    def _lesson(self, message: Message) -> None:
        """Begin a lesson, at a beat; or end the one that is on, where no name is given."""
        name = str(message["name"])
        if not name:
            self.player = None
            self._shows.lesson({})
            return
        lesson = self.own if self.own and self.own.name == name else late.load("explorer.lessons.course").find(name)
        self.player = late.load("explorer.lessons.play").Player(self._known(), lesson)
        self._beat({"number": message.get("beat", 0)})

    def _beat(self, message: Message) -> None:
        if self.player:
            self.player.go(int(message["number"]))
            self._back({})

    def _back(self, message: Message) -> None:
        """Bring the page to where the beat is, wherever somebody went meanwhile."""
        if self.player is None:
            return
        before = self._known().room
        self._running.stop()
        self.player.prepare()
        self._shows.controls(self.player.lesson)
        if self._known().room is not before:
            self._running.anew()
        if self._known().waiting:
            self._push()
        self._again({"type": "arrive_trained" if self.player.trains else "arrive"})

    def _arrive(self, message: Message) -> None:
        """The rest of the way, once everything that it needs is compiled."""
        if self.player is None:
            return
        self.player.arrive()
        self._running.settle()
        self._shows.lesson(self.player.told())
        self._shows.reply(type="stand", **self.player.standing())

    def _answer(self, message: Message) -> None:
        """Mark what somebody predicts."""
        if self.player is None:
            return
        if self.player.answer(str(message["value"])):
            self._back({})
        else:
            self._shows.lesson(self.player.told())

    def _solve(self, message: Message) -> None:
        """Show the answer without one."""
        if self.player:
            self.player.show()
            self._back({})


_DOES: Mapping[str, Callable[[Teaching, Message], None]] = {
    "lesson": Teaching._lesson,
    "beat": Teaching._beat,
    "back": Teaching._back,
    "arrive": Teaching._arrive,
    "arrive_trained": Teaching._arrive,
    "answer": Teaching._answer,
    "solve": Teaching._solve,
}

MESSAGES = frozenset(_DOES)
"""Types of the messages that are about lessons; a page sends itself ``arrive`` and ``arrive_trained``."""

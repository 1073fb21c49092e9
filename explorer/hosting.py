"""The teacher's part of one page: opens a class, shows it what the page shows, and answers what followers ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from explorer import late
from explorer.addresses import own_address
from explorer.classroom import CLASSES, Class, Follower
from explorer.errors import ExplorerError
from explorer.views.classroom import ClassView

if TYPE_CHECKING:
    from explorer.session import Session

Message = dict[str, Any]

FOLLOWED = {
    "graph": ("scene", "figures", "status", "proof", "whatif", "plain", "ways"),
    "room": ("frame", "status", "extras", "findings", "compare", "surface"),
    "lesson": ("told",),
}
"""What of each view followers see."""

DELAY_SECONDS = {"graph": 0.05, "room": 0.4, "lesson": 0.02}
"""How long changes of a view are gathered: charts of a run that plays come ten times a second, which nobody needs."""

MESSAGES = frozenset({"class_open", "class_end", "at"})
"""Types of the messages that are the class's."""

MOST_WAITING = 20
"""Questions of followers that may wait for an answer."""


class Hosting:
    """The class of one page, if it has opened one."""

    def __init__(
        self,
        known: Callable[[], Session | None],
        ask: Callable[[Callable[[], Any]], Any],
        later: Callable[..., None],
        views: Mapping[str, Any],
        local: bool,
    ) -> None:
        """Begin, without a class.

        Args:
            known: the page's session, once there is one.
            ask: does a job after those that were asked for before.
            later: does something in the page's own thread.
            views: what followers see of it: ``graph``, ``room``, ``lesson``.
            local: whether only this machine can reach the server.
        """
        self._known, self._ask, self._later, self._local = known, ask, later, local
        self._views = views
        views["graph"].replied = self._replied
        self.view = ClassView(self.received)
        self._class: Class | None = None
        self._waiting = 0
        self._due: dict[str, set[str]] = {}
        self._loop: Any = None
        self._tasks: set[Any] = set()
        for name, view in views.items():
            view.param.watch(lambda *events, name=name: self._changed(name, events), list(FOLLOWED[name]))

    def received(self, message: Message) -> None:
        """Open a class, end it, or move its playhead: in the page's own thread, whichever one Panel tells it in."""
        self._later(self._do, message=message)

    def _do(self, message: Message) -> None:
        match message.get("type"):
            case "class_open":
                self._open(str(message.get("origin", ""))[:200])
            case "class_end":
                self.end("The teacher has ended the class.")
                self._views["graph"].live, self.view.told = False, {}
            case "at" if self._class is not None:
                self._class.show({"at": message})
                self._tell()

    # ---- the class --------------------------------------------------------------------------------------------------

    def _open(self, origin: str) -> None:
        if self._class is not None:
            return
        try:
            self._class = CLASSES.open(self._stands)
        except ExplorerError as error:
            self.view.told = {"error": str(error)}
            return
        self._loop = asyncio.get_running_loop()
        self._class.asks = self._asked
        for name, view in self._views.items():
            self._class.show({f"{name}.{each}": getattr(view, each) for each in FOLLOWED[name]})
        self._link(origin)
        self._put_question()
        self._stands()
        self._views["graph"].live = True

    def _link(self, origin: str) -> None:
        """Where people join: at an address that others can reach, if there is one."""
        assert self._class is not None
        parts = urlsplit(origin)
        alone = parts.hostname in ("127.0.0.1", "localhost", "::1", None)
        host = f"{own_address()}:{parts.port or 80}"
        reach = ""
        if self._local:
            reach = f"Only this machine can join: start the server with --address 0.0.0.0, and people join at http://{host}/join"
        base = f"http://{host}" if alone and not self._local else f"{parts.scheme}://{parts.netloc}"
        link = f"{base}/join?code={self._class.code}"
        self._fixed = {"link": link, "join": f"{base}/join", "reach": reach, "qr": late.load("explorer.qr").path(link)}

    def end(self, why: str) -> None:
        """End the class, and tell those in it why."""
        ended, self._class = self._class, None
        if ended is None:
            return
        CLASSES.close(ended)
        ended.show({"ended": why})
        self._loop.call_soon_threadsafe(lambda: self._spawn(ended.tell()))

    def close(self) -> None:
        """The page is gone, and with it the class."""
        self.end("The teacher's page is closed, and with it the class.")

    def _stands(self) -> None:
        """Tell the teacher how the class stands."""
        if self._class is not None:
            told = {**self._class.told(), **self._fixed}
            self._later(lambda: setattr(self.view, "told", told))

    # ---- what the class sees ----------------------------------------------------------------------------------------

    def _changed(self, name: str, events: tuple[Any, ...]) -> None:
        """Something of a view has changed: gather it a little."""
        if self._class is None:
            return
        if name not in self._due:
            self._loop.call_later(DELAY_SECONDS[name], self._gathered, name)
        self._due.setdefault(name, set()).update(event.name for event in events)

    def _gathered(self, name: str) -> None:
        due, view = self._due.pop(name, set()), self._views[name]
        if self._class is None:
            return
        self._class.show({f"{name}.{each}": getattr(view, each) for each in due})
        self._put_question()
        self._tell()

    def _put_question(self) -> None:
        """Have the class answer what the lesson asks."""
        told = self._views["lesson"].told
        ask = told.get("ask")
        if self._class is not None:
            self._class.ask(f"{told['beat']} {ask['question']}" if ask else "", answered=bool(ask and ask["answer"]))

    def _replied(self, reply: Message) -> None:
        """What the inspector was told, its followers are told as well."""
        if self._class is not None and reply.get("type") in ("explained", "fetched"):
            self._class.show({"graph.reply": reply})
            self._tell()

    def _tell(self) -> None:
        if self._class is not None:
            self._spawn(self._class.tell())

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- what the class asks ----------------------------------------------------------------------------------------

    def _asked(self, follower: Follower, message: Message) -> None:
        """Look something up in the teacher's session, in its turn; nothing is changed by that."""
        if self._waiting < MOST_WAITING:
            self._waiting += 1
            self._ask(lambda: self._answer(follower, message))

    def _answer(self, follower: Follower, message: Message) -> None:
        try:
            told = looked_up(self._known(), message)
        finally:
            self._waiting -= 1
        self._loop.call_soon_threadsafe(lambda: self._spawn(follower.say({"reply": told})))


def looked_up(session: Session | None, message: Message) -> Message:
    """The sentence about an entry, or a node's arrays, as a page is told them; a sentence where that can't be."""
    wrong = {"type": "told", "text": "The teacher's page can't say that now."}
    if session is None or session.waiting:
        return wrong
    box, node, index = str(message.get("box", ""))[:200], str(message.get("node", ""))[:200], message.get("index")
    try:
        if message["type"] == "fetch":
            return {"type": "fetched", "box": box, "found": session.region(node)}
        place = None if index is None else tuple(map(int, index))
        return {"type": "explained", "box": box, "sentence": session.explain(node, place)}
    except (late.load("engine.errors").EngineError, ExplorerError, TypeError, ValueError):
        return wrong

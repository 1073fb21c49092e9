"""The data-parallel room's part of one page: how a step is divided, and what the devices have of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from explorer import late
from explorer.errors import ExplorerError
from explorer.fleet_process import FLEET
from explorer.showing import Showing

if TYPE_CHECKING:
    from explorer.session import Session

Message = dict[str, Any]

OWN = "A function of your own has no batch of examples that could be divided: choose one of the tasks."


SHARED = "Many share this server, and there are no devices for each of them: see it on a machine of your own."


class Dividing:
    """Asks the process that has the devices: one question at a time, and of those that wait the newest."""

    def __init__(
        self,
        known: Callable[[], Session],
        ask: Callable[[Callable[[], Any]], Any],
        shows: Showing,
        settings: Callable[[], None],
        shared: bool = False,
    ) -> None:
        """Begin, with one device.

        Args:
            known: the page's session.
            ask: has something done in the page's own turn.
            shows: the views.
            settings: sends the form again.
            shared: whether many share the server: then there are no devices for each of them.
        """
        self._known, self._ask, self._shows, self._settings = known, ask, shows, settings
        self._shared = shared
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="devices")
        self._busy = self._closed = False
        self._next: dict[str, Any] | None = None
        self._told: dict[str, Any] = {}

    def close(self) -> None:
        """Ask nothing more."""
        self._closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)

    def received(self, message: Message) -> None:
        """Do what a message asks."""
        _DOES[str(message["type"])](self, message)

    def refresh(self) -> None:
        """Look at the step that is shown, if it is divided."""
        session = self._known()
        if session.split.devices > 1:
            self._question({"of": "look", "tensor": session.tensor})
        elif self._told:
            self._told = {}
            self._show()

    # ---- from the browser -------------------------------------------------------------------------------------------

    def _divide(self, message: Message) -> None:
        session = self._known()
        kinds = {"devices": int, "pieces": int, "sharded": bool}
        given = {name: kind(message[name]) for name, kind in kinds.items() if name in message}
        session.divide(**given)
        if "devices" in given:  # what was tried on others is no more to be seen
            for tried in ("drift", "straggle"):
                self._told.pop(tried, None)
        session.tensor = str(message.get("tensor", session.tensor))
        self._settings()
        self.refresh()

    def _drift(self, message: Message) -> None:
        self._question({"of": "drift", "meet": int(message.get("meet", 0))})

    def _straggle(self, message: Message) -> None:
        self._question({"of": "straggle", "device": int(message["device"])})

    # ---- to the devices and back ------------------------------------------------------------------------------------

    def _question(self, asked: dict[str, Any]) -> None:
        session = self._known()
        if self._shared or session.target is not None:
            self._take({"of": asked["of"], "error": SHARED if self._shared else OWN})
            return
        fleet = late.load("explorer.fleet")
        question = asked | {
            "session": str(id(session)),
            "settings": dataclasses.asdict(session.settings),
            "events": fleet.events(session.room.run),
            "step": session.at_step,
            "split": dataclasses.asdict(session.split),
        }
        if self._busy:
            self._next = question
            return
        self._begin(question)

    def _begin(self, question: dict[str, Any]) -> None:
        self._busy = True
        self._told["waiting"] = question["of"]
        self._show()
        if not self._closed:
            self._thread.submit(self._answer, question)

    def _answer(self, question: Mapping[str, Any]) -> None:
        try:
            found = FLEET.ask(question)
        except ExplorerError as error:
            found = {"error": str(error)}
        if not self._closed:
            self._ask(lambda: self._take(found | {"of": question["of"]}))

    def _take(self, found: dict[str, Any]) -> None:
        self._busy, waiting = False, self._next
        self._next = None
        self._told["waiting"] = ""
        self._told["error"] = found.get("error", "")
        if "error" not in found:
            self._told[str(found["of"])] = found
        if self._known().split.devices > 1 or found.get("error"):
            self._show()
        if waiting:
            self._begin(waiting)

    def _show(self) -> None:
        self._shows.divided(dict(self._told) | {"split": dataclasses.asdict(self._known().split)})


_DOES: Mapping[str, Callable[[Dividing, Message], None]] = {
    "divide": Dividing._divide,
    "drift": Dividing._drift,
    "straggle": Dividing._straggle,
}

MESSAGES = frozenset(_DOES)
"""Types of the messages that are this room's."""

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
    from explorer.room import Room
    from explorer.session import Session

Message = dict[str, Any]

HANDED = "The process that has the devices finds a function by its name: give it as MODULE:FUNCTION."

SHARED = "Many share this server, and there are no devices for each of them: see it on a machine of your own."

TRIALS = ("drift", "straggle")
"""What a person tries on the devices."""


class Dividing:
    """Asks the process that has the devices: one question at a time, and of those that wait the newest of each kind."""

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
        self._closed = False
        self._asking = ""
        self._next: dict[str, dict[str, Any]] = {}
        self._told: dict[str, Any] = {}
        self._far = False
        """Whether the devices would take long to come to the training's step."""
        self._of: Room | None = None

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
        if session.room is not self._of:  # what is known is of another training
            self._of, self._told, self._next, self._far = session.room, {}, {}, False
        if session.split.devices > 1:
            self._question({"of": "look", "tensor": session.tensor})
        elif self._told:
            self._told = {}
            self._shows.divided({"split": dataclasses.asdict(session.split)})

    # ---- from the browser -------------------------------------------------------------------------------------------

    def _divide(self, message: Message) -> None:
        session = self._known()
        kinds = {"devices": int, "pieces": int, "sharded": bool}
        given = {name: kind(message[name]) for name, kind in kinds.items() if name in message}
        session.divide(**given)
        if "devices" in given:  # what was tried on others is no more to be seen
            for tried in TRIALS:
                self._told.pop(tried, None)
                self._next.pop(tried, None)
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
        if refused := self._refused(session):
            self._told["error"] = refused
            self._show()
            return
        fleet = late.load("explorer.fleet")
        question = asked | {
            "session": str(id(session)),
            "settings": dataclasses.asdict(session.settings),
            "target": session.target.text if session.target else "",
            "start": session.room.problem.start if session.target else "",
            "events": fleet.events(session.room.run),
            "step": session.at_step,
            "split": dataclasses.asdict(session.split),
        }
        self._next[asked["of"]] = question
        if not self._asking:
            self._begin()
        elif asked["of"] in TRIALS:
            self._show()

    def _refused(self, session: Session) -> str:
        """Why the devices can't be asked; empty if they can."""
        if self._shared:
            return SHARED
        return HANDED if session.target is not None and not session.target.text else ""

    def _begin(self) -> None:
        """Ask what a person tries before what is looked at anyway."""
        kind = next((kind for kind in (*TRIALS, "look") if kind in self._next), "")
        self._asking = kind
        self._show()
        if kind and not self._closed:
            question, room = self._next.pop(kind), self._known().room
            if self._far and question["step"] <= room.step:
                question["begin"], self._far = late.load("explorer.fleet").carried(room.run.at(question["step"])), False
            self._thread.submit(self._answer, question, room)

    def _answer(self, question: Mapping[str, Any], room: Room) -> None:
        try:
            found = FLEET.ask(question)
        except ExplorerError as error:
            found = {"error": str(error)}
        if not self._closed:
            self._ask(lambda: self._take(found, question, room))

    def _take(self, found: Message, question: Mapping[str, Any], room: Room) -> None:
        session, kind = self._known(), str(question["of"])
        self._asking = ""
        if session.room is room and (kind == "look" or question["split"]["devices"] == session.split.devices):
            self._told["error"] = found.get("error", "")
            if "error" not in found:
                self._told[kind] = found
        self._far = bool(found.get("far"))
        behind = "error" not in found and found["step"] < session.at_step
        if behind and "look" not in self._next:  # they need some time to come so far
            self.refresh()
        if not self._asking:
            self._begin()

    def _show(self) -> None:
        session = self._known()
        if session.split.devices > 1 or self._told.get("error"):
            waiting = [kind for kind in (*TRIALS, "look") if kind in self._next or kind == self._asking]
            self._shows.divided(
                {**self._told, "split": dataclasses.asdict(session.split), "waiting": waiting, "goal": session.at_step}
            )


_DOES: Mapping[str, Callable[[Dividing, Message], None]] = {
    "divide": Dividing._divide,
    "drift": Dividing._drift,
    "straggle": Dividing._straggle,
}

MESSAGES = frozenset(_DOES)
"""Types of the messages that are this room's."""

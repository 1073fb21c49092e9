"""What the training room asks for: steps, playing, going back, comparing, saving. Messages -> the session."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from explorer.crew import Crew
from explorer.gauges import GAUGES
from explorer.pace import BREATH_SECONDS, NONE, SENT_SECONDS, YIELD_SECONDS, Pace, Piece
from explorer.showing import Showing
from explorer.turns import TURNS

if TYPE_CHECKING:
    from explorer.session import Session

Message = dict[str, Any]

_NOBODY = frozenset[str]()


class Running:
    """The training's part of one page."""

    def __init__(
        self,
        known: Callable[[], Session],
        crew: Crew,
        shows: Showing,
        push: Callable[[], None],
        again: Callable[[Message], Any],
        limits: Any = None,
    ) -> None:
        """Begin, with nothing running.

        Args:
            known: the page's session.
            crew: does what takes long aside.
            shows: the views.
            push: sends everything there is to see.
            again: takes a message as if it had come from the browser now; false where the page is gone.
            limits: what a page may ask for, where many share a server.
        """
        self._known, self._crew, self._shows, self._push, self._again = known, crew, shows, push, again
        self._pace = Pace(most=limits.steps if limits else math.inf)
        self._at_once: int = limits.at_once if limits else sys.maxsize
        self._answered = False
        self._findings: list[dict[str, Any]] = []

    def received(self, message: Message) -> None:
        """Do what a message asks.

        Raises:
            EngineError: it can't be done; the message says why.
        """
        _DOES[str(message["type"])](self, message)

    @property
    def playing(self) -> bool:
        """Whether it trains on by itself."""
        return bool(self._shows.told["playing"])

    def rest(self) -> None:
        """Let others train, for a while or for good."""
        TURNS.done(self)

    def close(self) -> None:
        """The page is gone."""
        TURNS.leave(self)

    def answered(self) -> None:
        """Something else was asked for and done: give the browser the time to show it."""
        self._answered = True

    def stop(self) -> None:
        """Train no further by itself."""
        self._play_on(False)

    def anew(self) -> None:
        """Another run is shown: forget what was said of the one before."""
        self.stop()
        self._shows.told.pop("saved", None)
        self._shows.judged(None)
        self._shows.surface({})

    def settle(self) -> None:
        """Show everything there is to see, and what is to be said of it."""
        self._judge() if self._known().room.step else self._shows.judged(None)
        self._push()

    def _play_on(self, on: bool) -> None:
        self._shows.told["playing"] = on
        self._known().listen(_NOBODY if on and not self._shows.graph.live else None)  # a class may look at any box

    # ---- training --------------------------------------------------------------------------------------------------

    def _train(self, message: Message) -> None:
        self._known().train()
        self._shows.told["run"] += 1
        self._push()

    def _steps(self, message: Message) -> None:
        self._known().advance(min(int(message["count"]), self._at_once))
        self._come_to_rest()

    def _play(self, message: Message) -> None:
        if not self.playing and not self._known().ended:
            self._play_on(True)
            self._shows.running()
            self._next()

    def _pause(self, message: Message) -> None:
        if self.playing:
            self.stop()
            self._come_to_rest()

    def _next(self) -> None:
        """Go on when it is this page's turn, and after whatever was asked for meanwhile."""
        TURNS.ask(self, lambda: self._again({"type": "piece"}))

    def _piece(self, message: Message) -> None:
        """Train a little, show what is due, and ask for another turn."""
        failed, trained = True, NONE
        try:
            if self.playing and not self._pace.early:
                trained = self._train_on()
            failed = False
        finally:
            TURNS.done(self, trained.seconds)
            if failed:
                self.stop()
                self._shows.running()
        if self.playing:
            self._crew.rest(self._pace.early)
            self._next()

    def _train_on(self) -> Piece:
        session, among = self._known(), TURNS.among
        self._leave_time(among)
        behind = session.behind
        self._pace.pieces = session.pieces
        trained = self._pace.piece(session.advance, among)
        GAUGES.stepped(trained.steps)
        if session.ended or (behind and not session.behind):  # side by side now
            self.stop()
            self._come_to_rest()
        elif not self._crew.waiting and TURNS.quiet():  # a click comes first
            shows = {"frame": self._shows.running, "pass": self._catch_up}
            shows |= {"extras": self._more, "judge": self._judge}
            self._pace.show_one(shows, among)  # one at a time: a click may come
        return trained

    def _leave_time(self, among: int) -> None:
        """To the browser, where it has just been told something; where many train, to whoever has clicked."""
        if among > 1:  # there was time enough between two turns
            TURNS.quiet(YIELD_SECONDS)
        else:
            self._shows.sent(SENT_SECONDS)
            if self._answered:
                self._crew.rest(BREATH_SECONDS)
        self._answered = False

    def _catch_up(self) -> None:
        self._known().catch_up(0.0)
        self._shows.passing()

    def _more(self) -> None:
        self._known().look_back()  # one at a time, and not with the pass: whoever clicks waits for what has begun
        self._shows.extras()

    def _come_to_rest(self) -> None:
        """Show where training has come to."""
        self._known().catch_up()
        self.settle()

    def _judge(self) -> None:
        self._findings = self._known().findings()
        self._shows.judged(self._findings)

    # ---- what was trained -------------------------------------------------------------------------------------------

    def _rewind(self, message: Message) -> None:
        self.stop()
        self._known().rewind(int(message["step"]))
        self._push()

    def _reset(self, message: Message) -> None:
        self.stop()
        self._known().reset()
        self._push()
        self.anew()

    def _remedy(self, message: Message) -> None:
        remedy = self._findings[int(message["finding"])]["remedies"][int(message["remedy"])]
        self.stop()
        self._known().compare(remedy["change"], remedy["label"])
        self._again({"type": "play"})

    def _keep(self, message: Message) -> None:
        self._known().keep(message["which"] == "new")
        self._push()
        self.anew()
        self._judge()

    def _save(self, message: Message) -> None:
        if self._shows.told["local"]:
            folder = self._known().keeper.save(self._known().room)
            text = f"Saved in {folder}; name that folder in Set-up to open it again."
            self._shows.reply(type="told", text=text)
            self._shows.told["saved"] = {"text": text, "step": self._shows.status()["step"]}
            self._shows.running()

    def _survey(self, message: Message) -> None:
        # the same again is an answer too
        self._crew.beside(self._known().survey(), lambda found: self._shows.surface(found | {"at": time.monotonic()}))

    def _freeze(self, message: Message) -> None:
        self._known().freeze([str(id) for id in message["ids"]], bool(message["value"]))
        self._push()

    def _row(self, message: Message) -> None:
        self._shows.reply(type="select", node=str(message["id"]))


_DOES: Mapping[str, Callable[[Running, Message], None]] = {
    name: getattr(Running, f"_{name}")
    for name in (
        *("train", "steps", "play", "pause", "piece", "rewind", "reset"),
        *("remedy", "keep", "save", "survey", "freeze", "row"),
    )
}

MESSAGES = frozenset(_DOES)
"""Types of the messages that are the training room's; ``piece`` is one that a page sends itself."""

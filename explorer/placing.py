"""Where a page stands, and going back there: the session <-> a place that a link holds. Its part of one page."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from engine.errors import EngineError
from engine.tasks.settings import TASKS, Settings
from explorer.pace import Pace
from explorer.place import Place, write
from explorer.room import DIALS, OWN
from explorer.showing import Showing
from explorer.uploads import passing

if TYPE_CHECKING:
    from explorer.session import Session

Message = dict[str, Any]

PATIENCE_SECONDS = 60.0
"""How long a link may have a page trained."""


def place_of(session: Session) -> Place:
    """Where a session stands, but for the playhead, which only the browser knows."""
    usual, step = session.usually_open, session.at_step
    trained = session.trained
    ahead = session.room.step if session.room.step > step and not trained else None
    return Place(
        settings=_mattering(session.settings, session.target is not None),
        function=session.target.name if session.target else "",
        step=step,
        of=ahead,
        trained=trained,
        granularity=session.granularity,
        plumbing=session.plumbing,
        **dataclasses.asdict(session.split),
        open=tuple(sorted(session.opened - usual)),
        fold=tuple(sorted(usual - session.opened)),
    )


def missing(session: Session) -> str:
    """Why a link can't lead back to what is shown, in a sentence; or nothing."""
    if passing(session.settings.csv):
        return "A link can't hold a table from your own machine; it is here until this page is closed."
    if len(session.room.run.events) > 1:
        return "A link can't hold what was changed by hand while it trained; save the run to keep it."
    if session.other is not None:
        return "A link holds the first of two runs that are compared, not the second."
    if session.supposes:
        return "A link holds the real step, not what was changed in it by hand."
    return ""


def fold_as(session: Session, place: Place) -> list[str]:
    """Fold a session's graph as a place has it; what there is nothing of is told."""
    session.set_granularity(place.granularity)
    session.show_plumbing(place.plumbing)
    known = {scope.id for scope in session.graph.scopes}
    unknown = [id for id in (*place.open, *place.fold) if id not in known]
    for scope in {*place.open} - session.opened | {*place.fold} & session.opened:
        if scope in known:
            session.toggle(scope)
    return [f"This graph has nothing called {id[:40]!r} to open or fold." for id in unknown[:3]]


def _divided_as(session: Session, place: Place) -> list[str]:
    """Divide a session's steps as a place has it; why that can't be is told."""
    try:
        session.divide(devices=place.devices, pieces=place.pieces, sharded=place.sharded)
    except EngineError as error:
        return [str(error)]
    return []


def _mattering(settings: Settings, own: bool) -> Settings:
    """The settings that matter to the task, the others as usual."""
    task = TASKS[settings.task]
    names = DIALS if own else {"task", *task.uses, *DIALS, *(["csv"] if settings.task == "csv" else [])}
    return dataclasses.replace(OWN if own else Settings(), **{name: getattr(settings, name) for name in names})


class Placing:
    """The link's part of one page: what the page is told to copy, and how it comes to where a link leads."""

    def __init__(
        self,
        known: Callable[[], Session],
        shows: Showing,
        again: Callable[[Message], None],
        judge: Callable[[], None],
        taught: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        """Begin, on the way to nowhere.

        Args:
            known: the page's session.
            shows: the views.
            again: takes a message as if it had come from the browser now.
            judge: sends everything there is to see, and says what is wrong with the run.
            taught: ``lesson`` and ``beat``, where a lesson is on.
        """
        self._known, self._shows, self._again, self._judge = known, shows, again, judge
        self._taught = taught
        self._hide: tuple[str, ...] = ()
        self._aim: Place | None = None
        self._said: list[str] = []
        self._room: Any = None
        self._until = 0.0
        self._pace = Pace()
        shows.linked = self.told

    def told(self) -> dict[str, Any]:
        """What the browser needs to copy a link; it adds where the playhead is. On the way there is nothing to copy."""
        if self._aim is not None:
            return {}
        place = dataclasses.replace(place_of(self._known()), **self._taught(), hide=self._hide)
        return {"link": {"query": write(place), "missing": missing(self._known())}}

    def begin(self, place: Place) -> None:
        """Go where a link leads: fold at once, train as soon as that is compiled."""
        session = self._known()
        self._said = [*place.said, *fold_as(session, place), *_divided_as(session, place)]
        self._hide = place.hide
        self._shows.hides(place.hide)
        if not (place.step or place.of or place.trained):
            self._arrive(place)
            return
        self._aim, self._room = place, session.room
        self._again({"type": "return"})

    def leave(self) -> None:
        """Somebody does something else: stay where one is."""
        if self._aim is not None:
            self._aim = None
            self._shows.told["busy"] = ""

    def received(self, message: Message) -> None:
        """Train a little on the way, and go on after whatever was asked for meanwhile."""
        session, aim = self._known(), self._aim
        if aim is None or session.room is not self._room:
            self.leave()
            return
        now, goal = time.monotonic(), aim.of or aim.step
        self._until = self._until or now + PATIENCE_SECONDS
        left = goal - session.room.step
        if left > 0 and now < self._until and not session.ended:
            self._pace.piece(lambda count: session.advance(min(count, left)))
            self._shows.told["busy"] = f"Training to step {goal:,}…"
            self._pace.show("frame", self._shows.running)
            self._again(message)
            return
        self.leave()
        if left > 0:
            self._said.append(_short_of(goal, session.room.step, session.ended))
        self._stop_at(aim, left <= 0)

    def _stop_at(self, aim: Place, there: bool) -> None:
        """Show the pass that the link shows."""
        session = self._known()
        session.catch_up()
        if there and aim.of:
            session.rewind(aim.step)
        if there and aim.trained:
            session.train()
        self._judge()
        self._arrive(aim)

    def _arrive(self, place: Place) -> None:
        at = [place.phase, place.box] if place.phase else None
        entry = None if place.entry is None else list(place.entry)
        self._shows.place({"at": at, "node": place.node, "entry": entry, "said": self._said})


def _short_of(goal: int, step: int, ended: bool) -> str:
    if ended:
        return f"The link stands at step {goal:,}, but the loss stops being finite at step {step:,}."
    seconds = f"{PATIENCE_SECONDS:.0f} seconds"
    return f"The link stands at step {goal:,}; in {seconds} training came to step {step:,}. Play goes on from there."

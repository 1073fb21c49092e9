"""Session + views -> page. Messages from the browser become calls of the session; what changed goes back."""

from __future__ import annotations

import dataclasses
import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from bokeh.document import Document

from explorer import dividing, folding, inspecting, late, running, teaching
from explorer.channel import Channel, Soon
from explorer.crew import Crew
from explorer.dividing import Dividing
from explorer.errors import ExplorerError
from explorer.folding import Folding
from explorer.gauges import GAUGES
from explorer.hosting import MESSAGES as OF_CLASS
from explorer.hosting import Hosting
from explorer.inspecting import Inspecting
from explorer.running import Running
from explorer.showing import FILES, Showing
from explorer.teaching import Teaching
from explorer.turns import TURNS
from explorer.uploads import Uploads

if TYPE_CHECKING:
    from explorer.lessons.lesson import Lesson
    from explorer.session import Session
    from explorer.target import Target

Message = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Opening:
    """What a new page starts with."""

    target: str | Target = ""
    """``MODULE:FUNCTION``, or what that names, or nothing for the first task."""
    graphviz: str = "bundled"
    local: bool = True
    """Whether only people at this machine see the page: then its files can be named."""
    query: str = ""
    """Of the address that was asked for: where a link leads."""
    lesson: Lesson | None = None
    """A lesson from a file or of the course, which a page begins with; it is known by its name, too."""
    limits: Any = None
    """What one page may ask for (:class:`explorer.limits.Limits`); ``None`` where nobody else shares the server."""
    feed: Any = None
    """What a training loop elsewhere sends, where that is what is shown (:mod:`explorer.followed`)."""


class Page:
    """One tab. What its messages ask is done one after the other.

    What takes long (compiling a step, proving its gradients) is done aside, and knows nothing of the session: a graph
    can be folded and searched meanwhile.
    """

    def __init__(self, opening: Opening, document: Document, soon: Soon) -> None:
        self._opening = opening
        self.channel = Channel(document, soon)
        self._crew = Crew(self._failed)
        self._held: list[Message] = []
        self._compiling: Any = None
        self._proving: Any = None
        self._warmed: Any = None
        self._warming: Any = None
        self._used = time.monotonic()
        self._session: Session | None = None
        self.shows = Showing(self._known, self.channel, opening.local, self.received)
        self._folding = Folding(self._known, self._refolded, self.shows.along, self.shows.reply)
        self._inspecting = Inspecting(self._known, self._crew.beside, self._refolded, self.shows.reply)
        self.shows.supposed = self._inspecting.supposed
        self._running = Running(self._known, self._crew, self.shows, self._push, self._again, opening.limits)
        many = opening.limits is not None
        self._dividing = Dividing(self._known, self._crew.ask, self.shows, self.shows.settings, many)
        self.shows.passed = self._dividing.refresh
        self._uploads = Uploads(opening.local, lambda path: self._known().choose_text("csv", path), self.shows.busy)
        self._placing: Any = None
        self._teaching = Teaching(self._known, self.shows, self._running, self._push, self.received)
        self._teaching.own = opening.lesson
        views = {"graph": self.shows.graph, "room": self.shows.room, "lesson": self.shows.course}
        self.hosting = Hosting(lambda: self._session, self._crew.ask, self.channel.later, views, opening.local)
        self._parts: Mapping[str, Callable[[Message], None]] = {
            **dict.fromkeys(("choose", "set"), lambda message: self._change(partial(self._choose, message))),
            "table": lambda message: self._change(partial(self._uploads.received, message)),
            "export": self._export,
            "prove": self._prove,
            "return": lambda message: self._placing.received(message),
            **dict.fromkeys(dividing.MESSAGES, self._dividing.received),
            **dict.fromkeys(folding.MESSAGES, self._folding.received),
            **dict.fromkeys(inspecting.MESSAGES, self._inspecting.received),
            **dict.fromkeys(running.MESSAGES, self._running.received),
            **dict.fromkeys(teaching.MESSAGES, self._teaching.received),
        }
        soon(lambda: self._crew.ask(self._begin))

    def close(self) -> None:
        """The tab is gone: finish nothing more."""
        self.hosting.close()
        self._uploads.close()
        self._dividing.close()
        self._crew.close()
        self._running.close()

    # ---- from the browser -----------------------------------------------------------------------------------------

    def received(self, message: Message) -> None:
        """Do what a message asks, after what was asked before."""
        if message.get("type") not in _BY_THEMSELVES or not self._running.playing:
            self._used = time.monotonic()
        if message.get("type") in OF_CLASS:
            self.hosting.received(message)
        elif message.get("type") in self._parts:
            self._crew.ask(partial(self._answer, message, time.monotonic()))

    def _again(self, message: Message) -> bool:
        """Do what a message asks that no person has sent; whether it will be done."""
        return self._crew.ask(partial(self._do, message))

    def _answer(self, message: Message, asked: float) -> None:
        with TURNS.answering():
            self._do(message)
        GAUGES.answered(time.monotonic() - asked)

    @property
    def trains(self) -> bool:
        """Whether it trains on by itself."""
        return self._running.playing

    def idle(self) -> None:
        """Stop training that nobody looks at, and then end a page that nobody uses."""
        away = time.monotonic() - self._used
        if away > ENDED_SECONDS:
            self.shows.reply(type="rested")
        elif away > PAUSED_SECONDS and self._running.playing:
            self.received({"type": "pause"})
            minutes = f"{PAUSED_SECONDS / 60:.0f} minutes"
            self.shows.reply(type="told", text=f"Training was paused: nobody has done anything here for {minutes}.")

    def _do(self, message: Message) -> None:
        """What a message asks, now or once what it needs is compiled."""
        if self._session is None:  # the browser was quicker
            self._held.append(message)
            return
        if message["type"] in _INSTEAD:
            self._placing.leave()
        if self._must_wait(message["type"]):
            self._held.append(message)
            self._running.rest()
        else:
            self._parts[message["type"]](message)
            if message["type"] != "piece":
                self._running.answered()

    def _failed(self, error: Exception) -> None:
        """Tell on the page what went wrong; the page goes on."""
        expected = isinstance(error, (ExplorerError, late.load("engine.errors").EngineError))
        if not expected:
            traceback.print_exception(error)
        self.shows.reply(type="failed", text=str(error) if expected else f"Something went wrong: {error}")

    def _must_wait(self, kind: str) -> bool:
        """Whether something has to be compiled first."""
        if kind in _OF_NUMBERS and self._known().waiting:
            self._compile()
            return True
        if kind not in _OF_RUN or self._warmed == self._programs:
            return False
        self._warm()
        return True

    def _begin(self) -> None:
        module = late.load("explorer.opening")
        opening = self._opening
        more = {"limits": opening.limits} if opening.limits else {}
        self._session, place = module.follow(opening.query, opening.target, opening.graphviz, opening.local, **more)
        self._placing = late.load("explorer.placing").Placing(
            self._known, self.shows, self._again, self._running.settle, lambda: self._teaching.place
        )
        lesson = place.lesson or (opening.lesson.name if opening.lesson else "")
        if lesson:
            self._crew.do(partial(self._do, {"type": "lesson", "name": lesson, "beat": place.beat}))
        if self._teaching.player is None:
            self._placing.begin(place)
            self._push()
        late.calm()
        self._resume()

    def _change(self, change: Callable[[], bool]) -> None:
        """Change the set-up, if it can be changed so, and show what becomes of it."""
        session, room = self._known(), self._known().room
        try:
            changed = change()
        except (ExplorerError, late.load("engine.errors").EngineError) as error:
            self.shows.settings(str(error))
            return
        if session.room is not room:
            self._running.anew()
        if changed:
            self._push()

    def _choose(self, message: Message) -> bool:
        session, name, value = self._known(), str(message["name"]), str(message["value"])
        if name in FILES and not self._opening.local:
            raise ExplorerError("Files can be named only on a page that is served to this machine alone.")
        if name == "devices":
            session.divide(devices=late.load("explorer.form").count(value))
        else:
            session.choose_text(name, value)
        for text in session.said if name == "run" else ():
            self.shows.reply(type="told", text=text)
        return True

    def _export(self, message: Message) -> None:
        lesson = self._teaching.player.lesson if self._teaching.player else None
        self.shows.reply(type="saved", **late.load("explorer.exporting").answer(self._known(), message, lesson))

    # ---- to the browser -------------------------------------------------------------------------------------------

    def _known(self) -> Session:
        assert self._session is not None
        return self._session

    def _push(self) -> None:
        """Send what there is to see: the scene, its numbers, and then the proof."""
        if self._known().waiting:
            self.shows.outline()
            self._compile()
            return
        self.shows.settings()
        self._refolded()
        self.shows.running()
        self.shows.extras()

    def _refolded(self) -> None:
        """Send the pass in another drawing, and then its proof."""
        if self._known().waiting:
            self._push()
            return
        self.shows.passing()
        self._inspecting.read_on()
        if not (self._running.playing or self._known().supposes):
            self._prove({})

    def _prove(self, message: Message) -> None:
        """Have the gradients proved that are shown, or the one that is looked at; only the last request counts."""
        prove = self._known().proof(str(message.get("box", "")))
        self._proving = prove
        self._crew.beside(lambda: prove() if self._proving is prove else {}, self.shows.proved)

    # ---- what has to be compiled ----------------------------------------------------------------------------------

    @property
    def _programs(self) -> Any:
        """What the training is compiled for."""
        return [(room, room.run.controls.method) for room in self._known().rooms]

    def _warm(self) -> None:
        """Have the training loop compiled; then what had to wait for it is done."""
        if self._warming is None and not self._known().waiting:
            self._warming = programs = self._programs
            self._tell_busy("Compiling the training loop…")
            self._crew.beside(
                self._known().warm, lambda nothing: self._warm_now(programs), lambda: self._lost(programs)
            )

    def _warm_now(self, programs: Any) -> None:
        self._warming, self._warmed = None, programs
        self._tell_busy("")
        self._resume()

    def _tell_busy(self, text: str) -> None:
        self.shows.told["busy"] = text
        if not self._known().waiting:
            self.shows.running()

    def _compile(self) -> None:
        """Have the step to show compiled; then what had to wait for its numbers is done."""
        wanted = self._programs[:1]
        if self._compiling != wanted:
            self._compiling = wanted
            self.shows.busy("Compiling the step; the graph can be explored meanwhile…")
            self._crew.beside(
                self._known().begin, lambda step: self._compiled(wanted, step), lambda: self._lost(wanted)
            )

    def _compiled(self, wanted: Any, step: Any) -> None:
        session = self._known()
        if self._programs[:1] != wanted:  # the settings have changed meanwhile
            return
        self._compiling = None
        session.take(step)
        self._crew.do(self._push)
        self.shows.busy("")
        if len(session.graph.nodes) <= _SMALL:
            self._warm()
        self._resume()

    def _lost(self, programs: Any) -> None:
        """What can't be compiled, as is told, nobody waits for any longer; asked for again, it is tried again."""
        self._compiling = None if self._compiling == programs else self._compiling
        self._warming = None if self._warming == programs else self._warming
        if programs[0] == self._programs[0]:
            self._held = []
            self._running.stop()
            self._placing.leave()
        self._tell_busy("")
        self._resume()

    def _resume(self) -> None:
        held, self._held = self._held, []
        for message in held:
            self._crew.do(partial(self._do, message))


PAUSED_SECONDS, ENDED_SECONDS = 15 * 60.0, 60 * 60.0
"""On a server that many share, training stops when nobody has done anything for so long; and the page ends."""

_BY_THEMSELVES = frozenset({"at", "explain", "fetch", "prepare", "prove", "resize"})
"""What a browser asks for by itself while it trains."""

_INSTEAD = frozenset({"train", "steps", "play", "rewind", "reset", "choose", "set", "remedy", "keep", "lesson", "back"})
"""What ends the way to where a link leads."""

_OF_RUN = frozenset({"train", "steps", "play", "piece", "return", "arrive_trained"})
"""What has to wait until the training loop is compiled."""

_OF_NUMBERS = (
    _OF_RUN
    | inspecting.MESSAGES
    | dividing.MESSAGES
    | {"export", "prove", "rewind", "reset", "survey", "arrive", "answer"}
)
"""What has to wait until the step that is shown is compiled."""

_SMALL = 1000  # nodes of a graph whose training loop is compiled before it is asked for

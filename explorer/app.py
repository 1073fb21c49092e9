"""Session + views -> page. Messages from the browser become calls of the session; what changed goes back."""

from __future__ import annotations

import dataclasses
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from bokeh.document import Document

from explorer import folding, inspecting, late
from explorer.channel import Channel
from explorer.crew import Crew
from explorer.errors import ExplorerError
from explorer.folding import Folding
from explorer.inspecting import Inspecting
from explorer.pace import Pace
from explorer.views.graph import GraphView
from explorer.views.room import RoomView
from explorer.views.setup import SetupView

if TYPE_CHECKING:
    from explorer.session import Session

Message = dict[str, Any]
Soon = Callable[[Callable[[], Any]], Any]
"""Has something done once the page is on its way: two threads that compute take turns, and the page comes first."""


@dataclasses.dataclass(frozen=True)
class Opening:
    """What a new page starts with."""

    target: str = ""
    """``MODULE:FUNCTION``, or nothing for the first task."""
    graphviz: str = "bundled"
    local: bool = True
    """Whether only people at this machine see the page: then its files can be named."""


class Page:
    """One tab. What its messages ask is done one after the other.

    What takes long (compiling a step, proving its gradients) is done aside, and knows nothing of the session: a graph
    can be folded and searched meanwhile.
    """

    def __init__(self, opening: Opening, document: Document, soon: Soon) -> None:
        self._opening = opening
        self.channel = Channel(document)
        self._crew = Crew(self._failed)
        self._held: list[tuple[Callable[[Page, Message], None], Message]] = []
        self._compiling: Any = None
        self._proving: Any = None
        self._warmed: Any = None
        self._warming = False
        self._playing = False
        self._pace = Pace()
        self._session: Session | None = None
        self._findings: list[dict[str, Any]] = []
        self._runs = 0
        self._version = 0
        self._sent: Any = None
        self._plain: dict[str, Any] = {}
        self._folding = Folding(lambda: self._known, self._refolded)
        self._inspecting = Inspecting(lambda: self._known, self._crew.beside, self._refolded, self._reply)
        self.graph = GraphView(self._received, page=True, sizing_mode="stretch_width")
        self.room = RoomView(self._received, sizing_mode="stretch_width")
        self.setup = SetupView(self._received, sizing_mode="stretch_width")
        soon(lambda: self._crew.ask(self._begin))

    def close(self) -> None:
        """The tab is gone: finish nothing more."""
        self._crew.close()

    # ---- from the browser -----------------------------------------------------------------------------------------

    def _received(self, message: Message) -> None:
        does = _MESSAGES.get(str(message.get("type")))
        if does is not None:
            self._crew.ask(partial(self._do, does, message))

    def _do(self, does: Callable[[Page, Message], None], message: Message) -> None:
        """What a message asks, now or once what it needs is compiled."""
        if self._session is None:
            return
        if self._must_wait(does):
            self._held.append((does, message))
        else:
            does(self, message)

    def _failed(self, error: Exception) -> None:
        """Tell on the page what went wrong; the page goes on."""
        expected = isinstance(error, (ExplorerError, late.load("engine.errors").EngineError))
        if not expected:
            traceback.print_exception(error)
        self._reply(type="failed", text=str(error) if expected else f"Something went wrong: {error}")

    def _must_wait(self, does: Callable[[Page, Message], None]) -> bool:
        """Whether something has to be compiled first."""
        if does in _OF_NUMBERS and self._known.waiting:
            return True
        if does not in _OF_RUN or self._warmed == self._programs:
            return False
        self._warm()
        return True

    def _begin(self) -> None:
        module = late.load("explorer.opening")
        self._session = module.open_session(self._opening.target, self._opening.graphviz)
        self._push()
        late.calm()

    def _choose(self, message: Message) -> None:
        session, room = self._known, self._known.room
        name, value = str(message["name"]), str(message["value"])
        try:
            if name in _FILES and not self._opening.local:
                raise ExplorerError("Files can be named only on a page that is served to this machine alone.")
            session.choose_text(name, value)
        except (ExplorerError, late.load("engine.errors").EngineError) as error:
            self.channel.later(self._set_form, form=self._form() | {"error": str(error)})
            return
        for text in session.said if name == "run" else ():
            self._reply(type="told", text=text)
        if session.room is not room:  # another run
            self._playing = False
            self._anew()
        self._push()

    def _train(self, message: Message) -> None:
        self._known.train()
        self._runs += 1
        self._push()

    def _steps(self, message: Message) -> None:
        self._known.advance(int(message["count"]))
        self._settle()

    def _play(self, message: Message) -> None:
        if not self._playing and not self._known.ended:
            self._playing = True
            self._push_run()
            self._piece({})

    def _pause(self, message: Message) -> None:
        if self._playing:
            self._playing = False
            self._settle()

    def _piece(self, message: Message) -> None:
        """Train a little, show what is due, and go on after whatever was asked for meanwhile."""
        session = self._known
        if not self._playing:
            return
        start, behind = time.monotonic(), session.behind
        session.advance(self._pace.count)
        self._pace.took(time.monotonic() - start)
        if session.ended or (behind and not session.behind):  # side by side now
            self._playing = False
            self._settle()
            return
        shows = {"frame": self._push_run, "pass": self._catch_up, "judge": self._judge}
        any(self._pace.show(what, does) for what, does in shows.items())  # one at a time: a click may be waiting
        self._crew.ask(partial(self._do, Page._piece, {}))

    def _catch_up(self) -> None:
        self._known.catch_up()
        self._push_pass()
        self._push_extras()

    def _settle(self) -> None:
        """Show where training has come to, and what is to be said of it."""
        self._known.catch_up()
        self._push()
        self._judge()

    def _rewind(self, message: Message) -> None:
        self._playing = False
        self._known.rewind(int(message["step"]))
        self._push()

    def _remedy(self, message: Message) -> None:
        remedy = self._findings[int(message["finding"])]["remedies"][int(message["remedy"])]
        self._playing = False
        self._known.compare(remedy["change"], remedy["label"])
        self._received({"type": "play"})

    def _keep(self, message: Message) -> None:
        self._playing = False
        self._known.keep(message["which"] == "new")
        self._push()
        self._anew()
        self._judge()

    def _save(self, message: Message) -> None:
        if self._opening.local:
            folder = self._known.keeper.save(self._known.room)
            self._reply(type="told", text=f"Saved in {folder}; name that folder in Set-up to open it again.")

    def _survey(self, message: Message) -> None:
        def show(found: dict[str, Any]) -> None:  # the same again is an answer too
            self.channel.later(self._show_run, surface=found | {"at": time.monotonic()})

        self._crew.beside(self._known.survey(), show)

    def _freeze(self, message: Message) -> None:
        self._known.freeze(str(message["id"]), bool(message["value"]))
        self._push()

    def _row(self, message: Message) -> None:
        self._reply(type="select", node=str(message["id"]))

    def _reset(self, message: Message) -> None:
        self._playing = False
        self._known.reset()
        self._push()
        self._anew()

    def _export(self, message: Message) -> None:
        look = "dark" if message.get("theme") == "dark" else "light"
        text = self._known.picture(int(message["position"]), look)
        self._reply(type="saved", name=f"{self._known.graph.name}.svg", text=text)

    def _inspect(self, message: Message) -> None:
        self._inspecting.received(message)

    def _fold(self, message: Message) -> None:
        self._folding.received(message)

    # ---- to the browser -------------------------------------------------------------------------------------------

    @property
    def _known(self) -> Session:
        assert self._session is not None
        return self._session

    def _push(self) -> None:
        """Send what there is to see: the scene, its numbers, and then the proof."""
        session = self._known
        if session.waiting:
            self.channel.later(self._draw, scene=self._scene(), form=self._form())
            self._compile()
            return
        self.channel.later(self._set_form, form=self._form())
        self._refolded()
        self._push_run()
        self._push_extras()

    def _refolded(self) -> None:
        """Send the pass in another drawing, and then its proof."""
        if self._known.waiting:
            self._push()
            return
        self._push_pass()
        if not (self._playing or self._known.supposes):
            self._prove({})

    def _push_pass(self) -> None:
        """Send the pass that is shown."""
        session = self._known
        shown = {"scene": self._scene(), "figures": session.figures.as_dict(), "status": self._status()}
        self.channel.newest("pass", self._show, **shown, **self._inspecting.supposed())

    def _push_run(self) -> None:
        """Send how the training goes."""
        session = self._known
        shown = {"frame": session.frame(), "compare": session.comparison()}
        self.channel.newest("run", self._show_run, status=self._status(), **shown)

    def _push_extras(self) -> None:
        """Send what the pass shows beside its graph."""
        self.channel.newest("extras", self._show_run, extras=self._known.extras())

    def _status(self) -> dict[str, Any]:
        busy = "Compiling the training loop…" if self._warming else ""
        own = {"run": self._runs, "playing": self._playing, "busy": busy, "local": self._opening.local}
        return self._known.status() | own

    def _anew(self) -> None:
        """Forget what was said of the run before."""
        self.channel.later(self._show_run, findings=None, surface={})

    def _judge(self) -> None:
        """Send what is wrong with the run."""
        self._findings = self._known.findings()
        self.channel.later(self._show_run, findings=self._findings)

    @property
    def _programs(self) -> Any:
        """What the training is compiled for."""
        return [(room, room.run.controls.method) for room in self._known.rooms]

    def _warm(self) -> None:
        """Have the training loop compiled; then what had to wait for it is done."""
        if not self._warming and not self._known.waiting:
            self._warming = True
            programs = self._programs
            self._push_run()
            self._crew.beside(self._known.warm, lambda nothing: self._warm_now(programs))

    def _warm_now(self, programs: Any) -> None:
        self._warming, self._warmed = False, programs
        self._push_run()
        self._resume()

    def _compile(self) -> None:
        """Have the step to show compiled; then what had to wait for its numbers is done."""
        wanted = self._programs[0]
        if self._compiling != wanted:
            self._compiling = wanted
            self._crew.beside(self._known.begin, lambda step: self._compiled(wanted, step))

    def _compiled(self, wanted: Any, step: Any) -> None:
        session = self._known
        if self._programs[0] != wanted:  # the settings have changed meanwhile
            return
        self._compiling = None
        session.take(step)
        self._push()
        if len(session.graph.nodes) <= _SMALL:
            self._warm()
        self._resume()

    def _resume(self) -> None:
        held, self._held = self._held, []
        for does, message in held:
            self._crew.do(partial(self._do, does, message))

    def _prove(self, message: Message) -> None:
        """Have the gradients proved that are shown, or the one that is looked at; only the last request counts."""
        prove = self._known.proof(str(message.get("box", "")))
        self._proving = prove
        self._crew.beside(
            lambda: prove() if self._proving is prove else {},
            lambda proof: self.channel.later(self._badges, proof=proof),
        )

    def _form(self) -> dict[str, Any]:
        form = self._known.form()
        return form | {"fields": [one for one in form["fields"] if self._opening.local or one["name"] not in _FILES]}

    def _scene(self) -> dict[str, Any]:
        """The scene as plain data, with a number that changes when it does."""
        scene = self._known.scene
        if scene is not self._sent:
            self._sent = scene
            self._version += 1
            self._plain = scene.as_dict() | {"version": self._version}
        return self._plain

    def _draw(self, scene: dict[str, Any], form: dict[str, Any]) -> None:
        self.graph.scene = scene
        self.setup.form = form

    def _show(self, scene: dict[str, Any], figures: dict[str, Any], **others: dict[str, Any]) -> None:
        figures = figures | {"version": scene["version"]}
        self.graph.param.update(**others, scene=scene, figures=figures, proof={})

    def _show_run(self, **shown: Any) -> None:
        self.room.param.update(**shown)

    def _badges(self, proof: dict[str, Any]) -> None:
        self.graph.proof = self.graph.proof | proof

    def _set_form(self, form: dict[str, Any]) -> None:
        self.setup.form = form

    def _reply(self, **message: Any) -> None:
        self.channel.later(self.graph.tell, **message)


_TOLD = """choose train steps play pause rewind remedy keep save survey freeze row reset
export prove"""

_MESSAGES: dict[str, Callable[[Page, Message], None]] = {
    "set": Page._choose,
    **{name: getattr(Page, f"_{name}") for name in _TOLD.split()},
    **dict.fromkeys(folding.MESSAGES, Page._fold),
    **dict.fromkeys(inspecting.MESSAGES, Page._inspect),
}
"""What a message of each type does."""

_OF_RUN = frozenset({Page._train, Page._steps, Page._play, Page._piece})
"""What has to wait until the training loop is compiled."""

_OF_NUMBERS = _OF_RUN | {Page._inspect, Page._export, Page._prove, Page._rewind, Page._reset, Page._survey}
"""What has to wait until the step that is shown is compiled."""

_FILES = frozenset({"csv", "run"})  # fields that name a file of the machine that serves the page
_SMALL = 1000  # nodes of a graph whose training loop is compiled before it is asked for

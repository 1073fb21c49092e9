"""Session + views -> page. Messages from the browser become calls of the session; what changed goes back."""

from __future__ import annotations

import dataclasses
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import panel as pn
from bokeh.document import Document

from explorer import assets, frames, late
from explorer.errors import ExplorerError
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


class Page:
    """One tab. A worker of its own does what the messages ask, one after the other.

    What takes long (compiling a step, proving its gradients) is done aside by another, and knows nothing of the
    session: a graph can be folded and searched meanwhile.
    """

    def __init__(self, opening: Opening, document: Document, soon: Soon) -> None:
        self._opening = opening
        self._document = document
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="page")
        self._aside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="aside")
        self._held: list[tuple[Callable[[Page, Message], None], Message]] = []
        self._compiling: Any = None
        self._proving: Any = None
        self._session: Session | None = None
        self._lock = threading.Lock()
        self._waiting: list[Callable[[], None]] | None = []
        self._runs = 0
        self._version = 0
        self._sent: Any = None
        self._plain: dict[str, Any] = {}
        self.graph = GraphView(self._received, page=True, sizing_mode="stretch_width")
        self.room = RoomView(self._received, sizing_mode="stretch_width")
        self.setup = SetupView(self._received, sizing_mode="stretch_width")
        soon(lambda: self._worker.submit(self._guarded, Page._begin, {}))

    def close(self) -> None:
        """The tab is gone: finish nothing more."""
        for worker in (self._worker, self._aside):
            worker.shutdown(wait=False, cancel_futures=True)

    # ---- from the browser -----------------------------------------------------------------------------------------

    def _received(self, message: Message) -> None:
        does = _MESSAGES.get(str(message.get("type")))
        if does is not None:
            self._worker.submit(self._guarded, does, message)

    def _guarded(self, does: Callable[[Page, Message], None], message: Message) -> None:
        """Run in the worker; whatever goes wrong is told on the page, and the page goes on."""
        try:
            if self._session is None and does is not Page._begin:
                return
            if does in _OF_NUMBERS and self._known.waiting:
                self._held.append((does, message))
                return
            does(self, message)
        except ExplorerError as error:
            self._later(self._tell, text=str(error))
        except Exception as error:  # noqa: BLE001 - the outermost edge of a page: a bug must not leave it silent
            expected = isinstance(error, late.load("engine.errors").EngineError)
            if not expected:
                traceback.print_exc()
            self._later(self._tell, text=str(error) if expected else f"Something went wrong: {error}")

    def _begin(self, message: Message) -> None:
        module = late.load("explorer.session")
        self._session = module.open_session(self._opening.target, self._opening.graphviz)
        self._push()
        late.calm()

    def _choose(self, message: Message) -> None:
        session = self._known
        try:
            session.choose_text(str(message["name"]), str(message["value"]))
        except late.load("engine.errors").EngineError as error:
            self._later(self._set_form, form=session.form() | {"error": str(error)})
            return
        self._push()

    def _train(self, message: Message) -> None:
        self._known.train()
        self._runs += 1
        self._push()

    def _reset(self, message: Message) -> None:
        self._known.reset()
        self._push()

    def _granularity(self, message: Message) -> None:
        self._known.set_granularity(str(message["value"]))
        self._push()

    def _toggle(self, message: Message) -> None:
        self._known.toggle(str(message["scope"]))
        self._push()

    def _reveal(self, message: Message) -> None:
        self._known.reveal(str(message["node"]))
        self._push()

    def _plumbing(self, message: Message) -> None:
        self._known.show_plumbing(bool(message["value"]))
        self._push()

    def _resize(self, message: Message) -> None:
        before = self._known.scene
        self._known.resize(float(message["width"]), float(message["height"]))
        if self._known.scene != before:
            self._push()

    def _explain(self, message: Message) -> None:
        found = self._known.explain(str(message["node"]), tuple(map(int, message["index"])))
        self._later(self._answer, type="explained", box=message["box"], sentence=found)

    def _fetch(self, message: Message) -> None:
        found = self._known.region(str(message["node"]))
        self._later(self._answer, type="fetched", box=message["box"], found=found)

    def _export(self, message: Message) -> None:
        look = "dark" if message.get("theme") == "dark" else "light"
        text = self._known.picture(int(message["position"]), look)
        self._later(self._answer, type="saved", name=f"{self._known.graph.name}.svg", text=text)

    # ---- to the browser -------------------------------------------------------------------------------------------

    @property
    def _known(self) -> Session:
        assert self._session is not None
        return self._session

    def _push(self) -> None:
        """Send what there is to see: the scene, its numbers, and then the proof."""
        session = self._known
        if session.waiting:
            self._later(self._draw, scene=self._scene(), form=session.form())
            self._compile()
            return
        scene, figures = self._scene(), session.figures.as_dict()
        status = session.status() | {"run": self._runs}
        frame = frames.of_losses(session.losses, status["step"])
        self._later(self._show, scene=scene, figures=figures, status=status, form=session.form())
        self._later(self._show_run, status=status, frame=frame)
        self._prove({})

    def _compile(self) -> None:
        """Have the first step compiled; then what had to wait for its numbers is done."""
        trainer, first = self._known.trainer, self._known.first
        if self._compiling is not trainer:
            self._compiling = trainer
            self._beside(first, lambda step: self._compiled(trainer, step))

    def _compiled(self, trainer: Any, step: Any) -> None:
        session = self._known
        if session.trainer is not trainer:  # the settings have changed meanwhile
            return
        self._compiling = None
        session.take(step)
        self._push()
        held, self._held = self._held, []
        for does, message in held:
            self._guarded(does, message)

    def _prove(self, message: Message) -> None:
        """Have the gradients proved that are shown, or the one that is looked at; only the last request counts."""
        prove = self._known.proof(str(message.get("box", "")))
        self._proving = prove
        self._beside(
            lambda: prove() if self._proving is prove else {}, lambda proof: self._later(self._badges, proof=proof)
        )

    def _beside(self, job: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Do a long job aside, and then something with its result as if a message had asked for it."""

        def work(page: Page, message: Message) -> None:
            result = job()
            self._worker.submit(self._guarded, lambda page, message: then(result), {})

        self._aside.submit(self._guarded, work, {})

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

    def _show(
        self, scene: dict[str, Any], figures: dict[str, Any], status: dict[str, Any], form: dict[str, Any]
    ) -> None:
        figures = figures | {"version": scene["version"]}
        self.graph.param.update(scene=scene, figures=figures, status=status, proof={})
        self.setup.form = form

    def _show_run(self, status: dict[str, Any], frame: dict[str, Any]) -> None:
        self.room.param.update(status=status, frame=frame)

    def _badges(self, proof: dict[str, Any]) -> None:
        self.graph.proof = self.graph.proof | proof

    def _set_form(self, form: dict[str, Any]) -> None:
        self.setup.form = form

    def _answer(self, **message: Any) -> None:
        self.graph.tell(**message)

    def _tell(self, text: str) -> None:
        self.graph.tell(type="failed", text=text)

    def _later(self, does: Callable[..., None], **arguments: Any) -> None:
        """In the page's own thread, as Bokeh asks, and not before the browser has the page: it would be lost."""
        call = partial(does, **arguments)
        with self._lock:
            if self._waiting is not None:
                self._waiting.append(call)
                return
        self._document.add_next_tick_callback(call)

    def opened(self) -> None:
        """The browser has the page: from now on it can be told what changes."""
        with self._lock:
            waiting, self._waiting = self._waiting or [], None
        for call in waiting:
            self._document.add_next_tick_callback(call)


_MESSAGES: dict[str, Callable[[Page, Message], None]] = {
    "choose": Page._choose,
    "train": Page._train,
    "reset": Page._reset,
    "granularity": Page._granularity,
    "toggle": Page._toggle,
    "reveal": Page._reveal,
    "plumbing": Page._plumbing,
    "resize": Page._resize,
    "explain": Page._explain,
    "fetch": Page._fetch,
    "export": Page._export,
    "prove": Page._prove,
}

_OF_NUMBERS = frozenset({Page._train, Page._explain, Page._fetch, Page._export, Page._prove})
"""What has to wait until the first step is compiled."""


def make_page(opening: Opening, soon: Soon) -> pn.Template:
    """A page for a new tab."""
    page = Page(opening, pn.state.curdoc, soon)
    pn.state.onload(page.opened)
    template = pn.Template(assets.text("page.html"))
    template.add_variable("page_css", assets.variables() + assets.text("page.css"))
    template.add_panel("graph", page.graph)
    template.add_panel("room", page.room)
    template.add_panel("setup", page.setup)
    pn.state.on_session_destroyed(lambda context: page.close())
    return template

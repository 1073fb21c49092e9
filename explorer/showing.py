"""From a session to the views of one page: the scene, its numbers, the run, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from explorer import uploads
from explorer.channel import Channel
from explorer.drawn import Drawn
from explorer.lessons.course import entries
from explorer.plain import as_json
from explorer.views.graph import GraphView
from explorer.views.lesson import LessonView
from explorer.views.parallel import ParallelView
from explorer.views.room import RoomView
from explorer.views.setup import SetupView

if TYPE_CHECKING:
    from explorer.lessons.lesson import Lesson
    from explorer.room import Room
    from explorer.session import Session

Message = dict[str, Any]

FILES = frozenset({"csv", "run"})
"""Fields that name a file of the machine that serves the page."""


class Showing(Drawn):
    """The views of one page, and what they were sent last."""

    def __init__(
        self, known: Callable[[], Session], channel: Channel, local: bool, received: Callable[[Message], None]
    ) -> None:
        """Begin, with nothing to see.

        Args:
            known: the page's session.
            channel: to the browser.
            local: whether only people at this machine see the page.
            received: takes what the person does.
        """
        super().__init__(known, channel, GraphView(received, page=True, sizing_mode="stretch_width"), local)
        self._taken = channel.taken
        self.room = RoomView(received, sizing_mode="stretch_width")
        self.setup = SetupView(received, sizing_mode="stretch_width")
        self.parallel = ParallelView(received, sizing_mode="stretch_width")
        self.passed: Callable[[], None] = lambda: None
        """What else has to look at a pass that was sent."""
        self.linked: Callable[[], Mapping[str, Any]] = dict
        """What the status says of the link to this page."""
        self._hidden: frozenset[str] = frozenset()
        self._formed: dict[str, Any] = {}
        self._ran: Room | None = None
        """The run that is shown."""
        self.course = LessonView(received, course=[entry.plain() for entry in entries()])
        self._turned: frozenset[str] | None = None

    def encoded(self, plain: dict[str, Any]) -> str:
        """As JSON, by the thread that made it."""
        return as_json(plain)

    # ---- what is sent ---------------------------------------------------------------------------------------------

    def outline(self) -> None:
        """Send the scene while its numbers are still to come; of another run there is nothing to be seen yet."""
        if self._known().room is not self._ran:
            nothing = self.encoded({})
            self._channel.newest(
                "run", self._show_run, status=self.told, frame=nothing, compare=nothing, extras=nothing
            )
        self._formed = self.form()
        self._channel.later(self._draw, scene=self.scene(), ways=self.ways(), form=self._formed)

    def busy(self, text: str) -> None:
        """Say what is going on, and for how long; an empty text once it is done."""
        self.reply(type="busy", text=text)

    def settings(self, error: str = "") -> None:
        """Send the form, and what was wrong with what was typed."""
        self._formed = self.form()
        self._channel.later(self._set_form, form=self._formed | ({"error": error} if error else {}))

    def running(self) -> None:
        """Send how the training goes."""
        session = self._known()
        self._ran = session.room
        shown = {"frame": self.encoded(session.frame()), "compare": self.encoded(session.comparison())}
        self._channel.newest("run", self._show_run, status=self.status(), **shown)

    def extras(self) -> None:
        """Send what the pass shows beside its graph."""
        self._channel.newest("extras", self._show_run, extras=self.encoded(self._known().extras()))

    def sent(self, seconds: float) -> None:
        """Wait until what was sent last is on its way, at most so long."""
        self._taken(seconds)

    def judged(self, findings: list[dict[str, Any]] | None) -> None:
        """Send what is wrong with the run; ``None`` if nobody asked."""
        self._channel.later(self._show_run, findings=findings)

    def surface(self, surface: dict[str, Any]) -> None:
        """Send a slice of the loss; an empty one to forget it."""
        self._channel.later(self._show_run, surface=self.encoded(surface))

    def divided(self, told: dict[str, Any]) -> None:
        """Send what the devices have of the step; an empty one where nothing is divided."""
        self._channel.newest("parallel", self._show_divided, told=told)

    def passing(self) -> None:
        """Send the pass that is shown, and the form where its dials are others."""
        super().passing()
        if self.form() != self._formed:
            self.settings()
        self.passed()

    def lesson(self, told: dict[str, Any]) -> None:
        """Send a beat; an empty one ends the lesson, and everything can be turned again."""
        if not told:
            self._turned = None
            self.told.pop("charts", None)
            self.settings()
            self.running()
        self._channel.later(self._tell_beat, told=told)

    def controls(self, lesson: Lesson) -> None:
        """Show what a lesson shows, from the next thing sent on."""
        self._turned = frozenset(lesson.controls)
        self.told["charts"] = list(lesson.charts)

    def form(self) -> dict[str, Any]:
        """The settings as a form; a lesson has its own choice."""
        form = self._known().form()
        fields = (self._here(field) for field in form["fields"] if field["name"] not in self._hidden)
        return form | {"fields": [field for field in fields if field]}

    def _here(self, field: dict[str, Any]) -> dict[str, Any]:
        """A field as it can be turned here, and in the lesson that is on: files are named on this machine only."""
        name, local = field["name"], self.told["local"]
        if self._turned is not None and name not in self._turned:
            return {}
        if name == "csv":
            return field | {"text": local, "most": uploads.most_bytes(local)}
        return field if local or name not in FILES else {}

    def status(self) -> dict[str, Any]:
        """The same, and the link to this page."""
        return {**super().status(), **self.linked()}

    def hides(self, names: Iterable[str]) -> None:
        """Show no fields of these names, and no parts of the page."""
        self._hidden = frozenset(names)
        self._channel.later(self.graph.take, hides=sorted(self._hidden))

    def place(self, place: dict[str, Any]) -> None:
        """Put the playhead and the selection where they should be, once the scene is there that was sent before."""
        self._channel.later(self.graph.take, place=place)

    # ---- in the page's own thread ---------------------------------------------------------------------------------

    def _draw(self, form: dict[str, Any], **shown: Any) -> None:
        self.graph.take(**shown)
        self.setup.form = form

    def _show_run(self, **shown: Any) -> None:
        self.room.param.update(**shown)
        if "status" in shown:
            self.parallel.charts = shown["status"].get("charts")

    def _show_divided(self, told: dict[str, Any]) -> None:
        self.parallel.told = told

    def _set_form(self, form: dict[str, Any]) -> None:
        self.setup.form = form

    def _tell_beat(self, told: dict[str, Any]) -> None:
        self.course.told = told

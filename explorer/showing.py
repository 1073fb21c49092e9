"""From a session to the views of one page: the scene, its numbers, the run, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from explorer.channel import Channel
from explorer.views.graph import GraphView
from explorer.views.room import RoomView
from explorer.views.setup import SetupView

if TYPE_CHECKING:
    from explorer.session import Session

Message = dict[str, Any]

FILES = frozenset({"csv", "run"})
"""Fields that name a file of the machine that serves the page."""


class Showing:
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
        self._known, self._channel, self._local = known, channel, local
        self.graph = GraphView(received, page=True, sizing_mode="stretch_width")
        self.room = RoomView(received, sizing_mode="stretch_width")
        self.setup = SetupView(received, sizing_mode="stretch_width")
        self.told: dict[str, Any] = {"run": 0, "playing": False, "busy": "", "local": local}
        """What the status says of the page itself."""
        self.supposed: Callable[[], Mapping[str, Any]] = dict
        """What the graph view is told of numbers changed by hand."""
        self._version = 0
        self._sent: Any = None
        self._plain: dict[str, Any] = {}

    # ---- what is sent ---------------------------------------------------------------------------------------------

    def outline(self) -> None:
        """Send the scene while its numbers are still to come."""
        self._channel.later(self._draw, scene=self._scene(), form=self.form())

    def settings(self, error: str = "") -> None:
        """Send the form, and what was wrong with what was typed."""
        self._channel.later(self._set_form, form=self.form() | ({"error": error} if error else {}))

    def passing(self) -> None:
        """Send the pass that is shown."""
        shown = {"scene": self._scene(), "figures": self._known().figures.as_dict(), "status": self._status()}
        self._channel.newest("pass", self._show, **shown, **self.supposed())

    def running(self) -> None:
        """Send how the training goes."""
        session = self._known()
        shown = {"frame": session.frame(), "compare": session.comparison()}
        self._channel.newest("run", self._show_run, status=self._status(), **shown)

    def extras(self) -> None:
        """Send what the pass shows beside its graph."""
        self._channel.newest("extras", self._show_run, extras=self._known().extras())

    def judged(self, findings: list[dict[str, Any]] | None) -> None:
        """Send what is wrong with the run; ``None`` if nobody asked."""
        self._channel.later(self._show_run, findings=findings)

    def surface(self, surface: dict[str, Any]) -> None:
        """Send a slice of the loss; an empty one to forget it."""
        self._channel.later(self._show_run, surface=surface)

    def proved(self, proof: dict[str, Any]) -> None:
        """Send badges, beside those that are there."""
        self._channel.later(self._badges, proof=proof)

    def reply(self, **message: Any) -> None:
        """Send a message to the graph view."""
        self._channel.later(self.graph.tell, **message)

    def form(self) -> dict[str, Any]:
        """The settings as a form; files can be named on this machine only."""
        form = self._known().form()
        return form | {"fields": [one for one in form["fields"] if self._local or one["name"] not in FILES]}

    # ---- in the page's own thread ---------------------------------------------------------------------------------

    def _status(self) -> dict[str, Any]:
        return self._known().status() | self.told

    def _scene(self) -> dict[str, Any]:
        """The scene as plain data, with a number that changes when it does."""
        scene = self._known().scene
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

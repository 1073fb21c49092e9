"""From a session to its graph view, on a page or in a notebook: the scene, its numbers, its proofs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from explorer.session import Session


class Sending(Protocol):
    """How what is to be shown comes to the view."""

    def later(self, does: Callable[..., None], **arguments: Any) -> None:
        """Do it once the view can take it."""

    def newest(self, key: str, shows: Callable[..., None], **arguments: Any) -> None:
        """Likewise, but of what was not done yet only the newest is."""


class Drawn:
    """A graph view, and what it was sent last."""

    def __init__(self, known: Callable[[], Session], channel: Sending, graph: Any, local: bool = True) -> None:
        """Begin, with nothing to see.

        Args:
            known: the session.
            channel: to the browser.
            graph: the view, of Panel or of Jupyter.
            local: whether only people at this machine see it.
        """
        self._known, self._channel, self.graph = known, channel, graph
        self.told: dict[str, Any] = {"run": 0, "playing": False, "busy": "", "local": local}
        """What the status says of the page itself."""
        self.supposed: Callable[[], Mapping[str, Any]] = dict
        """What the graph view is told of numbers changed by hand."""
        self._version = 0
        self._sent: Any = None
        self._drawing: Any = {}
        self._proved: Any = None

    def passing(self) -> None:
        """Send the pass that is shown."""
        session = self._known()
        scene, figures = self.scene(), session.figures.as_dict()
        shown = {"scene": scene, "figures": self.encoded(figures | {"version": self._version}), "ways": self.ways()}
        of = None if session.supposes else session.step
        self._channel.newest("pass", self._show, of=of, **shown, status=self.status(), **self._supposed())

    def along(self) -> None:
        """Send the ways to the loss that are shown."""
        self._channel.newest("ways", self.graph.take, ways=self.ways())

    def proved(self, proof: dict[str, Any]) -> None:
        """Send badges, beside those that are there."""
        self._channel.later(self._badges, proof=proof)

    def reply(self, **message: Any) -> None:
        """Send a message to the graph view."""
        self._channel.later(self.graph.tell, **message)

    def status(self) -> dict[str, Any]:
        """The training as text and numbers, and how the page stands."""
        return self._known().status() | self.told

    def encoded(self, plain: dict[str, Any]) -> Any:
        """Much plain data, as the view takes it."""
        return plain

    def scene(self) -> Any:
        """The scene as the view takes it, with a number that changes when it does."""
        scene = self._known().scene
        if scene is not self._sent:
            self._sent = scene
            self._version += 1
            self._drawing = self.encoded(scene.as_dict() | {"version": self._version})
        return self._drawing

    def ways(self) -> dict[str, Any]:
        """The ways to the loss that are shown, and the version of the scene that they are shown in."""
        found = self._known().ways()
        self.scene()
        return found | {"version": self._version} if found else {}

    def _supposed(self) -> dict[str, Any]:
        given = dict(self.supposed())
        return given | {"plain": self.encoded(given["plain"])} if given else given

    def _show(self, of: Any, **shown: Any) -> None:
        """Another drawing of the same pass keeps its badges: a page that is made narrower, or a fold."""
        kept = self.graph.proof if of is not None and of is self._proved else {}
        self._proved = of
        self.graph.take(**shown, proof=kept)

    def _badges(self, proof: dict[str, Any]) -> None:
        self.graph.take(proof=self.graph.proof | proof)

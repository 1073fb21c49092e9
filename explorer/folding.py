"""How the graph of a page is to be folded. Messages -> the session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explorer.session import Session

Message = dict[str, Any]


class Folding:
    """The graph's part of one page."""

    def __init__(
        self,
        known: Callable[[], Session],
        refolded: Callable[[], None],
        along: Callable[[], None],
        reply: Callable[..., None],
    ) -> None:
        """Begin.

        Args:
            known: the page's session.
            refolded: sends the pass in another drawing.
            along: sends the ways to the loss that are shown.
            reply: sends a message.
        """
        self._known, self._refolded, self._along, self._reply = known, refolded, along, reply

    def received(self, message: Message) -> None:
        """Fold as a message asks, and show it if that changes anything.

        Raises:
            EngineError: there is no such node or scope.
        """
        session = self._known()
        if message["type"] == "find":
            self._find(str(message["text"]))
            return
        before = session.scene
        ways = session.way_of
        _DOES[str(message["type"])](session, message)
        if session.scene != before:
            self._refolded()
        elif session.way_of != ways:
            self._along()

    def _find(self, text: str) -> None:
        """Have the node selected that is called so; the browser knows few of the names in a very large graph."""
        if found := self._known().find(text):
            self._reply(type="select", node=found, itself=True)


_DOES: Mapping[str, Callable[[Session, Message], None]] = {
    "granularity": lambda session, message: session.set_granularity(str(message["value"])),
    "toggle": lambda session, message: session.toggle(str(message["scope"])),
    "reveal": lambda session, message: session.reveal(str(message["node"])),
    "plumbing": lambda session, message: session.show_plumbing(bool(message["value"])),
    "ways": lambda session, message: session.show_ways(str(message["node"])),
    "resize": lambda session, message: session.resize(float(message["width"]), float(message["height"])),
}

MESSAGES = frozenset({"find", *_DOES})
"""Types of the messages that are about folding."""

"""The graph with its track, inspector and table, as one ES module; moving the playhead never leaves the browser."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from explorer import assets

_Much = partial(param.ClassSelector, class_=(dict, str), default={})
"""Plain data, or JSON of it (:func:`explorer.plain.as_json`): a page is sent that, as it is much."""


class GraphView(JSComponent):  # type: ignore[misc]
    """Shows a scene and its figures. What the person does arrives at ``on_message`` as plain data."""

    look = param.Dict(default=assets.look(), doc="Palettes and colours.")
    scene = _Much(doc="What is drawn, with a ``version``.")
    figures = _Much(doc="The numbers of the scene of that ``version``.")
    status = param.Dict(default={}, doc="The training as text and numbers.")
    proof = param.Dict(default={}, doc="For each box how well its gradient agrees.")
    whatif = param.Dict(default={}, doc="What a person changed in this step, and which boxes it moved; else empty.")
    plain = _Much(doc="The numbers of the boxes without those changes.")
    ways = param.Dict(default={}, doc="Which boxes and wires lie on the ways from a node to the loss; else empty.")
    place = param.Dict(default={}, doc="Where a link leads: ``at`` (phase and box), ``node``, ``entry``, ``said``.")
    hides = param.List(default=[], doc="Parts of the page that a link hides: ``setup``, ``training``.")
    live = param.Boolean(default=False, doc="Whether it is told at once where the person stands, for those who follow.")
    page = param.Boolean(default=False, doc="Whether keys are listened for on the whole page.")

    _esm = assets.module("graphview/main.js")
    _stylesheets: ClassVar[list[str]] = [assets.variables(), assets.text("graphview.css")]

    def __init__(self, on_message: Callable[[dict[str, Any]], None], **params: Any) -> None:
        super().__init__(**params)
        self._on_message = on_message
        self.replied: Callable[[dict[str, Any]], None] = lambda data: None
        """Hears what is sent to the browser."""

    def _handle_msg(self, data: dict[str, Any]) -> None:
        self._on_message(data)

    def take(self, **shown: Any) -> None:
        """Show something else, all of it at once."""
        self.param.update(**shown)

    def tell(self, **data: Any) -> None:
        """Send a message to the browser."""
        self._send_msg(data)
        self.replied(data)

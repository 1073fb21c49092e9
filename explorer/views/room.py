"""The training room: controls, findings and charts of a run, as one ES module; hovering never leaves the browser."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from explorer import assets

_Much = partial(param.ClassSelector, class_=(dict, str), default={})
"""Plain data, or JSON of it (:func:`explorer.plain.as_json`): a page is sent that, as it is much."""


class RoomView(JSComponent):  # type: ignore[misc]
    """Shows a run as frames tell it. What the person does arrives at ``on_message`` as plain data.

    Arrays are base64 of little-endian float32 (``frames.encoded``), in C order. In them NaN stands for what wasn't
    recorded, and minus infinity, which no magnitude is, for a NaN that was computed.
    """

    look = param.Dict(default=assets.look(), doc="Palettes and colours.")
    status = param.Dict(
        default={},
        doc="``Session.status()``, and ``playing``, ``busy`` (what is waited for) and ``knobs`` (fields as in a form).",
    )
    frame = _Much(doc="The run so far, in at most 256 columns of steps: see ``explorer.frames``.")
    extras = _Much(doc="``boundary`` or ``fit``, ``histograms``, ``time``: each where there is one.")
    surface = _Much(doc="A slice of the loss around the run; or an ``error``.")
    findings = param.List(default=None, allow_None=True, doc="What health says of the run; None: it wasn't asked.")
    compare = _Much(doc="A second run: its ``frame``, ``findings`` and ``title``.")

    _esm = assets.module("room/main.js")
    _stylesheets: ClassVar[list[str]] = [assets.variables(), assets.text("room.css")]

    def __init__(self, on_message: Callable[[dict[str, Any]], None], **params: Any) -> None:
        super().__init__(**params)
        self._on_message = on_message

    def _handle_msg(self, data: dict[str, Any]) -> None:
        self._on_message(data)

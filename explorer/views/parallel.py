"""The data-parallel room: what each device has of one step, as an ES module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from explorer import assets


class ParallelView(JSComponent):  # type: ignore[misc]
    """Shows answers of :class:`explorer.fleet.Fleet`; what the person does arrives at ``on_message``."""

    look = param.Dict(default=assets.look(), doc="Palettes and colours.")
    told = param.Dict(
        default={},
        doc="``split``, ``goal`` (the step that is shown elsewhere), ``waiting`` (what is asked for), ``error``, and "
        "answers: ``look drift straggle``. Of a training elsewhere ``members`` alone (:func:`explorer.members.plain`).",
    )

    charts = param.List(default=None, allow_None=True, doc="Parts of the training room that a lesson shows.")

    _esm = assets.module("parallel/main.js")
    _stylesheets: ClassVar[list[str]] = [assets.variables(), assets.text("room.css"), assets.text("parallel.css")]

    def __init__(self, on_message: Callable[[dict[str, Any]], None], **params: Any) -> None:
        super().__init__(**params)
        self._on_message = on_message

    def _handle_msg(self, data: dict[str, Any]) -> None:
        self._on_message(data)

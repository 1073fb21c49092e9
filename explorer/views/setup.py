"""The set-up panel: the settings of a session as native controls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from explorer import assets


class SetupView(JSComponent):  # type: ignore[misc]
    """Shows a form that is given as data; what is chosen arrives at ``on_message``."""

    form = param.Dict(default={"fields": [], "words": "", "error": "", "device": ""})

    _esm = assets.module("graphview/setup.js")
    _stylesheets: ClassVar[list[str]] = [assets.variables(), assets.text("setup.css")]

    def __init__(self, on_message: Callable[[dict[str, Any]], None], **params: Any) -> None:
        super().__init__(**params)
        self._on_message = on_message

    def _handle_msg(self, data: dict[str, Any]) -> None:
        self._on_message(data)

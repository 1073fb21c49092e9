"""The teacher's side of a class: its code, who is there, and what they answered, as one ES module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from explorer import assets


class ClassView(JSComponent):  # type: ignore[misc]
    """A button, and a card once a class is open. What the person does arrives at ``on_message`` as plain data."""

    told = param.Dict(default={}, doc="``Class.told()`` and where people join; empty without a class; or an ``error``.")

    _esm = assets.module("classroom/main.js")
    _stylesheets: ClassVar[list[str]] = [assets.variables(), assets.text("classroom.css")]

    def __init__(self, on_message: Callable[[dict[str, Any]], None], **params: Any) -> None:
        super().__init__(**params)
        self._on_message = on_message

    def _handle_msg(self, data: dict[str, Any]) -> None:
        self._on_message(data)

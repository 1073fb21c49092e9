"""The lesson's card and the list of the course, as one ES module; they lie over the page, beside what they speak of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from explorer import assets


class LessonView(JSComponent):  # type: ignore[misc]
    """Shows a beat as ``Player.told`` has it. What the person does arrives at ``on_message`` as plain data."""

    course = param.List(default=[], doc="Every lesson, as ``course.Entry.plain`` has it.")
    told = param.Dict(default={}, doc="The beat that one is at; empty outside lessons.")

    _esm = assets.module("lesson/main.js")
    _stylesheets: ClassVar[list[str]] = []  # its elements are the page's own, and so is their style

    def __init__(self, on_message: Callable[[dict[str, Any]], None], **params: Any) -> None:
        super().__init__(**params)
        self._on_message = on_message

    def _handle_msg(self, data: dict[str, Any]) -> None:
        self._on_message(data)

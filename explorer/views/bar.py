"""The training bar: one step, reset, and what the last step did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from explorer import assets


class TrainingBar(JSComponent):  # type: ignore[misc]
    """Two buttons and a line of text. What the person does arrives at ``on_message``."""

    status = param.Dict(default={})

    _esm = assets.module("graphview/training.js")
    _stylesheets: ClassVar[list[str]] = [assets.variables(), assets.text("training.css")]

    def __init__(self, on_message: Callable[[dict[str, Any]], None], **params: Any) -> None:
        super().__init__(**params)
        self._on_message = on_message

    def _handle_msg(self, data: dict[str, Any]) -> None:
        self._on_message(data)

"""The graph view as a widget of a notebook: the same ES module as on the page, without Panel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anywidget
from traitlets import Dict, Int, Unicode

from explorer import assets


class GraphWidget(anywidget.AnyWidget):
    """Shows a scene and its figures. What the person does arrives at ``on_message`` as plain data."""

    look = Dict(assets.look()).tag(sync=True)
    scene = Dict().tag(sync=True)
    figures = Dict().tag(sync=True)
    status = Dict().tag(sync=True)
    proof = Dict().tag(sync=True)
    whatif = Dict().tag(sync=True)
    plain = Dict().tag(sync=True)
    ways = Dict().tag(sync=True)
    sheet = Unicode(assets.variables() + assets.text("graphview.css")).tag(sync=True)
    position = Int().tag(sync=True)
    """Of the playhead."""
    node = Unicode().tag(sync=True)
    """Id of the node that is selected; empty without."""

    _esm = assets.module("graphview/notebook.js")

    def __init__(self, on_message: Callable[[dict[str, Any]], None]) -> None:
        super().__init__()
        self.on_msg(lambda widget, content, buffers: on_message(content))

    def take(self, **shown: Any) -> None:
        """Show something else, all of it at once."""
        with self.hold_sync():
            for name, value in shown.items():
                setattr(self, name, value)

    def tell(self, **data: Any) -> None:
        """Send a message to the browser."""
        self.send(data)

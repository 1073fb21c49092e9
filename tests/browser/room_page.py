"""A page with nothing but the training room, and in it a run made up for the tests. It tells what it hears."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import panel as pn

from explorer import assets, frames
from explorer.views.room import RoomView

STEPS = 40
LAYERS = ("first", "second", "last")
PARAMETERS = tuple(f"params.{layer}.{leaf}" for layer in LAYERS for leaf in "wb")
FROZEN = "params.last.w"
COMPUTED_NAN = -np.inf
GRADIENT = (1e-6, 1e-3, 0.5, 0.03, 4e-5, 0.2, 7e-7, 0.0, COMPUTED_NAN)
"""At every step, of each layer and then of each parameter."""

STATUS = {"title": "A run", "step": STEPS - 1, "trained": True, "before": "0.5", "after": "0.4", "measure": "loss"}
STATUS |= {"on": "made up", "rate": "0.1", "loss": 0.5, "playing": False, "busy": ""}
KNOBS = [{"name": "rate", "label": "Learning rate", "value": 0.1, "low": 0, "high": 10, "step": "any"}]
FINDING = {
    "kind": "vanishing",
    "sentence": "The gradient shrinks on its way back.",
    "where": ["first"],
    "cause": "the slope of the sigmoid",
    "factors": [{"layer": "first", "activation_slope": 0.2, "weight_gain": 0.6, "product": 0.12, "measured": 0.125}],
    "effects": ["the first layer hardly moves"],
    "remedies": [
        {"label": "Use ReLU", "change": {"activation": "relu"}},
        {"label": "Add norms", "change": {"norm": "layer"}},
    ],
    "lesson": "",
}
PAGE = """{% from macros import embed %}<!DOCTYPE html><html lang="en" data-theme="light"><head><title>Room</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
{{ bokeh_css if bokeh_css }}</head><body style="margin: 10px">{{ embed(roots.room) }}
{{ bokeh_js if bokeh_js }}{{ plot_script }}</body></html>"""


def frame() -> dict[str, Any]:
    """A loss that falls and ends in NaN, and rows whose gradient never changes."""
    loss = np.append(np.linspace(2, 0.5, STEPS - 1), np.nan)
    rows = [(name, "layer") for name in LAYERS] + [(name, "parameter") for name in PARAMETERS]
    gradient = np.repeat(np.array(GRADIENT)[:, None], STEPS, 1)
    gradient[0, :10] = np.nan
    told = frames.encoded(frames.computed(loss))
    steps = list(range(STEPS))
    return {
        "version": 1,
        "step": STEPS - 1,
        "shown": STEPS - 1,
        "starts": steps,
        "ends": steps,
        "series": {"loss": {"low": told, "high": told, "last": told}},
        "rows": [
            {"id": f"%{i}", "name": name, "kind": kind, "frozen": name == FROZEN} for i, (name, kind) in enumerate(rows)
        ],
        "what": {"gradient": frames.encoded(gradient), "zeros": frames.encoded(np.full(gradient.shape, 0.25))},
        "events": [[20, "rate 0.5 → 0.1"]],
    }


def elsewhere() -> dict[str, Any]:
    """The same numbers of a network of another graph, where each id is another row's."""
    told = frame()
    ids = [row["id"] for row in told["rows"]]
    return told | {"rows": [row | {"id": id} for row, id in zip(told["rows"], [*ids[1:], ids[0]], strict=True)]}


def boundary() -> dict[str, Any]:
    """Half of the plane each; two hidden units."""
    scores = np.tile(np.linspace(0, 1, 8), (8, 1))
    units = [{"id": f"%u{j}", "layer": "first", "unit": j, "scores": frames.encoded(scores - j)} for j in range(2)]
    points = frames.encoded([[-0.5, 0, 0], [0.5, 0, 1]])
    return {"size": [8, 8], "range": [-1, 1, -1, 1], "scores": frames.encoded(scores), "points": points, "units": units}


def page() -> pn.Template:
    """A fresh room for each tab; what it hears stands in its status line."""
    heard: list[dict[str, Any]] = []

    def hear(message: dict[str, Any]) -> None:
        heard.append(message)
        status = STATUS | {"playing": message["type"] == "play", "busy": json.dumps(heard), "knobs": KNOBS}
        if message["type"] == "remedy":
            room.compare = {"frame": elsewhere(), "findings": [], "title": "ReLU"}
        room.status = status

    room = RoomView(hear, sizing_mode="stretch_width", status=STATUS | {"knobs": KNOBS}, findings=[FINDING])
    room.param.update(frame=frame(), extras={"boundary": boundary()})
    template = pn.Template(PAGE)
    template.add_variable("page_css", assets.variables())
    template.add_panel("room", room)
    return template


def main(port: int) -> None:
    """Serve it on this machine."""
    host = "127.0.0.1"
    server = pn.serve(page, port=port, address=host, websocket_origin=f"{host}:{port}", show=False, start=False)
    print(f"http://{host}:{port}/", flush=True)  # noqa: T201
    server.start()
    server.io_loop.start()


if __name__ == "__main__":
    main(int(sys.argv[1]))

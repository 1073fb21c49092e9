"""What each device of a training elsewhere has of one step: told where it trains, and shown on the page that follows.

Every process that trains holds the statistics of all devices, gathered in the step itself; so one of them tells of all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from engine import cluster, stats, wire
from engine.errors import UnknownNodeError
from engine.loop import Records
from engine.parallel import Merged, ParallelLoop
from explorer.room import Room

Array = Any
Plain = dict[str, Any]

KIND = "members"
"""Of the message."""

UNFINITE = "not finite"
"""In place of a number, where an entry is NaN or infinite."""

_RMS, _UNFINITE, _MEAN = map(stats.ROW.index, ("rms", "nonfinite", "mean"))


def message(room: Room, records: Records) -> list[bytes | memoryview]:
    """What the devices had of the last step that was read, as a message; nothing where a step isn't divided.

    Args:
        room: with the run.
        records: of some steps, just taken.
    """
    loop, read = room.run.current, records.reading
    if not isinstance(loop, ParallelLoop) or not isinstance(read, Merged) or loop.split.devices == 1:
        return []
    hosts = cluster.hosts()
    devices = [
        {"process": at.process_index, "host": hosts[at.process_index], "examples": len(loop.shares.of(place))}
        for place, at in enumerate(loop.mesh.devices.flat)
    ]
    layers = {layer.name: _gradient(read, layer.output) for layer in room.layers}
    known = {name: found for name, found in layers.items() if found is not None}
    header = {"kind": KIND, "step": int(records.watched[-1]), "devices": devices, "layers": list(known)}
    gradient = np.array(list(known.values())).T.reshape(len(devices), len(known))
    return wire.message(
        header, {"loss": _finite(_last(read, room.graph.outputs[0], "value"), _MEAN), "gradient": gradient}
    )


def plain(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> Plain:
    """What a message told, for the page: ``None`` of a device without examples, a string where it isn't finite."""
    devices = [
        device | {"loss": _number(loss, device), "gradient": [_number(size, device) for size in sizes]}
        for device, loss, sizes in zip(header["devices"], arrays["loss"], arrays["gradient"], strict=True)
    ]
    return {"step": header["step"], "layers": header["layers"], "devices": devices}


def _gradient(read: Merged, output: str) -> Array | None:
    try:
        return _finite(_last(read, output, "grad"), _RMS)
    except (UnknownNodeError, KeyError):  # of this layer no gradient is read
        return None


def _last(read: Merged, node: str, what: str) -> Array:
    return read.apart(node)[what][-1]


def _finite(rows: Array, statistic: int) -> Array:
    """A statistic of each device; NaN where one of its entries isn't finite."""
    return np.where(rows[:, _UNFINITE] > 0, np.nan, rows[:, statistic])


def _number(value: Any, device: Mapping[str, Any]) -> float | str | None:
    return None if not device["examples"] else float(value) if math.isfinite(value) else UNFINITE

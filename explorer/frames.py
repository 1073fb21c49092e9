"""What was recorded of a run -> its frame: plain data in columns of steps, for the charts of the room."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from engine.numbers import Numbers
from engine.profile import rows as layer_rows
from engine.track import Columns, Track, thinned
from engine.training import Step
from explorer.seen import Seen

Array = Any

MOST = 256
"""Columns in a frame, at most."""

LOOKED = ("dead", "saturated")
"""Shares that only a full pass tells."""


def encoded(array: Array) -> str:
    """An array of any shape as base64 of float32, little-endian, in C order."""
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode("ascii")


def computed(array: Array) -> Array:
    """The same numbers with NaN as minus infinity: in a frame NaN stands for what wasn't recorded."""
    found = np.asarray(array, np.float32)
    return np.where(np.isnan(found), -np.inf, found)


def of_run(room: Seen, shown: int) -> dict[str, Any]:
    """The frame of a run.

    Args:
        room: with the run.
        shown: the step whose pass the graph shows.
    """
    history = room.history
    columns = _thin(history.numbers, history.loss())
    if not len(columns) and room.known_first is not None:
        return _unbegun(room, room.known_first)
    starts, ends = _spans(room, columns)
    return {
        "version": room.step,
        "step": int(columns.final[-1]) if len(columns) else 0,
        "shown": shown,
        "starts": starts,
        "ends": ends,
        "series": {"loss": band(columns)} | _tests(room, columns),
        "rows": rows(room),
        "what": {name: encoded(numbers) for name, numbers in _quantities(room, columns).items()},
        "events": [[event.step, event.text] for event in room.events if event.text],
    }


def _spans(room: Seen, columns: Columns) -> tuple[list[int], list[int]]:
    """First and last step of each column; where steps are sampled a column reaches half-way to its neighbours."""
    if not room.gaps or not len(columns):
        return columns.first.tolist(), columns.final.tolist()
    edges = (columns.final[:-1] + columns.first[1:]) // 2
    return [0, *(edges + 1).tolist()], [*edges.tolist(), int(columns.final[-1])]


def _unbegun(room: Seen, first: Step) -> dict[str, Any]:
    """The frame of a run before its first step: what the pass tells that it begins with."""
    found = {name: np.full(len(room.layers) + len(room.parameters), np.nan) for name in ("gradient", "value", "weight")}
    places = {layer.output: place for place, layer in enumerate(room.layers)}
    for row in layer_rows(Numbers(first.reading), room.parameters):
        place = places[row.layer.output]
        found["gradient"][place], found["value"][place] = row.gradient, row.value
    roots = np.sqrt([max(np.size(leaf), 1) for leaf in jax.tree.leaves(first.before.params)])
    for name, norms in (("gradient", first.gradient_norms), ("weight", first.weight_norms)):
        found[name][len(places) :] = norms / roots
    loss = encoded(computed(np.array([float(first.loss)])))
    return {
        "version": 0,
        "step": 0,
        "shown": 0,
        "starts": [0],
        "ends": [0],
        "series": {"loss": dict.fromkeys(("low", "high", "last"), loss)},
        "rows": rows(room),
        "what": {name: encoded(numbers) for name, numbers in found.items()},
        "events": [],
    }


def rows(room: Seen) -> list[dict[str, Any]]:
    """What the rows of a frame are: first the layers, then the parameters, and which of these stay as they are."""
    layers = [{"id": layer.output, "name": layer.name, "kind": "layer"} for layer in room.layers]
    frozen = room.frozen
    names = zip(room.parameters, room.history.parameters, strict=True)
    return layers + [{"id": id, "name": name, "kind": "parameter", "frozen": name in frozen} for id, name in names]


def profile(room: Seen) -> Array:
    """Root mean square of the gradient at the output of each layer: ``(columns, layers)``, NaN where not measured."""
    return _of_nodes(room, "grad", "rms", [layer.output for layer in room.layers])[1]


def _thin(track: Track, columns: Columns) -> Columns:
    return thinned(columns, track.stride, MOST)


def band(columns: Columns) -> dict[str, str]:
    """For each column the smallest, the largest and the last of its numbers."""
    return {name: encoded(computed(getattr(columns, name))) for name in ("low", "high", "last")}


def _tests(room: Seen, columns: Columns) -> dict[str, Any]:
    """What was measured on fixed examples, in the columns in which it was; NaN in the others."""
    found = {}
    names = {"test_loss": "test_loss", "accuracy": "train_accuracy", "test_accuracy": "test_accuracy"}
    for name, recorded in names.items():
        tested = room.history.tested(recorded)
        if np.isfinite(tested.last).any():
            last = encoded(_placed(tested.final - 1, computed(tested.last)[:, None], columns)[0])
            found[name] = {"low": last, "high": last, "last": last}
    return found


def _placed(steps: Array, numbers: Array, columns: Columns) -> Array:
    """Numbers recorded now and then, in the columns of their steps: ``(rows, columns)``; NaN where there is none."""
    found = np.full((numbers.shape[1], len(columns)), np.nan, np.float32)
    if len(columns):
        places = np.atleast_1d(np.searchsorted(columns.final, np.maximum(steps, 0)))
        inside = places < len(columns)
        found[:, places[inside]] = numbers[inside].T
    return found


def _of_nodes(room: Seen, what: str, statistic: str, ids: Sequence[str]) -> tuple[Columns, Array]:
    """A statistic of some nodes, and the columns it was measured in: ``(columns, nodes)``.

    NaN where a node wasn't run or isn't watched; a NaN that was computed is :func:`computed`.
    """
    history = room.history
    measured, spoilt = (history.measured(what, name) for name in (statistic, "nonfinite"))
    nodes = {id: place for place, id in enumerate(history.nodes)}
    table = np.full((len(measured), len(ids)), np.nan, np.float32)
    for column, id in enumerate(ids):
        if id in nodes:
            last = measured.last[:, nodes[id]]
            table[:, column] = np.where(spoilt.last[:, nodes[id]] > 0, computed(last), last)
    return measured, table


def _quantities(room: Seen, columns: Columns) -> dict[str, Array]:
    """For each quantity the layers' numbers over those of the parameters: ``(rows, columns)``."""
    history = room.history
    outputs, blank = [layer.output for layer in room.layers], np.full((len(room.parameters), len(columns)), np.nan)
    layered = {
        "gradient": ("grad", "rms", outputs),
        "value": ("value", "rms", room.ends),
        "zeros": ("value", "zero_fraction", room.ends),
        "zero_gradient": ("grad", "zero_fraction", outputs),
    }
    found = {}
    for name, (what, statistic, ids) in layered.items():
        measured, table = _of_nodes(room, what, statistic, ids)
        found[name] = np.concatenate([_placed(measured.final, table, columns), blank])
    weights = [room.parameters.index(layer.weights[0]) for layer in room.layers]
    roots = np.sqrt([max(math.prod(room.graph.node(id).shape), 1) for id in room.parameters])
    norms = {"gradient": history.gradients(), "weight": history.weights(), "update": history.ratios()}
    for name, given in norms.items():
        last = _thin(history.numbers, given).last / (1 if name == "update" else roots)
        own = last.T if name == "update" and room.gaps else computed(last).T
        found[name] = np.concatenate([found[name][: len(weights)] if name in found else own[weights], own])
    return found | _looked(room, columns)


def _looked(room: Seen, columns: Columns) -> dict[str, Array]:
    """Shares of dead units and of saturated entries, which only a full pass tells."""
    outputs = {layer.output: place for place, layer in enumerate(room.layers)}
    table = np.full((len(room.looks), len(LOOKED), len(outputs) + len(room.parameters)), np.nan)
    for look, shares in zip(room.looks, table, strict=True):
        for row in look.rows:
            told = [getattr(row, name) for name in LOOKED]
            shares[:, outputs[row.layer.output]] = [np.nan if share is None else share for share in told]
    if not (len(columns) and np.isfinite(table).any()):
        return {}
    steps = np.array([look.step for look in room.looks], int)
    far = np.abs(columns.first[:, None] + columns.final[:, None] - 2 * steps) / 2
    near = far.min(axis=1) <= np.maximum(room.reach, (columns.final - columns.first + 1) / 2)
    nearest = table[far.argmin(axis=1)]
    return {name: np.where(near, nearest[:, place].T, np.nan) for place, name in enumerate(LOOKED)}

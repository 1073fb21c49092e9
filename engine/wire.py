"""Readings as bytes, and back: from the process that trains to one that shows it.

A message is two lengths, a header in JSON and the raw bytes of its arrays::

    <I: bytes of the header> <Q: bytes of the arrays> header arrays

The header says of each array its name, type and shape. A graph and what was read of it are data, and travel as JSON.
Nothing is pickled: whoever reads gets plain data and arrays, whatever was sent.
"""

from __future__ import annotations

import dataclasses
import json
import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import jax
import jax.numpy as jnp
import numpy as np

from engine.errors import EngineError
from engine.graph import Edge, Graph, Literal, Node, Place, Scope
from engine.history import measured, rows
from engine.loop import Records
from engine.packing import Part, Piece
from engine.probe import Plan
from engine.reading import Outline, Reading
from engine.sampling import Sample
from engine.sources import Handed, Whole

Array = Any
Header = dict[str, Any]

COMMANDED = 0
"""In place of how often a loop is looked at: it isn't one of one's own, and all of its steps are known."""

_LENGTHS = struct.Struct("<IQ")
_TYPES = (Edge, Graph, Handed, Literal, Node, Part, Piece, Place, Plan, Scope, Whole)
_KINDS: dict[str, Any] = {kind.__name__: kind for kind in _TYPES}
_PARTS = ("whole", "branches", "counts", "packed")


class WireError(EngineError, ValueError):
    """What came is no message."""


# ---- messages ------------------------------------------------------------------------------------------------------


def message(header: Header, arrays: Mapping[str, Array]) -> list[bytes | memoryview]:
    """A message in pieces, to be written one after the other.

    Args:
        header: of JSON's types; ``arrays`` is taken.
        arrays: by name; they are fetched, not copied.
    """
    found = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    told = [[name, array.dtype.name, np.shape(arrays[name])] for name, array in found.items()]
    text = json.dumps(header | {"arrays": told}).encode()
    pieces = [array.reshape(-1).view(np.uint8).data for array in found.values() if array.size]
    return [_LENGTHS.pack(len(text), sum(piece.nbytes for piece in pieces)), text, *pieces]


def receive(stream: BinaryIO) -> tuple[Header, dict[str, Array]] | None:
    """The next message; ``None`` where the stream ends.

    Raises:
        WireError: what came is none.
    """
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    text, data = (stream.read(length) for length in _LENGTHS.unpack(lengths))
    try:
        header = json.loads(text)
        return header, dict(_cut(header.pop("arrays"), data))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise WireError(f"What came is no message: {error}.") from error


def _cut(told: Iterable[tuple[str, str, list[int]]], data: bytes) -> Iterable[tuple[str, Array]]:
    start = 0
    for name, dtype, shape in told:
        kind = np.dtype(dtype)
        count = math.prod(shape)
        yield name, np.frombuffer(data, kind, count, start).reshape(shape)
        start += count * kind.itemsize


class Writer:
    """Makes messages of samples; what many have in common is told once."""

    def __init__(self, every: int) -> None:
        """Begin.

        Args:
            every: how often the loop is looked at.
        """
        self._every = every
        self._told: list[Reading] = []

    def pieces(self, sample: Sample) -> Iterator[bytes | memoryview]:
        """A sample as messages, in pieces; before the first one of its kind its outline."""
        reading = sample.reading
        own = {"loss": sample.loss} | ({} if sample.moved is None else {"moved": sample.moved})
        own |= {f"after/{place}": leaf for place, leaf in enumerate(sample.after or ())}
        number = next((n for n, told in enumerate(self._told) if _alike(told, reading)), len(self._told))
        if number == len(self._told):
            self._told.append(reading)
            told = {"title": reading.graph.name, "parameters": sample.parameters, "every": self._every}
            yield from message({"kind": "outline", "id": number, "outline": outline(reading), **told}, {})
        yield from message({"kind": "sample", "id": number, "step": sample.step}, own | arrays(reading))


def columns(records: Records, nodes: Sequence[str], most: int) -> list[bytes | memoryview]:
    """What a history keeps of some steps, as a message.

    Args:
        records: the steps.
        nodes: ids of those whose statistics are told, as far as they were watched.
        most: how many steps are told; of more, as many evenly between the first and the last.
    """
    kept = _evenly(len(records.loss), most)
    found = {"steps": records.steps[kept], "numbers": rows(records)[kept]}
    if records.reading is not None:
        watched = _evenly(len(records.watched), most)
        whole = measured(records.reading, nodes, len(records.watched))
        found |= {"watched": records.watched[watched], "measures": whole[watched]}
    return message({"kind": "columns"}, found)


def _evenly(count: int, most: int) -> Array:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def _alike(one: Reading, other: Reading) -> bool:
    """Whether two readings are of the same program."""
    if one.plan is other.plan and one.graph is other.graph:
        return True
    mine, others = one.outline, other.outline
    return (hash(mine.graph), mine.plan, mine.layout) == (hash(others.graph), others.plan, others.layout)


# ---- readings ------------------------------------------------------------------------------------------------------


def outline(reading: Reading) -> Any:
    """All of a reading but its arrays, of JSON's types; the same for every step of one program."""
    return _told((reading.graph, reading.plan, reading.outline.layout))


def arrays(reading: Reading) -> dict[str, Array]:
    """The arrays of a reading by name; keys of random numbers stay where they are."""
    each = {f"whole/{what}/{id}": array for (what, id), array in reading.parts.get("whole", {}).items()}
    each |= {f"{part}/{key}": array for part in _PARTS[1:] for key, array in reading.parts.get(part, {}).items()}
    return {name: array for name, array in each.items() if not jnp.issubdtype(array.dtype, jax.dtypes.extended)}


def reading(outline: Any, arrays: Mapping[str, Array]) -> Reading:
    """A reading again.

    Raises:
        WireError: this is no outline of one.
    """
    return assembled(*restored(outline), arrays)


def assembled(graph: Graph, plan: Plan, layout: Any, arrays: Mapping[str, Array]) -> Reading:
    """A reading from what :func:`restored` gives and its arrays."""
    parts: dict[str, dict[Any, Array]] = {part: {} for part in _PARTS}
    for name, array in arrays.items():
        part, _, key = name.partition("/")
        parts[part][tuple(key.split("/", 1)) if part == "whole" else key] = array
    return Reading.of(Outline(graph, plan, layout), **parts)


def restored(outline: Any) -> tuple[Graph, Plan, Any]:
    """Graph, plan and layout from an outline.

    Raises:
        WireError: this is none.
    """
    try:
        graph, plan, layout = _back(outline)
    except (ValueError, TypeError, KeyError) as error:
        raise WireError(f"What came is no outline of a reading: {error}.") from error
    return graph, plan, layout


def _told(value: Any) -> Any:
    """Frozen data as JSON's types: what JSON doesn't know is an object with one key, the name of its type."""
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, frozenset):
        return {"frozenset": sorted(value)}
    if dataclasses.is_dataclass(value):
        fields = (getattr(value, field.name) for field in dataclasses.fields(value))
        return {type(value).__name__: list(map(_told, fields))}
    return list(map(_told, value)) if isinstance(value, tuple | list) else value


def _back(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_back, value))
    if not isinstance(value, dict):
        return value
    ((kind, given),) = value.items()
    if kind in ("complex", "frozenset"):
        return complex(*given) if kind == "complex" else frozenset(given)
    return _KINDS[kind](*map(_back, given))

"""Readings as bytes, and back."""

from __future__ import annotations

import io
import json

import jax
import numpy as np
import pytest

from engine import wire
from engine.grad import value_and_grad
from engine.wire import WireError
from tests.programs import CASES, Case

FEW = [case for case in CASES if not case.x64 and not case.slow][::9]


def sent(header, arrays):
    return b"".join(bytes(piece) for piece in wire.message(header, arrays))


def through(reading):
    """A reading that was sent and received."""
    told = json.loads(json.dumps(wire.outline(reading)))
    _, arrays = wire.receive(io.BytesIO(sent({}, wire.arrays(reading))))
    return wire.reading(told, arrays)


@pytest.mark.parametrize("probe", ["full", "stats"])
@pytest.mark.parametrize("case", FEW, ids=lambda case: case.name)
def test_a_reading_arrives_as_it_was(case: Case, probe):
    reading = jax.jit(value_and_grad(case.fun, probe=probe))(*case.args)[2]
    arrived = through(reading)
    assert str(arrived.graph.nodes) == str(reading.graph.nodes)
    assert (arrived.graph.edges, arrived.graph.scopes) == (reading.graph.edges, reading.graph.scopes)
    assert arrived.plan == reading.plan
    found, wanted = wire.arrays(arrived), wire.arrays(reading)
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], np.asarray(array))


def test_messages_follow_each_other():
    arrays = {"a": np.arange(3.0), "b": np.zeros((0, 2)), "c": np.float32(np.nan)}
    stream = io.BytesIO(sent({"number": 1}, arrays) + sent({"number": 2}, {}))
    (first, found), (second, none) = wire.receive(stream), wire.receive(stream)
    assert (first["number"], second["number"], none) == (1, 2, {})
    assert [array.shape for array in found.values()] == [(3,), (0, 2), ()]
    assert wire.receive(stream) is None


def test_a_stream_that_breaks_off_ends():
    assert wire.receive(io.BytesIO(sent({}, {"a": np.arange(9.0)})[:3])) is None


@pytest.mark.parametrize("text", [b"[]", b"not JSON", b"{}"])
def test_what_is_no_message_is_refused(text):
    data = len(text).to_bytes(4, "little") + bytes(8) + text
    with pytest.raises(WireError):
        wire.receive(io.BytesIO(data))


@pytest.mark.parametrize("outline", [[], [{"os": ["rm"]}], [{"Graph": []}], [{"Session": []}, [], []], 3])
def test_what_is_no_outline_is_refused(outline):
    with pytest.raises(WireError):
        wire.reading(outline, {})


def test_a_type_of_half_a_word_arrives():
    array = jax.numpy.arange(3, dtype="bfloat16")
    _, found = wire.receive(io.BytesIO(sent({}, {"a": array})))
    assert found["a"].dtype == array.dtype

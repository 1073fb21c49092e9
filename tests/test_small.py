"""The smallest graphs, whose gradients one can work out in one's head."""

from __future__ import annotations

import jax
import pytest

from engine.tasks.small import SMALL, neuron, product, shared


@pytest.mark.parametrize(
    ("fun", "args", "wanted"),
    [
        (product, (-2.0, 5.0, -4.0), (-4.0, -4.0, 3.0)),
        (shared, (3.0, -5.0), (1.0, 3.0)),
        (neuron, (0.5, 2.0, 4.0), (-12.0, -3.0, 6.0)),
    ],
)
def test_its_gradients_are_those_worked_out_by_hand(fun, args, wanted):
    assert tuple(map(float, jax.grad(fun, tuple(range(len(args))))(*args))) == wanted


@pytest.mark.parametrize("name", SMALL)
def test_its_note_says_how_it_starts(name):
    small = SMALL[name]
    said = small.note.replace("−", "-").replace(" at the start", "")
    assert [float(part.split("=")[1]) for part in said.split(",")] == [*small.start, *small.given]

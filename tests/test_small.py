"""The smallest graphs, whose gradients one can work out in one's head."""

from __future__ import annotations

import math

import jax
import pytest

from engine.tasks.small import SMALL, chain, neuron, product, shared

H1, H2 = math.tanh(1.0), math.tanh(-0.5 * math.tanh(1.0))
BACK = 2 * (2 * H2 - 1)
AT_S2 = BACK * 2 * (1 - H2**2)


@pytest.mark.parametrize(
    ("fun", "args", "wanted"),
    [
        (product, (-2.0, 5.0, -4.0), (-4.0, -4.0, 3.0)),
        (shared, (3.0, -5.0), (1.0, 3.0)),
        (neuron, (0.5, 2.0, 4.0), (-12.0, -3.0, 6.0)),
        (chain, (1.0, -0.5, 2.0, 1.0, 1.0), (AT_S2 * -0.5 * (1 - H1**2), AT_S2 * H1, BACK * H2)),
    ],
)
def test_its_gradients_are_those_worked_out_by_hand(fun, args, wanted):
    found = jax.grad(fun, tuple(range(len(wanted))))(*args)
    assert tuple(map(float, found)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_its_note_says_how_it_starts(name):
    small = SMALL[name]
    said = small.note.replace("−", "-").replace(" at the start", "")
    parts = [part.split("=") for part in said.split(",")]  # `w = v = 1.4` is two of them
    assert [float(value) for *names, value in parts for _ in names] == [*small.start, *small.given]

"""A zero that is no zero: told from what is zero in float32 as well."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine.tasks.problem import Problem
from engine.underflow import Lost, Wide, lost, narrow

SLOPES = np.array([1, 2.0**-20, 2.0**-26, 0], np.float32)
"""Of which float16 holds the first two, the second as a number of less digits."""


def computed(kind):
    def loss(w):
        def inner(w):
            return jnp.exp(w)

        return jnp.sum(inner(w.astype(kind) if kind else w).astype(jnp.float32) * SLOPES)

    return loss


W = np.zeros(4, np.float32)


@pytest.fixture(scope="module")
def problem():
    return Problem("p", computed(jnp.float16), (W,), wide=lambda: Problem("p", computed(None), (W,)))


def read(fun, factor=None):
    return engine.value_and_grad(fun, factor=factor)(W)[2]


def test_what_falls_below_is_counted_and_what_is_zero_is_not(problem):
    reading = read(problem.fun)
    found = lost(reading, Wide(problem).reading((W,), 0))
    assert np.array_equal(reading.grad("inner/exp") == 0, [False, False, True, True])
    assert found[reading.graph.node("inner/exp").id] == Lost(0.25, "float16")


def test_a_parameter_loses_what_is_lost_where_it_is_cast(problem):
    reading = read(problem.fun)
    found = lost(reading, Wide(problem).reading((W,), 0), ["w"])
    assert found == {"%0": Lost(0.25, "float16")}
    assert narrow(reading.graph, reading.graph.node("%0")) == "float16"


def test_scaled_nothing_is_lost(problem):
    found = lost(read(problem.fun, np.float32(1024)), Wide(problem).reading((W,), 0))
    assert {own.share for own in found.values()} == {0}


def test_bfloat16_loses_nothing(problem):
    found = lost(read(computed(jnp.bfloat16)), Wide(problem).reading((W,), 0))
    assert {(own.share, own.kind) for own in found.values()} == {(0, "bfloat16")}


def test_what_is_float32_anyway_is_not_asked(problem):
    assert lost(read(computed(None)), Wide(problem).reading((W,), 0)) == {}


def test_the_smallest_number_of_a_type():
    assert Lost(0.5, "float16").smallest == 2.0**-24

"""A reading on the host."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import engine
from engine.graph import Literal
from engine.numbers import Numbers, spoilt

X = np.array([0.5, -1.0, 2.0], np.float32)
NODES = ("sin", "add")


@pytest.fixture(scope="module")
def found():
    return Numbers(engine.value_and_grad(lambda x: jnp.sum(x * jnp.sin(x)))(X)[2])


def test_arrays_are_numpys(found):
    for array in (found.value("%0"), found.grad("%0"), *found.contributions("%0").values()):
        assert isinstance(array, np.ndarray)


def test_each_array_is_fetched_once(found):
    assert found.value("%1") is found.value("%1")
    assert found.contributions("%0") is found.contributions("%0")


def test_an_operand_is_a_number_or_an_iteration_of_a_node():
    numbers = Numbers(engine.value_and_grad(lambda x: lax.scan(lambda c, x: (c * x, None), x[0], x)[0])(X)[2])
    assert numbers.operand(Literal(2.0), ()) == 2.0
    assert numbers.operand(numbers.graph.node("scan/x").id, (1,)) == -1.0


def test_what_did_not_run_stays_masked():
    def walk(x):
        return lax.scan(lambda c, v: (lax.cond(v > 0, jnp.sin, jnp.cos, c), None), x[0], x)[0]

    numbers = Numbers(engine.value_and_grad(walk)(X)[2])
    assert numbers.value(numbers.graph.node("scan/cond/if_true/sin").id).mask.tolist() == [False, True, False]


def test_a_reading_that_knows_a_gradient_from_another_node_hides_no_value():
    """What comes back to the sine is what comes back to the sum."""
    fun = lambda x: jnp.sum((jnp.sin(x) + X) ** 2)
    of_sine, of_sum = (engine.value_and_grad(fun, probe=engine.Probe(nodes=(name,), how="stats")) for name in NODES)
    later, earlier = of_sine(X)[2], of_sum(X)[2]
    assert later.stats("add").keys() == {"grad"}
    found = Numbers(later, (later, earlier)).stats("add")
    assert found["value"]["mean"] == pytest.approx(float(jnp.mean(jnp.sin(X) + X)))
    assert found["grad"] == later.stats("add")["grad"]


def test_what_no_reading_knows_is_refused():
    fun = lambda x: jnp.sum(jnp.sin(x) ** 2)
    reading = engine.value_and_grad(fun, probe=engine.Probe(nodes=("sin",), how="stats"))(X)[2]
    with pytest.raises(engine.UnknownNodeError):
        Numbers(reading, (reading,)).stats("integer_pow")


def test_what_spoilt_a_loss_is_the_first_on_the_way_to_it():
    def loss(x):
        aside = jnp.sum(1 / (x - x))
        masked = jnp.exp(jnp.where(x > 0, x, -jnp.inf))
        return jnp.sum(masked) + jnp.sum(jnp.sqrt(x)) + 0 * jnp.where(x[0] < 9, x[0], aside)

    assert " is NaN, " in spoilt(engine.value_and_grad(loss)(X)[2])
    assert " were made by sqrt (" in spoilt(engine.value_and_grad(loss)(X)[2])
    assert spoilt(engine.value_and_grad(loss)(np.abs(X))[2]) == ""


def test_what_spoilt_a_loss_may_have_been_given():
    assert " were given in x." in spoilt(engine.value_and_grad(lambda x: jnp.sum(x) ** 2)(X * np.inf)[2])

"""Loss scaling: what is returned and read is as without it where sixteen bits hold it, and more where they don't."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine import scaling
from engine.check import Checker
from engine.stats import ROW

FACTOR = np.float32(1024)


def loss(w, x):
    h = x.astype(jnp.float16) * w.astype(jnp.float16)
    return jnp.sum(h.astype(jnp.float32)) * jnp.float32(2.0**-30)


GIVEN = np.float32(3), np.ones(4, np.float32)


def looped(w, xs):
    def step(h, x):
        h = jnp.tanh(h * w.astype(jnp.float16) + x)
        return h, None

    last, _ = jax.lax.scan(step, jnp.zeros(40, jnp.float16), xs.astype(jnp.float16))
    return jnp.mean(last.astype(jnp.float32))


LOOPED = np.float32(0.5), np.linspace(-1, 1, 200, dtype=np.float32).reshape(5, 40)


def test_without_a_factor_it_is_jaxs_own():
    mine, jaxs = (
        jax.make_jaxpr(each)(*GIVEN) for each in (scaling.value_and_grad(loss, 0, None), jax.value_and_grad(loss))
    )
    assert str(mine) == str(jaxs)


def test_a_gradient_that_underflows_arrives_by_way_of_a_factor():
    assert jax.grad(loss)(*GIVEN) == 0
    value, gradient = scaling.value_and_grad(loss, 0, FACTOR)(*GIVEN)
    assert value == loss(*GIVEN)
    assert gradient == 4 * 2.0**-30


def test_the_engine_returns_the_same():
    wanted = scaling.value_and_grad(loss, 0, FACTOR)(*GIVEN)
    assert engine.value_and_grad(loss, factor=FACTOR)(*GIVEN)[:2] == wanted


def test_a_full_reading_is_unscaled_in_single_precision():
    reading = engine.value_and_grad(loss, factor=FACTOR)(*GIVEN)[2]
    assert reading.factor == FACTOR
    gradient = reading.grad("mul")
    assert gradient.dtype == np.float32
    assert np.array_equal(gradient, np.full(4, 2.0**-30))
    assert reading.grad(reading.graph.outputs[0]) == 1


@pytest.mark.parametrize(("fun", "given"), [(loss, GIVEN), (looped, LOOPED)])
def test_statistics_are_those_of_the_full_reading(fun, given):
    full, stats = (engine.value_and_grad(fun, probe=probe, factor=FACTOR)(*given)[2] for probe in ("full", "stats"))
    for node in full.graph.nodes:
        for what, wanted in full.stats(node.id).items():
            assert stats.stats(node.id)[what] == pytest.approx(wanted, rel=1e-2, abs=1e-12)


def test_contributions_add_up_without_the_factor():
    reading = engine.value_and_grad(lambda w: loss(w, GIVEN[1]) + w * w, factor=FACTOR)(GIVEN[0])[2]
    sent = reading.contributions("w")
    assert sum(map(float, sent.values())) == pytest.approx(float(reading.grad("w")), rel=1e-6)


def test_shares_and_counts_are_no_sizes():
    row = dict(zip(ROW, scaling.unscaled_rows(jnp.full(len(ROW), 2.0), np.float32(2)).tolist(), strict=True))
    assert (row["rms"], row["zero_fraction"], row["nonfinite"]) == (1, 2, 2)


def test_the_proof_goes_the_same_way():
    found = engine.value_and_grad(loss, factor=FACTOR)(*GIVEN)
    checker = Checker.of(loss, (GIVEN, {}), found[2])
    assert checker.report((GIVEN, {}), found, scaling.value_and_grad(loss, 0, FACTOR)(*GIVEN)).ok


def test_a_proof_without_the_factor_is_none():
    found = engine.value_and_grad(loss, factor=FACTOR)(*GIVEN)
    checker = Checker.of(loss, (GIVEN, {}), found[2])
    assert not checker.report((GIVEN, {}), found, jax.value_and_grad(loss)(*GIVEN)).ok

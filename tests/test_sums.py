"""Sums whose terms are in memory are measured without being written, and read as any other value."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import engine
from engine import kernel, sums
from engine.grad import Asked, run
from engine.stats import ROW
from engine.tape import Override
from engine.trace import program

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("library")]
RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


X, W, U, V, B, C = normal(6, 4), normal(4, 20), normal(4, 20), normal(20, 20), normal(20), normal(6, 1)


@pytest.fixture(autouse=True)
def _there(monkeypatch):
    monkeypatch.setattr(kernel, "available", lambda: True)


def layer(w, b):
    return jnp.sum(jnp.tanh(X @ w + b))


def bias_first(w, b):
    return jnp.sum(jnp.tanh(b + X @ w))


def two_products(w, b):
    return jnp.sum(jnp.tanh(X @ w + X @ U + b))


def residual(w, b):
    return jnp.sum(jnp.tanh(X @ w + (X @ U + b)))


def convolved(w, b):
    image, weights = jnp.reshape(X, (1, 6, 4, 1)), jnp.reshape(w, (2, 2, 1, 20))
    dims = ("NHWC", "HWIO", "NHWC")
    out = lax.conv_general_dilated(image, weights, (1, 1), "SAME", dimension_numbers=dims)
    return jnp.sum(jnp.tanh(out + b))


def recurrent(w, b):
    def step(h, x):
        return jnp.tanh(x @ w + h @ V + b), None

    return jnp.sum(lax.scan(step, jnp.ones((3, 20)), jnp.reshape(X, (2, 3, 4)))[0] ** 2)


def short(w, b):
    """Of so few entries in an iteration that those of all are measured together."""

    def step(h, x):
        return jnp.tanh(x @ w[:, :8] + h @ V[:8, :8] + b[:8]), None

    return jnp.sum(lax.scan(step, jnp.ones((3, 8)), jnp.reshape(X, (2, 3, 4)))[0] ** 2)


def jitted(w, b):
    return jnp.sum(jax.jit(lambda y: jnp.tanh(y + b))(X @ w))


def rematerialised(w, b):
    return jnp.sum(jax.checkpoint(lambda w: jnp.tanh(X @ w + b) ** 2)(w))


def branched(w, b):
    return lax.cond(jnp.sum(b) > -99, lambda: jnp.sum(jnp.tanh(X @ w + b)), lambda: jnp.sum(w))


PROGRAMS = [layer, bias_first, two_products, residual, convolved, recurrent, short, jitted, rematerialised, branched]


def watched(fun, probe):
    return jax.jit(lambda w, b: engine.value_and_grad(fun, argnums=(0, 1), probe=probe)(w, b))


def summed(fun):
    """Of how many terms each array is that a watched step measures."""
    text = watched(fun, "stats").lower(W, B).as_text()
    return [int(count) for found in re.findall(r"terms = dense<\[?([\d, ]+)\]?>", text) for count in found.split(",")]


@pytest.mark.exact
@pytest.mark.parametrize("fun", PROGRAMS, ids=lambda fun: fun.__name__)
def test_a_sum_reads_as_the_array_does(fun):
    value, grads, reading = watched(fun, "stats")(W, B)
    whole_value, whole_grads, whole = watched(fun, "full")(W, B)
    np.testing.assert_array_equal(value, whole_value)
    jax.tree.map(np.testing.assert_array_equal, grads, whole_grads)
    for node in reading.graph.nodes:
        if not np.all(True if (ran := reading.executed(node.id)) is None else ran):
            continue
        for what, found in reading.stats(node.id).items():
            wanted = whole.stats(node.id)[what]
            for name in ROW:
                np.testing.assert_allclose(found[name], wanted[name], rtol=1e-4, atol=1e-6, err_msg=f"{node} {name}")


@pytest.mark.cpu  # a GPU keeps what loops make until their end
@pytest.mark.parametrize("fun", [fun for fun in PROGRAMS if fun is not short], ids=lambda fun: fun.__name__)
def test_it_is_not_written(fun):
    assert max(summed(fun)) >= 2


@pytest.mark.cpu
def test_in_a_loop_it_has_the_terms_from_outside_too():
    assert max(summed(recurrent)) == 3


def test_what_is_kept_of_all_iterations_is_written():
    assert set(summed(short)) == {1}


def test_a_sum_of_sums_has_all_the_terms():
    assert max(summed(two_products)) == 3


def test_terms_from_outside_a_jitted_call_are_known_in_it():
    assert max(summed(jitted)) == 2


@pytest.mark.parametrize(
    "fun",
    [
        lambda w, b: jnp.sum(jnp.tanh(X @ w + C)),
        lambda w, b: jnp.sum(jnp.tanh(X @ w + 1.5)),
        lambda w, b: jnp.sum(jnp.tanh(jnp.ones((400, 4)) @ w[:, :2] + b[:2])),
        lambda w, b: jnp.sum(jnp.tanh(X @ w - b)),
        lambda w, b: jnp.sum(jnp.tanh(X @ w + jnp.sin(b))),
        lambda w, b: jnp.sum(jnp.tanh((X @ w).astype(jnp.bfloat16) + b.astype(jnp.bfloat16))),
    ],
    ids=["a column", "a number", "a short term many times", "a difference", "what is not in memory", "half precision"],
)
def test_another_sum_is_written(fun):
    assert set(summed(fun)) == {1}


def test_more_terms_than_the_library_takes_are_written():
    def long(w, b):
        return jnp.sum(jnp.tanh(X @ w + X @ U + b + X @ w + X @ U + b))

    found = summed(long)
    assert max(found) == kernel.TERMS
    assert found.count(1) > 1


def test_under_vmap_each_example_has_its_own():
    weights = normal(3, 4, 20)
    reading = jax.vmap(lambda w: engine.value_and_grad(layer, probe="stats")(w, B)[2])(weights)
    key = next(node.id for node in reading.graph.nodes if node.op == "add")
    found = reading.stats(key)["value"]["mean"]
    np.testing.assert_allclose(found, [np.mean(X @ w + B) for w in weights], rtol=1e-5, atol=1e-6)


def test_what_is_overridden_is_read_as_it_was_given():
    def fun(w):
        return layer(w, B)

    traced = program(fun, (W,), {})
    key = next(node.id for node in traced.graph.nodes if node.op == "add")
    given = Override(np.ones((6, 20), bool), np.full((6, 20), 2, np.float32))
    _, _, reading = run(traced, (W,), Asked(probe=engine.Probe(how="stats", what=("value",))), {key: given})
    assert reading.stats(key)["value"]["mean"] == 2


def test_terms_that_cannot_be_repeated_are_no_sum():
    assert sums.terms(jax.make_jaxpr(jnp.add)(X, C).eqns[0], [jnp.asarray(X + C)], {}) == ()


@pytest.mark.parametrize("terms", [2, 3, 4])
@pytest.mark.parametrize("shape", [(3, 1), (3, 7), (9, 64), (60, 192), (60, 200), (3, 4096), (3, 5000)])
def test_the_library_adds_terms_as_numpy_does(shape, terms):
    parts = [normal(*shape), normal(*shape), normal(shape[-1]), normal(*shape)][-terms:]
    parts.sort(key=np.ndim, reverse=True)  # the first has all the entries
    found = kernel.measure([kernel.Sum(tuple(map(jnp.asarray, parts))), jnp.asarray(parts[0])], [0, 1])
    rows = [engine.stats.measure(table, np, lead=1) for table in (np.reshape(sum(parts), (1, -1)), parts[0])]
    np.testing.assert_allclose(found, np.concatenate(rows), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e30, 1e-30])
def test_sums_that_need_care_have_it(number):
    first, short = normal(50, 100) * np.float32(number if np.isfinite(number) else 1), normal(100) * 0
    first[3, 4] = number
    found = kernel.measure([kernel.Sum((jnp.asarray(first), jnp.asarray(short)))], [0])
    with np.errstate(all="ignore"):
        wanted = engine.stats.measure(np.reshape(first + short, (1, -1)).astype(np.float64), np, lead=1)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_a_sum_as_an_array_is_the_sum():
    np.testing.assert_array_equal(kernel.Sum((jnp.asarray(X), jnp.asarray(X[:1]))).whole(), X + X[:1])

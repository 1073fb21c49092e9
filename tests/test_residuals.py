"""What is kept: JAX's own residuals, each once, with the node that made it."""

from __future__ import annotations

import contextlib
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import print_saved_residuals

from engine.cost import cost
from engine.residuals import peak

X = np.ones((8, 4), np.float32)
ENTRIES = X.nbytes


def kept(fun, *args):
    return [(r.primitive, r.kind, r.shape) for r in cost(fun, *args).residuals if r.kind == "computed"]


def test_a_sine_keeps_its_cosine():
    assert kept(lambda x: jnp.sum(jnp.sin(x)), X) == [("cos", "computed", X.shape)]


def test_an_exponential_keeps_its_value():
    found = cost(lambda x: jnp.sum(jnp.exp(x)), X)
    assert [(r.primitive, found.graph.node(r.node).op) for r in found.residuals] == [("exp", "exp")]


def test_a_sum_keeps_nothing():
    assert cost(lambda x: jnp.sum(x + x), X).residuals == ()


def test_a_product_keeps_its_factors_which_are_there_anyway():
    found = cost(lambda w, x: jnp.sum(x @ w), np.ones((4, 4), np.float32), X)
    assert [(r.kind, r.bytes) for r in found.residuals] == [("argument", ENTRIES)]
    assert found.kept == 0


def test_what_is_kept_twice_counts_once():
    def loss(x):
        y = jnp.exp(x)
        return jnp.sum(y.reshape(-1) * 2) + jnp.sum(y * y)

    assert cost(loss, X).kept == ENTRIES


def test_two_calls_of_one_jitted_function_keep_an_array_each():
    sine = jax.jit(jnp.sin)
    assert cost(lambda x: jnp.sum(sine(sine(x))), X).kept == 2 * ENTRIES


def test_a_scan_keeps_what_each_iteration_needs():
    loop = lambda x: jnp.sum(jax.lax.scan(lambda c, row: (jnp.sin(c + row), None), jnp.zeros(4), x)[0])
    found = cost(loop, X)
    assert found.kept == 8 * 4 * 4
    assert [found.graph.node(r.node).op for r in found.residuals] == ["sin"]


def test_zeros_that_a_rule_fills_in_are_not_stored():
    found = cost(lambda x: jnp.sum(jax.nn.relu(x)), X)
    assert {r.kind: r.bytes for r in found.residuals} == {"computed": X.size, "filled": ENTRIES}
    assert found.kept == X.size  # a boolean each


LOSSES = {
    "sine": lambda x: jnp.sum(jnp.sin(x) * x),
    "layers": lambda x: jnp.sum(jnp.tanh(jnp.tanh(x @ jnp.eye(4)) @ jnp.eye(4)) ** 2),
    "softmax": lambda x: jnp.sum(jax.nn.softmax(x) * x),
}


@pytest.mark.parametrize("name", LOSSES)
def test_jax_prints_the_same_bytes(name):
    """The oracle is what JAX prints for people to read, arrays that are arguments left out."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        print_saved_residuals(LOSSES[name], X)
    lines = [line for line in out.getvalue().splitlines() if "argument" not in line and "from a constant" not in line]
    shapes = [line.split("[")[1].split("]")[0] for line in lines if line]
    printed = sum(4 * int(np.prod([int(n) for n in shape.split(",") if n])) for shape in shapes)
    assert cost(LOSSES[name], X).kept == printed


def test_the_peak_of_a_chain_is_two_arrays():
    chain = jax.make_jaxpr(lambda x: jnp.sin(jnp.sin(jnp.sin(x))))(X).jaxpr
    assert peak(chain) == 3 * ENTRIES  # the argument stays, one value is read, one is made


def test_the_peak_of_a_fork_holds_all_that_is_still_needed():
    fork = jax.make_jaxpr(lambda x: (lambda a, b, c: a + b + c)(jnp.sin(x), jnp.cos(x), jnp.tan(x)))(X).jaxpr
    assert peak(fork) == 5 * ENTRIES


def test_the_peak_looks_into_a_call():
    inner = jax.jit(lambda x: jnp.sum(jnp.sin(x) + jnp.cos(x)))
    assert peak(jax.make_jaxpr(inner)(X).jaxpr) == 4 * ENTRIES
    assert peak(jax.make_jaxpr(lambda x: inner(x) + 1)(X).jaxpr) == 4 * ENTRIES


def test_the_compiled_program_needs_no_more():
    loss = lambda w, x: jnp.mean(jnp.tanh(jnp.tanh(x @ w) @ w) ** 2)
    args = np.ones((64, 64), np.float32), np.ones((32, 64), np.float32)
    used = jax.jit(jax.value_and_grad(loss)).lower(*args).compile().memory_analysis()
    total = used.temp_size_in_bytes + used.argument_size_in_bytes + used.output_size_in_bytes
    assert 0.5 * total < cost(loss, *args).peak < 2 * total

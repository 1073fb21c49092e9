"""Rules of what moves, copies and sums: each entry of the operand gets what its copies in the result got."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import engine
from engine.explain import explain
from engine.moves import MOVES
from engine.numbers import Numbers

X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
LINE = X[0]
ROWS = np.array([0, 2, 2, 7, -1])

PROGRAMS = {
    "reduce_sum": (lambda x: jnp.sum(x, axis=0), X),
    "reduce_sum of all": (jnp.sum, X),
    "reduce_max": (lambda x: jnp.max(x, axis=1), X),
    "reduce_max with ties": (lambda x: jnp.max(x), np.array([1.0, 3.0, 3.0], np.float32)),
    "reduce_min": (lambda x: jnp.min(x, axis=0), X),
    "reduce_prod": (lambda x: jnp.prod(x, axis=1), X),
    "broadcast_in_dim": (lambda x: jnp.broadcast_to(x, (3, 4)), LINE),
    "broadcast_in_dim of a column": (lambda x: jnp.broadcast_to(x, (3, 4)), X[:, :1]),
    "reshape": (lambda x: x.reshape(2, 6), X),
    "squeeze": (lambda x: lax.squeeze(x, (1,)), X[:, :1]),
    "expand_dims": (lambda x: x[:, None], LINE),
    "transpose": (lambda x: x.T, X),
    "rev": (lambda x: lax.rev(x, (1,)), X),
    "slice": (lambda x: lax.slice(x, (0, 1), (3, 4), (2, 2)), X),
    "dynamic_slice": (lambda x: lax.dynamic_slice(x, (1, 2), (2, 2)), X),
    "dynamic_slice kept within": (lambda x: lax.dynamic_slice(x, (9, -2), (2, 2)), X),
    "concatenate": (lambda x: jnp.concatenate([x, 2 * x, x], axis=1), X),
    "stack": (lambda x: jnp.stack([x, x * 2], axis=1), LINE),
    "pad": (lambda x: lax.pad(x, np.float32(0), ((1, 0, 1), (-1, 2, 0))), X),
    "cumsum": (lambda x: lax.cumsum(x, axis=1), X),
    "cumsum reversed": (lambda x: lax.cumsum(x, axis=0, reverse=True), X),
    "gather rows": (lambda x: x[jnp.array([0, 2, 2])], X),
    "gather entries": (lambda x: x[jnp.array([0, 2]), jnp.array([3, 1])], X),
    "gather one": (lambda x: x[jnp.int32(1), jnp.int32(2)], X),
    "gather columns": (lambda x: x[:, jnp.array([1, 1])], X),
    "gather along": (lambda x: jnp.take_along_axis(x, jnp.array([[0], [3], [1]]), axis=1), X),
    "gather clipped": (lambda x: jnp.take(x, ROWS, axis=0, mode="clip"), X),
}


@pytest.fixture(scope="module")
def found():
    """All programs in one, each with an argument of its own."""

    def loss(xs):
        results = [PROGRAMS[name][0](x) for name, x in xs.items()]
        return sum(jnp.sum(y * jnp.arange(1.0, y.size + 1).reshape(y.shape)) for y in results)

    return Numbers(jax.jit(engine.value_and_grad(loss))({name: x for name, (_, x) in PROGRAMS.items()})[2])


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.once
def test_every_entry_is_spelled_out_and_right(found, name):
    gradient = found.grad(found.graph.node(f"xs.{name}").id)
    for index in np.ndindex(gradient.shape):
        sentence = explain(found, f"xs.{name}", index, plumbing=True)
        assert all(term.products for term in sentence.terms), f"{sentence}"
        if not any(term.hidden for term in sentence.terms):
            total = sum(np.prod([f.value for f in product]) for term in sentence.terms for product in term.products)
            assert total == pytest.approx(gradient[index], rel=1e-4, abs=1e-6), f"{sentence}"


def test_every_rule_is_tested(found):
    elsewhere = {"expand_dims", "stack"}  # primitives of some versions of JAX only
    assert set(MOVES) - {node.op for node in found.graph.nodes} <= elsewhere


def test_an_entry_that_was_not_read_gets_zero(found):
    assert str(explain(found, "xs.slice", (1, 1))) == "∂L/∂xs.slice[1, 1] = 0"


def test_an_entry_read_twice_gets_both(found):
    assert str(explain(found, "xs.gather rows", (2, 0))) == "∂L/∂xs.gather rows[2, 0] = 5 · 1 + 9 · 1 = 14"


@pytest.mark.parametrize(("entry", "share"), [(0, "1 · 0 = 0"), (1, "1 · 0.5 = 0.5"), (2, "1 · 0.5 = 0.5")])
def test_ties_share_the_gradient(found, entry, share):
    name = "xs.reduce_max with ties"
    assert str(explain(found, name, (entry,))) == f"∂L/∂{name}[{entry}] = {share}"

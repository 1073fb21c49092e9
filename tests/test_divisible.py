"""Whether a step can be divided: what is no mean over its examples is told, whatever it looks like at first."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.divisible import divisible
from engine.shares import ParallelError
from engine.tasks import problem, usual
from engine.tasks.problem import Problem
from tests.programs import normal

pytestmark = pytest.mark.cpu

X, Y, W = normal(6, 3), normal(6, seed=1), normal(3, seed=2)


def test_a_batch_norm_can_not_be_divided():
    with pytest.raises(ParallelError, match="norm 'batch' takes its mean over the whole batch"):
        divisible(problem(usual("xor", norm="batch")))


def own(fun, *examples):
    return Problem("loss", fun, (W,), examples)


def test_a_mean_over_examples_can_be_divided_whatever_else_it_takes():
    def loss(w, given, rate, name):
        return jnp.mean((given["x"] @ w - given["y"]) ** 2) + rate * jnp.sum(w**2)

    found = divisible(own(loss, {"x": X, "y": Y}, 0.1, "ridge"))
    np.testing.assert_array_equal(found.rows(3), range(6))
    given, rate, name = found.taken(np.array([1, 4]))
    np.testing.assert_array_equal(given["x"], X[[1, 4]])
    assert (rate, name) == (0.1, "ridge")


MASK = np.array([1, 1, 0, 1, 1, 0], np.float32)


@pytest.mark.parametrize(
    ("fun", "examples", "says"),
    [
        (lambda w, x: jnp.sum((x @ w) ** 2), (X,), r"^loss isn't the mean over its examples: of 6 together it is \d"),
        (lambda w, x: jnp.mean(((x - x.mean(0)) @ w) ** 2), (X,), "isn't the mean over its examples"),
        (lambda w, x, m: jnp.sum(m * (x @ w) ** 2) / m.sum(), (X, MASK), "isn't the mean over its examples"),
        (lambda w, x: jnp.mean((x @ w) ** 2) + jnp.mean(x @ w) ** 2 / 9, (X,), "isn't the mean over its examples"),
        (lambda w, x: jnp.mean(x.reshape(6, 3) @ w), (X,), "can't be called on single examples.*reshape"),
        (lambda w, x, near: jnp.mean(near @ x @ w), (X, np.ones((6, 6))), "can't be called on single examples"),
        (lambda w, x: jnp.mean(x @ w) / 0, (X,), "can't be told: it is"),
        (lambda w, x, key: jnp.mean(x @ w), (X, jax.random.key(0)), "is called on a key of random numbers"),
        (lambda w, x, key: jnp.mean(x @ w), (X, np.zeros(2, np.uint32)), "has first axes of 2 and 6: devices divide"),
        (lambda w, x: jnp.mean(x @ w), (X[:1],), "has first axes of 1: devices divide"),
        (lambda w: jnp.sum(w), (), "^loss has no batch of examples to be divided"),
    ],
)
def test_what_of_ones_own_can_not_be_divided(fun, examples, says):
    given = own(fun, *examples)
    for _ in range(2):
        with pytest.raises(ParallelError, match=says):
            divisible(given)


@pytest.mark.parametrize("start", [0 * W, 0 * W + 1])
def test_it_is_tried_beside_parameters_that_are_special(start):
    def coupled(w, x):
        return jnp.mean((x @ w) ** 2) + 5 * jnp.mean((x - x[0]) @ w) ** 2

    with pytest.raises(ParallelError, match="isn't the mean"):
        divisible(Problem("loss", coupled, (start,), (X,)))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_narrow_numbers_are_tried_in_wide_ones(dtype):
    def coupled(w, x):
        return jnp.mean((x @ w) ** 2) + 0.05 * jnp.mean(x @ w) ** 2

    w, x = jnp.asarray(W, dtype), jnp.asarray(X, dtype)
    divisible(Problem("loss", lambda w, x: jnp.mean((x @ w) ** 2), (w,), (x,)))
    with pytest.raises(ParallelError, match="isn't the mean"):
        divisible(Problem("loss", coupled, (w,), (x,)))

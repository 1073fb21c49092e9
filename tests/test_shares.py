"""A batch divided over devices: everyone takes something else, and together they take all of it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.shares import ParallelError, Split, divisible, mesh, prepare, shares
from engine.tasks import problem, usual
from engine.tasks.problem import Problem
from tests.programs import normal

pytestmark = pytest.mark.cpu

batches = st.integers(1, 64)
splits = st.builds(Split, st.integers(1, 9), st.integers(1, 5))


@given(batches, splits)
def test_together_they_take_each_example_once(batch, split):
    found = shares(batch, split)
    taken = np.concatenate([found.of(device) for device in range(split.devices)])
    assert sorted(taken) == list(range(batch))


@given(batches, splits)
def test_the_weights_are_the_shares_of_the_batch(batch, split):
    found = shares(batch, split)
    for device in range(split.devices):
        assert found.weight[device].sum() == pytest.approx(len(found.of(device)) / batch, abs=1e-6)


@given(batches, splits)
def test_nobody_takes_much_more_than_a_fair_share(batch, split):
    found = shares(batch, split)
    assert max(len(found.of(device)) for device in range(split.devices)) <= np.ceil(1.25 * batch / split.devices)


def test_a_batch_that_can_be_divided_evenly_is():
    assert shares(32, Split(4)).first.tolist() == [[0], [8], [16], [24]]


def test_three_devices_take_a_batch_of_32_in_pieces_of_four():
    assert [len(shares(32, Split(3)).of(device)) for device in range(3)] == [12, 12, 8]


def test_asked_for_pieces_are_at_least_as_many():
    assert shares(32, Split(2, pieces=4)).first.shape == (2, 4)


def test_a_mesh_has_the_devices_that_were_asked_for():
    assert list(mesh(3).devices) == jax.devices()[:3]


def test_more_devices_than_there_are_are_refused():
    with pytest.raises(ParallelError, match=r"^9 devices were asked for, and JAX sees 4 \(CPU\)"):
        mesh(9)


def test_once_jax_has_started_there_is_nothing_to_prepare():
    many = len(jax.devices())
    prepare(many + 1)
    assert len(jax.devices()) == many


def test_a_batch_norm_can_not_be_divided():
    with pytest.raises(ParallelError, match="norm 'batch' takes its mean over the whole batch"):
        divisible(problem(usual("xor", norm="batch")))


X, Y, W = normal(6, 3), normal(6, seed=1), normal(3, seed=2)


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


@pytest.mark.parametrize("name", ["devices", "pieces"])
def test_none_is_too_few(name):
    with pytest.raises(ParallelError, match=f"^{name} is 0, and must be 1 or more"):
        Split(**{name: 0}).checked()


def test_a_change_is_said_in_short():
    assert Split(4).difference(Split(3, sharded=True)) == "devices 4 → 3, sharded False → True"

"""Optimisers side by side on one gradient, against their formulas written out."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from engine import paths

PARAMS = {"b": np.array([1.0, -2.0], np.float32), "w": np.array([[3.0, 0.5]], np.float32)}
GRADIENT = {"b": np.array([0.3, -0.1], np.float32), "w": np.array([[-2.0, 0.01]], np.float32)}
OPTIMISERS = {
    "sgd": optax.sgd(0.1),
    "momentum": optax.sgd(0.1, momentum=0.9),
    "adam": optax.adam(0.01),
    "sign": optax.sign_sgd(0.01),
}


def loss(params, x, kind):
    assert kind == "quadratic"
    return jnp.sum(x * params["w"] ** 2) + jnp.sum(params["b"] ** 2)


X = np.array([1.0, 10.0], np.float32)


@pytest.fixture(scope="module")
def moves():
    return paths.moves(OPTIMISERS, PARAMS, GRADIENT)


@pytest.fixture(scope="module")
def walks():
    return paths.walker(OPTIMISERS, loss, 4)(PARAMS, X, "quadratic")


def test_one_gradient_several_updates(moves):
    np.testing.assert_allclose(moves["sgd"].update["w"], [[0.2, -0.001]], rtol=1e-6)
    np.testing.assert_allclose(moves["adam"].update["w"], [[0.01, -0.01]], rtol=1e-4)
    np.testing.assert_allclose(moves["sign"].update["b"], [-0.01, 0.01], rtol=1e-6)


def test_the_first_step_of_momentum_is_that_of_descent(moves):
    np.testing.assert_array_equal(moves["momentum"].update["w"], moves["sgd"].update["w"])


def test_where_it_leads(moves):
    np.testing.assert_allclose(moves["sgd"].after["b"], [0.97, -1.99], rtol=1e-6)


def test_sizes_and_their_ratio(moves):
    steep = np.sqrt(0.3**2 + 0.1**2 + 2**2 + 0.01**2)
    assert moves["sgd"].size == pytest.approx(0.1 * steep, rel=1e-6)
    assert moves["adam"].size == pytest.approx(0.01 * 2, rel=1e-4)
    assert moves["sgd"].ratio == pytest.approx(0.1 * steep / np.sqrt(1 + 4 + 9 + 0.25), rel=1e-6)


def test_only_descent_goes_straight_down(moves):
    assert moves["sgd"].cosine == pytest.approx(1, abs=1e-6)
    steep = np.sqrt(0.3**2 + 0.1**2 + 2**2 + 0.01**2)
    assert moves["sign"].cosine == pytest.approx((0.3 + 0.1 + 2 + 0.01) / (2 * steep), rel=1e-5)


def test_what_the_gradient_promises(moves):
    assert moves["sgd"].expected == pytest.approx(-0.1 * (0.3**2 + 0.1**2 + 2**2 + 0.01**2), rel=1e-6)


def test_where_there_is_no_gradient_there_is_no_angle():
    zero = jax.tree.map(np.zeros_like, PARAMS)
    found = paths.moves({"sgd": optax.sgd(0.1)}, zero, zero)["sgd"]
    assert np.isnan(found.cosine)
    assert (found.size, found.ratio) == (0.0, float("inf"))


def test_a_walk_is_the_optimisers_own(walks):
    params, momentum = jax.tree.map(np.copy, PARAMS), {"b": 0, "w": 0}
    for step in range(5):
        for key in params:
            np.testing.assert_allclose(walks["momentum"].params[key][step], params[key], rtol=1e-5, atol=1e-6)
        gradient = {"b": 2 * params["b"], "w": 2 * X * params["w"]}
        momentum = {key: 0.9 * momentum[key] + gradient[key] for key in params}
        params = {key: params[key] - 0.1 * momentum[key] for key in params}


def test_all_walks_begin_at_the_same_place(walks):
    for walk in walks.values():
        np.testing.assert_array_equal(walk.params["w"][0], PARAMS["w"])
        assert float(walk.losses[0]) == pytest.approx(float(loss(PARAMS, X, "quadratic")))


def test_the_losses_are_those_of_the_places(walks):
    walk = walks["adam"]
    wanted = [loss(jax.tree.map(lambda a: a[t], walk.params), X, "quadratic") for t in range(5)]
    np.testing.assert_allclose(walk.losses, wanted, rtol=1e-6)


def test_the_sizes_are_those_of_the_steps(walks):
    walk = walks["adam"]
    squares = sum(np.sum(np.diff(part, axis=0) ** 2, axis=tuple(range(1, part.ndim))) for part in walk.params.values())
    np.testing.assert_allclose(walk.sizes, np.sqrt(squares), rtol=1e-3)


def test_a_walker_is_compiled_once():
    traced = []

    def counted(params, x):
        traced.append(1)
        return loss(params, x, "quadratic")

    walk = paths.walker({"sgd": optax.sgd(0.1)}, counted, 2)
    walk(PARAMS, X)
    before = len(traced)
    walk(GRADIENT, X + 1)
    assert len(traced) == before


def test_complex_parameters_go_straight_down():
    start = {"z": np.array([1j, 3 - 2j], np.complex64)}
    loss = lambda params: jnp.sum(jnp.abs(params["z"]) ** 2)
    move = paths.moves({"sgd": optax.sgd(0.1)}, start, jax.grad(loss)(start))["sgd"]
    assert move.cosine == pytest.approx(1)
    assert move.expected == pytest.approx(-0.1 * 4 * (1 + 13), rel=1e-6)
    np.testing.assert_allclose(move.after["z"], 0.8 * start["z"], rtol=1e-6)
    walk = paths.walker({"sgd": optax.sgd(0.1)}, loss, 3)(start)["sgd"]
    np.testing.assert_allclose(walk.losses, 14 * 0.64 ** np.arange(4), rtol=1e-5)

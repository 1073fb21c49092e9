"""Dense layers, what stands between them, and dropout."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine.tasks.activations import ACTIVATIONS
from engine.tasks.norms import layer_norm
from engine.tasks.parts import Design, dense, dropout, embed, init_embedding, init_layer, layer, step_key, thrifty

EYE = {"w": np.eye(2, dtype=np.float32), "b": np.array([1.0, -1.0], np.float32)}
X = np.array([[0.5, 0.5]], np.float32)
RELU = Design((2,), 2, activation=ACTIVATIONS["relu"])


def test_a_layer_is_an_activation_of_a_dense_one():
    np.testing.assert_allclose(dense(EYE, X), [[1.5, -0.5]])
    np.testing.assert_allclose(layer(EYE, X, RELU), [[1.5, 0.0]])


def test_a_residual_connection_adds_what_came_in():
    np.testing.assert_allclose(layer(EYE, X, dataclasses.replace(RELU, residual=True)), [[2.0, 0.5]])


def test_a_residual_connection_is_left_out_where_it_does_not_fit():
    wider = {"w": np.ones((2, 3), np.float32), "b": np.zeros(3, np.float32)}
    np.testing.assert_allclose(layer(wider, X, dataclasses.replace(RELU, residual=True)), [[1.0, 1.0, 1.0]])


def test_normalisation_stands_between_the_sum_and_the_activation():
    design = dataclasses.replace(RELU, norm="layer")
    params = {**EYE, "norm": {"scale": np.full(2, 2, np.float32), "offset": np.full(2, 0.5, np.float32)}}
    wanted = np.maximum(layer_norm(params["norm"], dense(EYE, X)), 0)
    np.testing.assert_allclose(layer(params, X, design), wanted, rtol=1e-6)


def test_a_layers_parameters_are_those_of_the_design():
    made = init_layer(np.random.default_rng(0), (3, 4), Design((3,), 2, norm="rms"))
    assert jax.tree.map(np.shape, made) == {"w": (3, 4), "b": (4,), "norm": {"scale": (4,)}}
    assert not made["b"].any()


def kept(share, step, place=0, seed=0):
    return np.asarray(_dropped(share, step, place, seed))


@jax.jit
def _dropped(share, step, place, seed):
    return dropout(jnp.ones((100, 100)), share, step_key(seed, step), place)


def test_a_thrifty_layer_answers_the_same_and_keeps_its_arguments_alone():
    lavish, saving = (dataclasses.replace(RELU, remat=remat) for remat in (False, True))
    losses = [lambda p, own=own: jnp.sum(thrifty(layer, own, 2)(p, X, own) ** 2) for own in (lavish, saving)]
    (value, slope), (again, slope_again) = (jax.value_and_grad(loss)(EYE) for loss in losses)
    assert value == again
    jax.tree.map(np.testing.assert_array_equal, slope, slope_again)
    kept = [engine.cost(loss, EYE).kept for loss in losses]
    assert kept[1] < kept[0]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean(share):
    mask = kept(share, step=3)
    np.testing.assert_allclose(np.unique(mask), [0, 1 / (1 - share)], rtol=1e-6)
    assert (mask == 0).mean() == pytest.approx(share, abs=0.015)
    assert mask.mean() == pytest.approx(1, abs=0.1 if share > 0.5 else 0.03)


def test_what_is_dropped_follows_from_seed_step_and_place():
    np.testing.assert_array_equal(kept(0.5, 3, 1, 2), kept(0.5, 3, 1, 2))
    for other in (kept(0.5, 4, 1, 2), kept(0.5, 3, 2, 2), kept(0.5, 3, 1, 5)):
        assert (other == kept(0.5, 3, 1, 2)).mean() == pytest.approx(0.5, abs=0.03)


def test_the_gradient_goes_where_nothing_was_dropped():
    key = step_key(0, jnp.int32(0))
    x = jnp.arange(1.0, 101.0)
    gradient = jax.grad(lambda x: dropout(x, 0.25, key, 0).sum())(x)
    np.testing.assert_allclose(dropout(x, 0.25, key, 0), x * gradient, rtol=1e-6)


def test_each_letter_becomes_its_row():
    table = init_embedding(np.random.default_rng(0), 5, 3)
    np.testing.assert_array_equal(embed(table, np.array([[4, 0], [2, 2]], np.int32)), table[[[4, 0], [2, 2]]])


def test_a_letters_gradient_goes_to_its_row_once_for_each_use():
    table = np.ones((3, 2), np.float32)
    gradient = jax.grad(lambda table: embed(table, np.array([2, 0, 2])).sum())(table)
    np.testing.assert_array_equal(gradient, [[1, 1], [0, 0], [2, 2]])

"""Losses and penalties by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.tasks.losses import LOSSES, accuracy, cross_entropy, huber, l1_penalty, l2_penalty, mae, mse

pytestmark = pytest.mark.once

ERRORS = np.array([[0.5], [-1.0], [3.0], [0.0]], np.float32)
TARGETS = np.array([[1.0], [2.0], [3.0], [4.0]], np.float32)


def test_cross_entropy_by_hand():
    scores = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]], np.float32))
    labels = np.eye(3, dtype=np.float32)[[0, 1]]
    assert float(cross_entropy(scores, labels)) == pytest.approx(-(np.log(0.5) + np.log(0.2)) / 2, rel=1e-6)
    assert float(accuracy(scores, labels)) == 0.5


def test_even_scores_surprise_by_the_logarithm_of_the_classes():
    labels = np.eye(10, dtype=np.float32)[:4]
    assert float(cross_entropy(np.zeros((4, 10), np.float32), labels)) == pytest.approx(np.log(10), rel=1e-6)


def test_cross_entropy_of_an_answer_at_each_moment_is_their_mean():
    scores = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    labels = np.eye(4, dtype=np.float32)[[[0, 1, 2], [3, 3, 0]]]
    flat = cross_entropy(scores.reshape(6, 4), labels.reshape(6, 4))
    np.testing.assert_allclose(cross_entropy(scores, labels), flat, rtol=1e-6)


@pytest.mark.parametrize(
    ("loss", "wanted"),
    [(mse, (0.25 + 1 + 9) / 4), (mae, 4.5 / 4), (huber, (0.125 + 0.5 + 2.5) / 4)],
)
def test_a_loss_of_values_by_hand(loss, wanted):
    assert float(loss(TARGETS + ERRORS, TARGETS)) == pytest.approx(wanted, rel=1e-6)


def test_the_gradient_of_huber_is_the_error_cut_at_one():
    errors = jnp.array([-3.0, -0.5, 0.25, 7.0])
    gradient = jax.grad(lambda e: 4 * huber(e, jnp.zeros(4)))(errors)
    np.testing.assert_allclose(gradient, [-1.0, -0.5, 0.25, 1.0], rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_a_perfect_answer_and_of_a_huge_error_are_finite(name):
    for scores in (TARGETS, TARGETS + 1e6):
        assert np.isfinite(jax.grad(LOSSES[name])(scores, TARGETS)).all()


PARAMS = {"layers": [{"w": np.array([[1.0, -2.0]], np.float32), "b": np.array([9.0, 9.0], np.float32)}] * 2}


def test_penalties_by_hand_leave_biases_out():
    assert (float(l1_penalty(PARAMS)), float(l2_penalty(PARAMS))) == (6.0, 5.0)


def test_the_gradient_of_the_l2_penalty_is_the_weight_itself():
    gradient = jax.grad(l2_penalty)(PARAMS)["layers"][0]
    np.testing.assert_array_equal(gradient["w"], PARAMS["layers"][0]["w"])
    np.testing.assert_array_equal(gradient["b"], [0.0, 0.0])


def test_the_gradient_of_the_l1_penalty_is_the_sign():
    np.testing.assert_array_equal(jax.grad(l1_penalty)(PARAMS)["layers"][0]["w"], [[1.0, -1.0]])

"""Losses: how far the answers are from the labels, as one number; and penalties on large weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Array = Any


def cross_entropy(scores: Array, labels: Array) -> Array:
    """Mean surprise, in nats, at the true class: ``−log p(label)``.

    Args:
        scores: one score for each class, ``(examples, …, classes)``.
        labels: one-hot, of the same shape.
    """
    log_p = jax.nn.log_softmax(scores)
    return -jnp.mean(jnp.sum(labels * log_p, axis=-1))


def mse(scores: Array, labels: Array) -> Array:
    """Mean square of the error: large errors count most."""
    return jnp.mean((scores - labels) ** 2)


def mae(scores: Array, labels: Array) -> Array:
    """Mean size of the error: the gradient tells its direction and not how large it is."""
    return jnp.mean(jnp.abs(scores - labels))


def huber(scores: Array, labels: Array) -> Array:
    """Half the square of an error up to 1, and a straight line beyond: outliers don't run away with the fit."""
    error = jnp.abs(scores - labels)
    near = jnp.minimum(error, 1.0)
    return jnp.mean(near * (error - near / 2))


LOSSES: dict[str, Callable[[Array, Array], Array]] = {
    "cross_entropy": cross_entropy,
    "mse": mse,
    "mae": mae,
    "huber": huber,
}


def l1_penalty(params: Any) -> Array:
    """Sum of the sizes of all weights: draws the useless ones to exactly zero. Biases and scales go free."""
    return sum(jnp.sum(jnp.abs(w)) for w in _weights(params))


def l2_penalty(params: Any) -> Array:
    """Half the sum of the squares of all weights, whose gradient is the weight itself. Biases and scales go free."""
    return sum(jnp.sum(w**2) for w in _weights(params)) / 2


def _weights(params: Any) -> list[Array]:
    return [leaf for leaf in jax.tree.leaves(params) if jnp.ndim(leaf) >= 2]


def accuracy(scores: Array, labels: Array) -> Array:
    """Share of answers whose highest score is at the true class."""
    return jnp.mean(jnp.argmax(scores, axis=-1) == jnp.argmax(labels, axis=-1))

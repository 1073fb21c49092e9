"""Losses: how far the answers are from the labels, as one number."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

Array = Any


def cross_entropy(scores: Array, labels: Array) -> Array:
    """Mean surprise, in nats, at the true class: ``−log p(label)``.

    Args:
        scores: one score for each class, ``(examples, classes)``.
        labels: one-hot, ``(examples, classes)``.
    """
    log_p = jax.nn.log_softmax(scores)
    return -jnp.mean(jnp.sum(labels * log_p, axis=-1))


def accuracy(scores: Array, labels: Array) -> Array:
    """Share of examples whose highest score is at the true class."""
    return jnp.mean(jnp.argmax(scores, axis=-1) == jnp.argmax(labels, axis=-1))

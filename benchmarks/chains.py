"""Programs of a chosen number of operations, to be served: ``backprop-explorer serve benchmarks.chains:nodes_300``."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


def _chain(x: jax.Array, weights: jax.Array, operations: int) -> jax.Array:
    for _ in range(operations // 2):
        x = jnp.tanh(x * weights)
    return jnp.sum(x)


def nodes_30(weights: jax.Array, x: jax.Array) -> jax.Array:
    return _chain(x, weights, 30)


def nodes_300(weights: jax.Array, x: jax.Array) -> jax.Array:
    return _chain(x, weights, 300)


def nodes_3000(weights: jax.Array, x: jax.Array) -> jax.Array:
    return _chain(x, weights, 3000)


nodes_30_args = nodes_300_args = nodes_3000_args = (np.linspace(0.8, 1.2, 8, dtype=np.float32), np.ones(8, np.float32))

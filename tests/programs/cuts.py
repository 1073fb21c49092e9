"""Losses in which the flow of the gradient is cut somewhere."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.programs.case import case, normal


@case(normal(4))
def stopped(x):
    return jnp.sum(lax.stop_gradient(jnp.exp(x)) * x)


@case(normal(4))
def flat_steps(x):
    return jnp.sum(x * jnp.round(x) + jnp.floor(x) + jnp.sign(x) * x**2)


@case(normal(5))
def integer_path(x):
    count = (x > 0).astype(jnp.int32).sum()
    return jnp.sum(x) * count + x[jnp.argmax(x)]


@case(normal(5), np.array([0, 1, 1, 0, 1]), np.array([True, False, True, True, False]))
def integer_and_boolean_arguments(x, n, mask):
    return jnp.sum(jnp.where(mask, x * n, x**2))


@case(normal(5))
def straight_through(x):
    hard = (x > 0).astype(x.dtype)
    return jnp.sum((x + lax.stop_gradient(hard - x)) * jnp.arange(5.0))

"""Losses that index, join, sort and select."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.programs.case import case, normal


@case(normal(5, 3), slow=True)
def indexing(x):
    return jnp.sum(x[1] ** 2) + x[2, 1] * 3 + jnp.sum(x[1:4, ::2] ** 3) + jnp.sum(x[jnp.array([0, 0, 4])] ** 2)


@case(normal(7, 4), np.array([1, 3, 3, 0]), slow=True)
def embedding(table, tokens):
    return jnp.sum(jnp.tanh(table[tokens]) * jnp.arange(4.0))


@case(normal(5), slow=True)
def updates(x):
    y = jnp.zeros(8).at[2:7].set(x).at[jnp.array([2, 2])].add(x[:2]).at[3].multiply(x[0])
    return jnp.sum(y**2)


@case(normal(3), normal(2, seed=1), slow=True)
def joining(x, y):
    z = jnp.concatenate([x, y, x]) * jnp.arange(8.0)
    return jnp.sum(jnp.pad(z, 2, constant_values=1.0) ** 2) + jnp.sum(jnp.stack([x, 2 * x]) ** 3)


@case(normal(6), slow=True)
def sorting(x):
    values, _ = lax.top_k(x, 3)
    return jnp.sum(jnp.sort(x) * jnp.arange(6.0)) + jnp.sum(values**2) + jnp.sum(x[jnp.argsort(x)[:2]])


@case(normal(2, 3, 4), slow=True)
def shapes(x):
    y = x.reshape(6, 4).T[None, ::-1].squeeze(0)
    return jnp.sum(jnp.moveaxis(y.reshape(2, 2, 6), 0, 2) ** 2 * jnp.arange(6.0)[:, None])


@case(normal(6))
def splitting(x):
    a, b, c = jnp.split(x, 3)
    return jnp.sum(a * b) + jnp.sum(c**2)


@case(normal(6), slow=True)
def selection(x):
    return jnp.sum(jnp.where(x > 0, jnp.sin(x), x**2)) + lax.select_n(jnp.array(1), x[0], x[1] ** 2)


@case(normal(4), normal(4, seed=1), slow=True)
def dynamic_slices(x, y):
    i = jnp.argmax(y)
    z = lax.dynamic_update_slice(x, y[:2] ** 2, (1,))
    return jnp.sum(lax.dynamic_slice(z, (i // 2,), (2,)) ** 2)

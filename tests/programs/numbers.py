"""Losses in every kind of number, with effects and random keys."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from tests.programs.case import case, normal


@case(normal(4, dtype=jnp.bfloat16), normal(4, 4, seed=1, dtype=jnp.bfloat16), slow=True)
def bfloat16(x, w):
    return jnp.sum(jnp.tanh(w @ x).astype(jnp.float32) ** 2)


@case(normal(4, dtype=np.float16))
def float16(x):
    return jnp.sum(jnp.sin(x) * x)


@case(normal(4), normal(4, 4, seed=1), slow=True)
def mixed_precision(x, w):
    h = jnp.tanh(w.astype(jnp.bfloat16) @ x.astype(jnp.bfloat16))
    return jnp.mean(h.astype(jnp.float32) ** 2)


@case(normal(4, dtype=np.float64), normal(4, 4, seed=1, dtype=np.float64), x64=True)
def float64(x, w):
    return jnp.sum(jnp.tanh(w @ x) ** 2)


@case((normal(3) + 1j * normal(3, seed=1)).astype(np.complex64), slow=True)
def complex_numbers(z):
    w = jnp.exp(1j * z) * z + jnp.conj(z)
    return jnp.sum(jnp.abs(w) ** 2) + jnp.sum(jnp.real(w * w))


@case(normal(3), np.zeros((0, 3), np.float32))
def zero_size(x, empty):
    return jnp.sum(x**2) + jnp.sum(empty * x) + jnp.sum(jnp.concatenate([empty, x[None]]) ** 2)


@case(normal(4), jax.random.key(3), slow=True)
def random_keys(x, key):
    a, b = jax.random.split(key)
    keep = jax.random.bernoulli(a, 0.5, x.shape)
    return jnp.sum(jnp.where(keep, x, 0.0) ** 2) + jnp.sum(x * jax.random.normal(b, x.shape))


@case(normal(4))
def effects(x):
    jax.debug.callback(lambda y: None, x)
    jax.debug.print("x sums to {s}", s=x.sum(), ordered=False)
    return jnp.sum(jnp.sin(x))


@case(normal(3), normal(3, seed=1))
def callback_beside(x, y):
    host = jax.pure_callback(lambda v: np.asarray(v) * 2, jax.ShapeDtypeStruct((3,), np.float32), y)
    return jnp.sum(jnp.sin(x) * host) + jnp.sum(y)


@case(normal(3))
def mutable_reference(x):
    ref = jax.new_ref(jnp.zeros(3))
    ref[0] = x[0] ** 2
    ref[1] += jnp.sin(x[1])
    return jnp.sum(ref[...] * x)


@case(np.array([1.0, np.nan, np.inf, -2.0], np.float32))
def not_finite(x):
    return jnp.sum(jnp.where(jnp.isfinite(x), x, 0.0) ** 2) + jnp.sum(jnp.log(jnp.abs(x)))

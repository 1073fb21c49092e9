"""Losses of products, convolutions, solves and transforms."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.programs.case import case, normal


@case(normal(4, 3), normal(5, 4, seed=1))
def matrix_product(w, x):
    return jnp.sum(jnp.tanh(x @ w) ** 2)


@case(normal(2, 4, 3), normal(2, 3, 5, seed=1))
def batched_product(a, b):
    return jnp.sum(jnp.einsum("bij,bjk->bik", a, b) ** 2)


@case(normal(4), slow=True)
def outer_and_inner(x):
    return jnp.sum(jnp.outer(x, x) ** 2) + jnp.vdot(x, x)


@case(normal(1, 8, 8, 2), normal(3, 3, 2, 4, seed=1) * 0.3, slow=True)
def convolution(x, w):
    y = lax.conv_general_dilated(x, w, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return jnp.sum(jnp.tanh(y) ** 2)


@case(normal(1, 6, 6, 1), slow=True)
def pooling(x):
    pooled = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    mean = lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    return jnp.sum(pooled**2) + jnp.sum(mean**3)


@case(normal(3, 3) + 3 * np.eye(3, dtype=np.float32), normal(3, seed=1), slow=True)
def solve(a, b):
    return jnp.sum(jnp.linalg.solve(a, b) ** 2) + jnp.linalg.slogdet(a)[1]


@case(normal(3, 3), slow=True)
def decompositions(a):
    spd = a @ a.T + 3 * jnp.eye(3)
    _, s, _ = jnp.linalg.svd(a + 3 * jnp.diag(jnp.arange(3.0)), full_matrices=False)
    return jnp.sum(jnp.linalg.cholesky(spd)) + jnp.sum(jnp.log(s)) + jnp.sum(jnp.linalg.eigvalsh(spd) ** 0.5)


@case(normal(8), slow=True)
def fourier(x):
    spectrum = jnp.fft.rfft(x)
    return jnp.sum(jnp.abs(spectrum) ** 2 * jnp.arange(5.0))

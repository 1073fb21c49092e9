"""Losses of elementwise arithmetic, reductions and powers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.programs.case import case, normal, positive


@case(2.0, 3.0, 4.0)
def smallest(x, y, z):
    return (x + y) * z


@case(normal(3), normal(3, seed=1))
def arithmetic(x, y):
    return jnp.sum((x + y) * (x - y) / (1.5 + jnp.square(y)) - (-x))


@case(normal(5))
def fan_out(x):
    return jnp.sum(x * x + jnp.sin(x) * x)


@case(normal(4))
def same_operand_twice(x):
    return jnp.sum(x * x)


@case(normal(4))
def unused_value(x):
    jnp.exp(x)
    return jnp.sum(jnp.cos(x))


@case(normal(3), normal(3, seed=1))
def unused_argument(x, y):
    return jnp.sum(x**3)


@case(np.float32(1.25))
def identity(x):
    return x


@case(np.float32(1.25))
def constant_loss(x):
    return jnp.float32(3.0)


@case(positive(4), slow=True)
def powers(x):
    return jnp.sum(x**3 + x**-2 + x**2.5 + 2.0**x + x**x)


@case(positive(4), slow=True)
def elementary(x):
    terms = [jnp.exp(x), jnp.log(x), jnp.tanh(x), jax.nn.sigmoid(x), jnp.sqrt(x), lax.rsqrt(x), jnp.sin(x), jnp.cos(x)]
    terms += [jnp.expm1(x), jnp.log1p(x), jnp.arctan(x), jnp.sinh(x), jax.scipy.special.erf(x), jnp.cbrt(x), jnp.abs(x)]
    return sum(jnp.sum(term * (i + 1)) for i, term in enumerate(terms))


@case(normal(4, 5), slow=True)
def reductions(x):
    return jnp.sum(x.max(0)) + x.min() + jnp.mean(x) + jnp.prod(1 + 0.1 * x) + jnp.var(x) + jnp.std(x, axis=1).sum()


@case(normal(6), slow=True)
def cumulative(x):
    y = jnp.cumsum(x) + jnp.cumprod(1 + 0.1 * x) + lax.cumlogsumexp(x) + lax.cummax(x)
    return jnp.sum(y * jnp.arange(6.0))


@case(normal(5), slow=True)
def maximum_and_clip(x):
    return jnp.sum(jnp.maximum(x, 0.1) * 2 + jnp.minimum(x, 0.3) + jnp.clip(x, -0.5, 0.5) ** 2)

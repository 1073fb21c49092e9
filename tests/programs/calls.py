"""Losses that call: jitted, rematerialised, custom rules, derivatives inside."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name

from tests.programs.case import case, normal


@jax.jit
def inner_jit(x, y):
    return jnp.sin(x) * y + x


@case(normal(3), normal(3, seed=1))
def jitted_twice(x, y):
    return jnp.sum(inner_jit(x, y) + inner_jit(y, x) * x)


@case(normal(3))
def jitted_nested(x):
    @jax.jit
    def outer(x):
        return inner_jit(x, x * 2) + x

    return jnp.sum(outer(x) * outer(2.0 * x))


@case(normal(3))
def jitted_passes_through(x):
    y, z = jax.jit(lambda a: (a, jnp.exp(a)))(x)
    return jnp.sum(y * z)


@case(normal(3))
def rematerialised(x):
    block = jax.checkpoint(lambda x: jnp.sin(jnp.cos(x) * x))
    return jnp.sum(block(block(x)))


@case(normal(3))
def remat_with_policy(x):
    policy = jax.checkpoint_policies.save_only_these_names("kept")

    @partial(jax.checkpoint, policy=policy)
    def block(x):
        return jnp.sin(checkpoint_name(jnp.exp(x), "kept")) * x

    return jnp.sum(block(block(x)))


@jax.custom_jvp
def softened(x):
    return jnp.log1p(jnp.exp(x))


@softened.defjvp
def _(primals, tangents):
    (x,), (dx,) = primals, tangents
    return softened(x), jax.nn.sigmoid(x) * dx


@case(normal(4))
def custom_jvp(x):
    return jnp.sum(softened(x) ** 2 + softened(2 * x))


@jax.custom_vjp
def clipped(x, limit):
    return x * limit


clipped.defvjp(
    lambda x, limit: (x * limit, (x, limit)), lambda res, g: (jnp.clip(g * res[1], -1, 1), jnp.sum(g * res[0]))
)


@case(normal(4), np.float32(1.5))
def custom_vjp(x, limit):
    return jnp.sum(clipped(x, limit) * 3.0 + x)


scales = np.arange(1, 5, dtype=np.float32)


@jax.custom_vjp
def scaled(x):
    return x * scales


scaled.defvjp(lambda x: (scaled(x), None), lambda _, g: (g * scales,))


@case(normal(4))
def custom_vjp_closed_over(x):
    return jnp.sum(scaled(x) ** 2 * scales)


@case(normal(4), slow=True)
def library_activations(x):
    return jnp.sum(
        jax.nn.relu(x) + jax.nn.gelu(x) + jax.nn.silu(x) + jax.nn.elu(x) + jax.nn.softplus(x) + jax.nn.selu(x)
    )


@case(normal(3, 4), np.array([0, 3, 1]), slow=True)
def cross_entropy(logits, labels):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1))


@case(normal(3, 4), slow=True)
def softmax_and_logsumexp(x):
    return jnp.sum(jax.nn.softmax(x) * jnp.arange(4.0)) + jnp.sum(jax.nn.logsumexp(x, axis=1))


@case(normal(3))
def gradient_inside(x):
    return jnp.sum(jax.grad(lambda y: jnp.sum(jnp.sin(y) ** 2))(x) ** 2)


@case(normal(3), slow=True)
def hessian_vector_inside(x):
    f = lambda y: jnp.sum(jnp.tanh(y) ** 3)
    return jnp.sum(jax.jvp(jax.grad(f), (x,), (x,))[1])


@case(normal(4, 3), slow=True)
def gradient_of_vmap_inside(x):
    return jnp.sum(jax.vmap(jax.grad(lambda row: jnp.sum(jax.nn.relu(row) ** 2)))(x) * x)


@case(normal(4, 3))
def vmapped_inside(x):
    return jnp.sum(jax.vmap(lambda row: jnp.sin(row) * row.sum())(x))

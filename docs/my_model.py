"""A small network and its loss, with the arguments that the loss is called on."""

import jax
import jax.numpy as jnp


def dense(layer, x):
    return x @ layer["w"] + layer["b"]


def loss(params, x, y):
    hidden = jnp.tanh(dense(params["first"], x))
    return jnp.mean((dense(params["second"], hidden) - y) ** 2)


def loss_args():
    keys = jax.random.split(jax.random.key(0), 3)
    params = {
        "first": {"w": 0.5 * jax.random.normal(keys[0], (3, 8)), "b": jnp.zeros(8)},
        "second": {"w": 0.5 * jax.random.normal(keys[1], (8, 1)), "b": jnp.zeros(1)},
    }
    x = jax.random.normal(keys[2], (16, 3))
    return params, x, jnp.sin(x[:, :1])

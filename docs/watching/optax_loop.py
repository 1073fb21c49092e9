"""A training loop of one's own, watched: in two places stands ``watcher`` where ``jax`` would stand."""

import jax
import jax.numpy as jnp
import optax

import explorer


def loss(params, x, y):
    hidden = jnp.tanh(x @ params["first"])
    return jnp.mean((hidden @ params["second"] - y) ** 2)


def train(watcher, steps=20_000):
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (64, 3))
    y = jnp.sin(x[:, :1])
    params = {"first": jax.random.normal(keys[1], (3, 16)), "second": jax.random.normal(keys[2], (16, 1)) / 4}
    optimiser = optax.adam(1e-3)
    memory = optimiser.init(params)

    @watcher.jit  # in place of jax.jit
    def step(params, memory):
        value, grads = watcher.value_and_grad(params, x, y)  # in place of jax.value_and_grad(loss)(params, x, y)
        updates, memory = optimiser.update(grads, memory)
        return optax.apply_updates(params, updates), memory, value

    for _ in range(steps):
        params, memory, value = step(params, memory)
    return params, value


if __name__ == "__main__":
    with explorer.watch(loss, every=10) as watcher:
        train(watcher)

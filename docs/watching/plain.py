"""The same without any library but JAX: a list of arrays, and gradient descent by hand."""

import jax
import jax.numpy as jnp

import explorer


def loss(layers, x, y):
    for w, b in layers[:-1]:
        x = jax.nn.relu(x @ w + b)
    w, b = layers[-1]
    return jnp.mean((x @ w + b - y) ** 2)


def train(watcher, steps=20_000):
    keys = jax.random.split(jax.random.key(1), 3)
    x = jax.random.normal(keys[0], (64, 3))
    y = jnp.cos(x[:, :1])
    layers = [(jax.random.normal(keys[1], (3, 16)), jnp.zeros(16)), (jax.random.normal(keys[2], (16, 1)), jnp.zeros(1))]

    @watcher.jit(donate_argnums=0)
    def step(layers):
        value, grads = watcher.value_and_grad(layers, x, y)
        return jax.tree.map(lambda leaf, grad: leaf - 1e-3 * grad, layers, grads), value

    for _ in range(steps):
        layers, value = step(layers)
    return layers, value


if __name__ == "__main__":
    with explorer.watch(loss, every=10) as watcher:
        train(watcher)

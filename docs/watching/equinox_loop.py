"""Equinox: the arrays of a model are trained, everything else of it stays."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import explorer


def loss(arrays, rest, x, y):
    model = eqx.combine(arrays, rest)
    return jnp.mean((jax.vmap(model)(x) - y) ** 2)


def train(watcher, steps=20_000):
    x = jax.random.normal(jax.random.key(0), (64, 3))
    y = jnp.sin(x[:, :1])
    model = eqx.nn.MLP(3, 1, width_size=16, depth=1, activation=jnp.tanh, key=jax.random.key(1))
    optimiser = optax.adam(1e-3)
    memory = optimiser.init(eqx.filter(model, eqx.is_inexact_array))

    @watcher.jit(by=eqx.filter_jit)  # in place of eqx.filter_jit
    def step(model, memory):
        arrays, rest = eqx.partition(model, eqx.is_inexact_array)
        value, grads = watcher.value_and_grad(arrays, rest, x, y)
        updates, memory = optimiser.update(grads, memory)
        return eqx.apply_updates(model, updates), memory, value

    for _ in range(steps):
        model, memory, value = step(model, memory)
    return eqx.filter(model, eqx.is_inexact_array), value


if __name__ == "__main__":
    with explorer.watch(loss, every=10) as watcher:
        train(watcher)

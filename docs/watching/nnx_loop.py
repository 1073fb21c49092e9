"""Flax nnx: the model is split into what is trained and the rest, and put together again in the loss."""

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import explorer


class Network(nnx.Module):
    def __init__(self, rngs):
        self.first, self.second = nnx.Linear(3, 16, rngs=rngs), nnx.Linear(16, 1, rngs=rngs)

    def __call__(self, x):
        return self.second(nnx.tanh(self.first(x)))


MODEL = Network(nnx.Rngs(0))
DEFINITION, _, _ = nnx.split(MODEL, nnx.Param, ...)


def loss(params, rest, x, y):
    return jnp.mean((nnx.merge(DEFINITION, params, rest)(x) - y) ** 2)


def train(watcher, steps=20_000):
    x = jax.random.normal(jax.random.key(0), (64, 3))
    y = jnp.sin(x[:, :1])
    model = nnx.clone(MODEL)
    optimiser = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @watcher.jit(by=nnx.jit)  # in place of nnx.jit
    def step(model, optimiser):
        _, params, rest = nnx.split(model, nnx.Param, ...)
        value, grads = watcher.value_and_grad(params, rest, x, y)
        optimiser.update(model, grads)
        return value

    for _ in range(steps):
        value = step(model, optimiser)
    return nnx.state(model, nnx.Param), value


if __name__ == "__main__":
    with explorer.watch(loss, every=10) as watcher:
        train(watcher)

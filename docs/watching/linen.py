"""Flax linen: parameters apart from the model, a training state of one's own choice."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState

import explorer


class Network(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(nn.tanh(nn.Dense(16)(x)))


def loss(params, x, y):
    return jnp.mean((Network().apply(params, x) - y) ** 2)


def train(watcher, steps=20_000):
    x = jax.random.normal(jax.random.key(0), (64, 3))
    y = jnp.sin(x[:, :1])
    params = Network().init(jax.random.key(1), x)
    state = TrainState.create(apply_fn=Network().apply, params=params, tx=optax.adam(1e-3))

    @watcher.jit
    def step(state):
        value, grads = watcher.value_and_grad(state.params, x, y)
        return state.apply_gradients(grads=grads), value

    for _ in range(steps):
        state, value = step(state)
    return state.params, value


if __name__ == "__main__":
    with explorer.watch(loss, every=10) as watcher:
        train(watcher)

"""Training with every node watched is bit-identical to training without."""

from __future__ import annotations

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

import engine
from engine import kernel
from engine.tasks import Settings, problem
from tests.programs import normal

pytestmark = pytest.mark.exact

STEPS = 20


def _task(**settings):
    built = problem(Settings(**settings))
    return lambda params, batch: built.fun(params, *batch), built.params[0], built.batch


def _recurrent():
    """A tanh network over 12 time steps, by scan."""
    params = {
        "w": normal(8, 32) * 0.3,
        "u": normal(32, 32, seed=1) * 0.2,
        "b": normal(32, seed=2),
        "v": normal(32, 4, seed=3),
    }

    def loss(params, xs):
        def step(h, x):
            h = jnp.tanh(x @ params["w"] + h @ params["u"] + params["b"])
            return h, jnp.mean(h @ params["v"])

        last, outs = lax.scan(step, jnp.zeros((16, 32)), xs)
        return jnp.mean(outs**2) + jnp.mean((last @ params["v"] - 1.0) ** 2)

    return loss, params, lambda step: normal(12, 16, 8, seed=step)


def _convolutional():
    params = {"k": normal(3, 3, 1, 8) * 0.3, "b": normal(8, seed=1), "w": normal(8 * 36, 10, seed=2) * 0.1}

    def loss(params, batch):
        x = lax.conv_general_dilated(
            batch[..., None], params["k"], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jax.nn.relu(x + params["b"]).reshape(len(batch), -1)
        return -jnp.mean(jax.nn.log_softmax(x @ params["w"])[:, 0])

    return loss, params, lambda step: normal(16, 8, 8, seed=step)


def _unrolled():
    """A deep chain without a matrix product: the longest rows of copies."""

    def loss(params, x):
        for w in params:
            x = x + 0.1 * jnp.tanh(x * w)
        return jnp.mean(x**2)

    return loss, [normal(16, seed=i) for i in range(24)], lambda step: normal(8, 16, seed=step)


def _logits():
    """A cross-entropy alone: everything in it is fused, and a sum with what it is subtracted from."""

    def loss(logits, labels):
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1))

    return loss, normal(3, 4), lambda step: np.array([0, 3, step % 4])


def _squeezed():
    """Sums over an axis of length 1: to XLA a product under one meets the sum after it."""

    def loss(params, x):
        h = jnp.sum((params["c"] * x)[:, :, None], -1) + params["d"]
        return jnp.mean(jnp.tanh(h) ** 2)

    return loss, {"c": normal(37, 5), "d": normal(5, seed=1)}, lambda step: normal(37, 5, seed=2 + step)


WORKLOADS = {
    "squeezed": _squeezed,
    "logits": _logits,
    "digits": partial(_task, task="digits"),
    "digits_deep_tanh": partial(_task, task="digits", depth=10, width=16, activation="tanh", rate=0.1),
    "digits_relu": partial(_task, task="digits", depth=4, width=32, activation="relu", batch=64),
    "spiral_sigmoid": partial(_task, task="spiral", depth=3, width=8, activation="sigmoid"),
    "recurrent": _recurrent,
    "convolutional": _convolutional,
    "unrolled": _unrolled,
}
ALIKE = ("digits", "digits_relu", "spiral_sigmoid")
"""Perceptrons as the deep one is."""


def _trained(workload, watch):
    loss, params, batches = workload()
    optimiser = optax.sgd(0.1)
    gradient = engine.value_and_grad(loss, probe=watch) if watch else jax.value_and_grad(loss)

    @jax.jit
    def step(params, memory, batch):
        value, grads, *reading = gradient(params, batch)
        updates, memory = optimiser.update(grads, memory)
        return optax.apply_updates(params, updates), memory, value, reading

    memory, losses = optimiser.init(params), []
    for number in range(STEPS):
        params, memory, value, _ = step(params, memory, batches(number))
        losses.append(value)
    return params, losses


@cache
def _plain(name):
    return _trained(WORKLOADS[name], None)


@pytest.mark.slow
@pytest.mark.parametrize("probe", ["full", "stats", "stats by the library"])
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.once if name in ALIKE else ()) for name in WORKLOADS],
)
def test_watching_changes_no_bit_of_training(name, probe, monkeypatch):
    probe, _, library = probe.partition(" by the ")
    monkeypatch.setattr(kernel, "available", lambda: bool(library) and kernel.loaded())
    watched = _trained(WORKLOADS[name], probe)
    for mine, wanted in zip(jax.tree.leaves(watched), jax.tree.leaves(_plain(name)), strict=True):
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(wanted))

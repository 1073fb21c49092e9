"""Five training steps of the sizes that people learn and try things out with, as plain functions.

Each is a loss, its parameters, one batch and an Optax optimiser. ``layers`` are the names of the values that one would
look at first: what each layer gives to the next.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.ad_checkpoint import checkpoint_name

Array = Any


@dataclasses.dataclass(frozen=True, eq=False)
class Workload:
    """One training step, not yet compiled."""

    name: str
    loss: Callable[..., Array]
    params: Any
    batch: tuple[Array, ...]
    optimiser: optax.GradientTransformation
    layers: tuple[str, ...]


def _normal(rng: np.random.Generator, *shape: int) -> Array:
    """Weights whose products keep the size of what they multiply."""
    return (rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)


def _dense(rng: np.random.Generator, sizes: tuple[int, ...]) -> list[dict[str, Array]]:
    return [{"w": _normal(rng, a, b), "b": np.zeros(b, np.float32)} for a, b in itertools.pairwise(sizes)]


def _cross_entropy(scores: Array, labels: Array) -> Array:
    logs = jax.nn.log_softmax(scores)
    return -jnp.mean(jnp.take_along_axis(logs, labels[..., None], axis=-1))


# ---- multi-layer perceptrons ---------------------------------------------------------------------------------------


def _mlp(activation: Callable[[Array], Array]) -> Callable[..., Array]:
    def loss(layers: list[dict[str, Array]], x: Array, y: Array) -> Array:
        for index, layer in enumerate(layers[:-1]):
            x = checkpoint_name(activation(x @ layer["w"] + layer["b"]), f"layer_{index}")
        return _cross_entropy(checkpoint_name(x @ layers[-1]["w"] + layers[-1]["b"], "scores"), y)

    return loss


def spiral() -> Workload:
    """2-8-8-8-2, tanh, 32 points."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 2)).astype(np.float32), rng.integers(0, 2, 32)
    names = ("layer_0", "layer_1", "layer_2", "scores")
    return Workload("spiral MLP", _mlp(jnp.tanh), _dense(rng, (2, 8, 8, 8, 2)), (x, y), optax.sgd(0.1), names)


def digits() -> Workload:
    """64-128-128-10, ReLU, 128 images."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(128, 64)).astype(np.float32), rng.integers(0, 10, 128)
    names = ("layer_0", "layer_1", "scores")
    return Workload("digits MLP", _mlp(jax.nn.relu), _dense(rng, (64, 128, 128, 10)), (x, y), optax.sgd(0.1), names)


# ---- a convolutional net -------------------------------------------------------------------------------------------


def _convolve(x: Array, kernel: Array) -> Array:
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _conv_loss(params: dict[str, Any], x: Array, y: Array) -> Array:
    for index, layer in enumerate(params["convs"]):
        x = checkpoint_name(jax.nn.relu(_convolve(x, layer["w"]) + layer["b"]), f"layer_{index}")
    x = x.reshape(-1, 4, 2, 4, 2, x.shape[-1]).mean((2, 4)).reshape(x.shape[0], -1)
    return _cross_entropy(checkpoint_name(x @ params["w"] + params["b"], "scores"), y)


def conv() -> Workload:
    """Two layers of 16 and 32 kernels of 3 × 3 on 64 images of 8 × 8, a mean over 2 × 2, scores."""
    rng = np.random.default_rng(0)
    convs = [{"w": _normal(rng, 3, 3, a, b), "b": np.zeros(b, np.float32)} for a, b in ((1, 16), (16, 32))]
    params = {"convs": convs, "w": _normal(rng, 512, 10), "b": np.zeros(10, np.float32)}
    batch = rng.normal(size=(64, 8, 8, 1)).astype(np.float32), rng.integers(0, 10, 64)
    return Workload("conv net", _conv_loss, params, batch, optax.adam(1e-3), ("layer_0", "layer_1", "scores"))


# ---- a transformer -------------------------------------------------------------------------------------------------

WIDTH, HEADS, LENGTH, SYMBOLS, BLOCKS = 128, 4, 64, 96, 4


def _norm(x: Array, scale: Array) -> Array:
    centred = x - jnp.mean(x, -1, keepdims=True)
    return centred * lax.rsqrt(jnp.mean(centred * centred, -1, keepdims=True) + 1e-5) * scale


def _attend(x: Array, block: dict[str, Array]) -> Array:
    q, k, v = jnp.split((x @ block["qkv"]).reshape(*x.shape[:2], HEADS, -1), 3, axis=-1)
    scores = jnp.einsum("bthd,bshd->bhts", q, k) / np.sqrt(q.shape[-1])
    scores = jnp.where(np.tri(x.shape[1], dtype=bool), scores, -1e9)
    mixed = jnp.einsum("bhts,bshd->bthd", jax.nn.softmax(scores), v)
    return mixed.reshape(x.shape) @ block["out"]


def _transformer_loss(params: dict[str, Any], text: Array, following: Array) -> Array:
    x = params["embed"][text] + params["place"]
    for index, block in enumerate(params["blocks"]):
        x = checkpoint_name(x + _attend(_norm(x, block["norm_1"]), block), f"attention_{index}")
        inner = jax.nn.gelu(_norm(x, block["norm_2"]) @ block["up"])
        x = checkpoint_name(x + inner @ block["down"], f"block_{index}")
    return _cross_entropy(checkpoint_name(_norm(x, params["norm"]) @ params["embed"].T, "scores"), following)


def transformer() -> Workload:
    """Four layers, width 128, four heads, 16 texts of 64 characters."""
    rng = np.random.default_rng(0)
    ones = np.ones(WIDTH, np.float32)
    sizes = {"qkv": (WIDTH, 3 * WIDTH), "out": (WIDTH, WIDTH), "up": (WIDTH, 4 * WIDTH), "down": (4 * WIDTH, WIDTH)}
    blocks = [
        {name: _normal(rng, *size) for name, size in sizes.items()} | {"norm_1": ones, "norm_2": ones}
        for _ in range(BLOCKS)
    ]
    params = {"embed": _normal(rng, SYMBOLS, WIDTH), "place": _normal(rng, LENGTH, WIDTH), "blocks": blocks}
    text = rng.integers(0, SYMBOLS, (16, LENGTH + 1))
    names = tuple(f"{part}_{index}" for index in range(BLOCKS) for part in ("attention", "block"))
    batch, layers = (text[:, :-1], text[:, 1:]), (*names, "scores")
    return Workload("transformer", _transformer_loss, params | {"norm": ones}, batch, optax.adam(1e-3), layers)


# ---- a recurrent net -----------------------------------------------------------------------------------------------


def _recurrent_loss(params: dict[str, Array], xs: Array, y: Array) -> Array:
    def step(h: Array, x: Array) -> tuple[Array, None]:
        h = jnp.tanh(x @ params["w"] + h @ params["u"] + params["b"])
        return checkpoint_name(h, "hidden"), None

    last, _ = lax.scan(step, jnp.zeros((xs.shape[1], params["u"].shape[0])), xs)
    return jnp.mean((last @ params["v"] - y) ** 2)


def recurrent() -> Workload:
    """64 tanh units over 64 steps, 32 sequences of two numbers (the adding problem's shape)."""
    rng = np.random.default_rng(0)
    params = {"w": _normal(rng, 2, 64), "u": _normal(rng, 64, 64), "b": np.zeros(64, np.float32)}
    batch = rng.normal(size=(64, 32, 2)).astype(np.float32), rng.normal(size=(32, 1)).astype(np.float32)
    params |= {"v": _normal(rng, 64, 1)}
    return Workload("RNN, 64 steps", _recurrent_loss, params, batch, optax.adam(1e-3), ("hidden",))


WORKLOADS = (spiral, digits, conv, transformer, recurrent)

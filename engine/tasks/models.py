"""Models: plain functions of their parameters, to be read as well as run."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Array = Any
Params = dict[str, Any]

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "gelu": jax.nn.gelu,
    "linear": lambda x: x,
}


def init_mlp(sizes: Sequence[int], seed: int) -> Params:
    """Weights of variance 1 over the number of inputs (LeCun), biases zero.

    Args:
        sizes: width of the input, of each hidden layer, and of the output.
        seed: of the weights.

    Returns:
        ``{"layers": [{"w": (n, m), "b": (m,)}, ...]}`` in float32.
    """
    rng = np.random.default_rng(seed)
    layers = []
    for n, m in itertools.pairwise(sizes):
        layers.append({"w": rng.normal(size=(n, m), scale=n**-0.5).astype(np.float32), "b": np.zeros(m, np.float32)})
    return {"layers": layers}


def dense(params: Params, x: Array) -> Array:
    """``x @ w + b``."""
    return x @ params["w"] + params["b"]


def layer(params: Params, x: Array, activation: Callable[[Array], Array]) -> Array:
    """A dense layer and its activation."""
    return activation(x @ params["w"] + params["b"])


def mlp(params: Params, x: Array, activation: Callable[[Array], Array]) -> Array:
    """Layers with an activation, and a last one without: one score for each class."""
    *hidden, last = params["layers"]
    for own in hidden:
        x = layer(own, x, activation)
    return dense(last, x)

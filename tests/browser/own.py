"""Somebody's own small network, served by the browser tests."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np


def loss(params: Any, x: Any, y: Any) -> Any:
    hidden = jnp.tanh(x @ params["w"] + params["b"])
    return jnp.mean((hidden @ params["v"] + params["c"] - y) ** 2)


def loss_args() -> tuple[Any, ...]:
    rng = np.random.default_rng(7)
    sizes = {"w": (3, 2), "b": (2,), "v": (2, 2), "c": (2,)}
    params = {name: rng.normal(size=size).astype(np.float32) for name, size in sizes.items()}
    return params, rng.normal(size=(5, 3)).astype(np.float32), rng.normal(size=(5, 2)).astype(np.float32)

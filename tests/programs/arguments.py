"""Losses whose arguments are trees, static leaves, closures or named."""

from __future__ import annotations

from collections import namedtuple

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from tests.programs.case import case, normal

Layer = namedtuple("Layer", "w b")


@case(
    {"layers": [Layer(normal(3, 4), normal(4, seed=1)), Layer(normal(4, 2, seed=2), None)], "scale": 0.5},
    normal(5, 3, seed=3),
)
def pytrees(params, x):
    for layer in params["layers"]:
        x = jnp.tanh(x @ layer.w + (0 if layer.b is None else layer.b))
    return params["scale"] * jnp.sum(x**2)


@case((normal(2), [normal(2, seed=1), None, ()]), {"b": normal(2, seed=2), "a": "relu"})
def static_leaves(params, options):
    first, (second, *_) = params
    assert options["a"] == "relu"
    return jnp.sum(first * second * options["b"])


SHIFT = normal(3, seed=9)


@case(normal(3))
def closed_over(x):
    return jnp.sum(jnp.sin(x + SHIFT) * jnp.asarray(SHIFT))


@case(normal(4, 4) * 0.5, normal(4, seed=1))
def named_values(w, x):
    h = checkpoint_name(jnp.tanh(w @ x), "h")
    with jax.named_scope("head"):
        h = checkpoint_name(jnp.tanh(w @ h), "h")
        return jnp.sum(h**2)

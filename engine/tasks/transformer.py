"""A small transformer: every moment looks back at the others, all at once."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine.tasks.norms import init_norm
from engine.tasks.parts import Design, Params, dense, dropout, embed, init_dense, init_embedding, thrifty

Array = Any

WIDENING = 4
"""How many times wider than the rest a block's dense layer is inside."""


def heads(width: int) -> int:
    """How many heads share the width: four, two, or one, as it can be divided."""
    return math.gcd(width, 4)


def init_transformer(rng: np.random.Generator, design: Design) -> Params:
    """Parameters of the embedding, of each block and of a last dense layer.

    Returns:
        ``{"letters" or "features", "places": (moments, width), "blocks": [...], "last": {"w", "b"}}``, a block being
        ``{"attention": {"q", "k", "v", "o"}, "up": {"w", "b"}, "down": {"w", "b"}}``; and what the norms need.
    """
    width = design.width
    made: Params = {"places": 0.1 * init_embedding(rng, design.given[0], width)}
    if design.letters:
        made["letters"] = init_embedding(rng, design.letters, width)
    else:
        made["features"] = init_dense(rng, (design.given[-1], width), design)
    made["blocks"] = [_init_block(rng, design) for _ in range(design.depth)]
    made["last"] = init_dense(rng, (width, design.answers), design)
    return made | _init_norms(design, "norm")


def _init_block(rng: np.random.Generator, design: Design) -> Params:
    width = design.width
    return {
        "attention": {name: design.init(rng, (width, width)) for name in "qkvo"},
        "up": init_dense(rng, (width, WIDENING * width), design),
        "down": init_dense(rng, (WIDENING * width, width), design),
    } | _init_norms(design, "before", "between")


def _init_norms(design: Design, *names: str) -> Params:
    return {} if design.norm == "none" else {name: init_norm(design.norm, design.width) for name in names}


def transformer(params: Params, x: Array, design: Design, key: Array | None = None) -> Array:
    """Letters or features and their places, blocks, and a dense layer: on each moment, or on the last.

    Args:
        params: as :func:`init_transformer` makes them.
        x: ``(examples, moments, features)``, or letters ``(examples, moments)``.
        design: of the model.
        key: of this step's dropout; nothing is dropped without.
    """
    x = embed(params["letters"], x) if design.letters else dense(params["features"], x)
    x = x + params["places"]
    for place, own in enumerate(params["blocks"]):
        x = thrifty(block, design, 2, 4)(own, x, design, key, place)
    if design.normalise:
        x = design.normalise(params["norm"], x)
    return dense(params["last"], x if design.every else x[:, -1])


def block(params: Params, x: Array, design: Design, key: Array | None = None, place: int = 0) -> Array:
    """Look back, then think: attention and two dense layers, each normalised before and added to what came in."""
    y = design.normalise(params["before"], x) if design.normalise else x
    y = attention(params["attention"], y)
    if key is not None:
        y = dropout(y, design.dropout, key, 2 * place)
    x = x + y if design.residual else y
    y = design.normalise(params["between"], x) if design.normalise else x
    y = feed_forward(params, y, design)
    if key is not None:
        y = dropout(y, design.dropout, key, 2 * place + 1)
    return x + y if design.residual else y


def feed_forward(params: Params, x: Array, design: Design) -> Array:
    """Wider, bent, and back: at each moment alone."""
    return dense(params["down"], design.activation(dense(params["up"], x)))


def attention(params: Params, x: Array) -> Array:
    """Each moment asks (q), all up to it answer (k) and give (v): a mean of what they give, weighted by how they match.

    Args:
        params: ``q``, ``k``, ``v`` and ``o``, each ``(width, width)``.
        x: ``(examples, moments, width)``.
    """
    n, moments, width = x.shape
    many = heads(width)
    q, k, v = ((x @ params[name]).reshape(n, moments, many, width // many) for name in "qkv")
    match = jnp.einsum("nthd,nshd->nhts", q, k) / math.sqrt(width // many)
    weights = jax.nn.softmax(jnp.where(jnp.tri(moments, dtype=bool), match, -jnp.inf))
    mixed = jnp.einsum("nhts,nshd->nthd", weights, v)
    return mixed.reshape(n, moments, width) @ params["o"]

"""A small convolutional network: the same few weights at every place of a picture."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jax import lax

from engine.tasks.parts import Design, Params, dense, dropout, init_dense, init_layer, thrifty

Array = Any

WINDOW = (3, 3)
HALVINGS = 2
"""How many layers, counted from the first, halve the picture after them."""


def init_conv(rng: np.random.Generator, design: Design) -> Params:
    """Parameters of the convolutions and of a last dense layer.

    Returns:
        ``{"layers": [{"w": (3, 3, n, m), "b": (m,)}, ..., {"w": (n, m), "b": (m,)}]}`` in float32.
    """
    height, width, channels = design.given
    made = []
    for place in range(design.depth):
        made.append(init_layer(rng, (*WINDOW, channels, design.width), design))
        channels = design.width
        if place < HALVINGS:
            height, width = height // 2, width // 2
    return {"layers": [*made, init_dense(rng, (height * width * channels, design.answers), design)]}


def conv(params: Params, x: Array, design: Design, key: Array | None = None) -> Array:
    """Convolutions, the first two each with a picture of half the size after it, and a dense layer over what is left.

    Args:
        params: as :func:`init_conv` makes them.
        x: pictures, ``(examples, height, width, channels)``.
        design: of the model.
        key: of this step's dropout; nothing is dropped without.
    """
    *hidden, last = params["layers"]
    for place, own in enumerate(hidden):
        x = thrifty(conv_layer, design, 2, 4)(own, x, design, key, place)
        if place < HALVINGS:
            x = max_pool(x)
    return dense(last, x.reshape(len(x), math.prod(x.shape[1:])))


def conv_layer(params: Params, x: Array, design: Design, key: Array | None = None, place: int = 0) -> Array:
    """A layer whose products are of a window that goes over the picture; zeros stand around its edge."""
    y = lax.conv_general_dilated(x, params["w"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    y = y + params["b"]
    if design.normalise:
        y = design.normalise(params["norm"], y)
    y = design.activation(y)
    if key is not None:
        y = dropout(y, design.dropout, key, place)
    return x + y if design.residual and x.shape == y.shape else y


def max_pool(x: Array) -> Array:
    """Of each two by two pixels the brightest: half the height, half the width."""
    n, height, width, channels = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))

"""The multilayer perceptron: dense layers, one after the other."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from engine.tasks.parts import Design, Params, dense, init_dense, init_layer, layer, thrifty

Array = Any


def init_mlp(rng: np.random.Generator, design: Design) -> Params:
    """Parameters of the hidden layers and of a last one.

    Returns:
        ``{"layers": [{"w": (n, m), "b": (m,)}, ...]}`` in float32.
    """
    sizes = [*design.given, *[design.width] * design.depth]
    hidden = [init_layer(rng, shape, design) for shape in itertools.pairwise(sizes)]
    return {"layers": [*hidden, init_dense(rng, (sizes[-1], design.answers), design)]}


def mlp(params: Params, x: Array, design: Design, key: Array | None = None) -> Array:
    """Layers with an activation, and a last one without: one score for each class.

    Args:
        params: as :func:`init_mlp` makes them.
        x: ``(examples, features)``.
        design: of the model.
        key: of this step's dropout; nothing is dropped without.
    """
    *hidden, last = params["layers"]
    for place, own in enumerate(hidden):
        x = thrifty(layer, design, 2, 4)(own, x, design, key, place)
    return dense(last, x)

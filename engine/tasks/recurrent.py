"""Networks over time: one cell, applied at each moment to what comes in and to what it remembers.

Normalisation, residual connections and dropout stand between the layers, never between one moment and the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from engine.tasks.norms import init_norm
from engine.tasks.parts import Design, Params, dense, dropout, embed, init_dense, init_embedding, thrifty

Array = Any
Activation = Callable[[Array], Array]
Cell = Callable[[Params, Any, Array, Activation], tuple[Any, Array]]
"""From parameters, memory, what comes in and the activation: the memory after it, and what goes out."""

GATES = {"rnn": (), "gru": ("reset", "update", "new"), "lstm": ("forget", "input", "output", "new")}
"""The products of each cell, by name; a plain network has a single one."""


def init_recurrent(kind: str, rng: np.random.Generator, design: Design) -> Params:
    """Parameters of each layer's cell and of a last dense layer.

    Returns:
        ``{"layers": [cell, ...], "last": {"w", "b"}}``, a cell being ``{"w": (n, m), "u": (m, m), "b": (m,)}`` or, for
        ``gru`` and ``lstm``, one such for each gate; and ``letters``, a row for each, where an example is letters.
    """
    made: Params = {"letters": init_embedding(rng, design.letters, design.width)} if design.letters else {}
    inputs = design.width if design.letters else design.given[-1]
    made["layers"] = []
    for place in range(design.depth):
        made["layers"].append(_init_cell(kind, rng, design, inputs if place == 0 else design.width))
    return {**made, "last": init_dense(rng, (design.width, design.answers), design)}


def _init_cell(kind: str, rng: np.random.Generator, design: Design, inputs: int) -> Params:
    gates = GATES[kind]
    cell: Params = {name: _init_gate(rng, design, inputs) for name in gates} or _init_gate(rng, design, inputs)
    if kind == "lstm":  # at first everything is kept (Jozefowicz and others, 2015)
        cell["forget"]["b"] = np.ones(design.width, np.float32)
    return cell if design.norm == "none" else {**cell, "norm": init_norm(design.norm, design.width)}


def _init_gate(rng: np.random.Generator, design: Design, inputs: int) -> Params:
    return {**init_dense(rng, (inputs, design.width), design), "u": design.init(rng, (design.width, design.width))}


def recurrent(cell: Cell, params: Params, x: Array, design: Design, key: Array | None = None) -> Array:
    """Layers over time, and a dense one on the states of the last: on each of them, or on the final one.

    Args:
        cell: which memory.
        params: as :func:`init_recurrent` makes them.
        x: ``(examples, moments, features)``, or letters ``(examples, moments)``.
        design: of the model.
        key: of this step's dropout; nothing is dropped without.
    """
    if design.letters:
        x = embed(params["letters"], x)
    for place, own in enumerate(params["layers"]):
        x = layer_over_time(own, x, cell, design, (key, place))
    return dense(params["last"], x if design.every else x[:, -1])


def layer_over_time(params: Params, x: Array, cell: Cell, design: Design, drop: tuple[Array | None, int]) -> Array:
    """The cell at each moment in turn, from a memory of zeros; then what stands between layers.

    Args:
        params: of the cell, and ``norm``.
        x: ``(examples, moments, features)``.
        cell: which memory.
        design: of the model.
        drop: key of this step's dropout, and the number of the layer.
    """
    key, place = drop
    start = jnp.zeros((len(x), design.width), x.dtype)
    memory = (start, start) if cell is lstm_cell else start
    moment = thrifty(cell, design, 3)
    _, states = lax.scan(lambda h, now: moment(params, h, now, design.activation), memory, jnp.swapaxes(x, 0, 1))
    y = jnp.swapaxes(states, 0, 1)
    if design.normalise:
        y = design.normalise(params["norm"], y)
    if key is not None:
        y = dropout(y, design.dropout, key, place)
    return x + y if design.residual and x.shape == y.shape else y


def rnn_cell(params: Params, h: Array, x: Array, activation: Activation) -> tuple[Array, Array]:
    """The plain one: the same weights act on the memory again and again (Elman, 1990)."""
    h = activation(x @ params["w"] + h @ params["u"] + params["b"])
    return h, h


def gru_cell(params: Params, h: Array, x: Array, activation: Activation) -> tuple[Array, Array]:
    """Two gates: what of the memory a new state is made of, and how much of it is replaced (Cho and others, 2014)."""
    reset = gate(params["reset"], h, x)
    update = gate(params["update"], h, x)
    new = activation(x @ params["new"]["w"] + (reset * h) @ params["new"]["u"] + params["new"]["b"])
    h = update * h + (1 - update) * new
    return h, h


def lstm_cell(
    params: Params, memory: tuple[Array, Array], x: Array, activation: Activation
) -> tuple[tuple[Array, Array], Array]:
    """Three gates around a memory that is only scaled and added to (Hochreiter and Schmidhuber, 1997; Gers, 1999)."""
    h, c = memory
    forget = gate(params["forget"], h, x)
    enter = gate(params["input"], h, x)
    leave = gate(params["output"], h, x)
    new = activation(x @ params["new"]["w"] + h @ params["new"]["u"] + params["new"]["b"])
    c = forget * c + enter * new
    h = leave * activation(c)
    return (h, c), h


def gate(params: Params, h: Array, x: Array) -> Array:
    """Between 0, closed, and 1, open, for each unit."""
    return jax.nn.sigmoid(x @ params["w"] + h @ params["u"] + params["b"])

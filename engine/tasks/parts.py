"""What models are made of: dense layers, what stands between them, and the design that says which."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine.tasks.activations import ACTIVATIONS
from engine.tasks.initialisers import INITIALISERS
from engine.tasks.norms import NORMS, batch_norm, init_norm

Array = Any
Params = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Design:
    """All that is decided about a model before its numbers."""

    given: tuple[int, ...]
    """Shape of one example as the model reads it: ``(features,)``, ``(height, width, channels)``,
    ``(moments, features)``, or ``(moments,)`` for a row of letters."""
    answers: int
    """How many numbers it answers with: one for each class, or the value itself."""
    depth: int = 2
    """Number of hidden layers."""
    width: int = 16
    """Units in each of them."""
    activation: Callable[[Array], Array] = ACTIVATIONS["tanh"]
    init: Callable[[np.random.Generator, tuple[int, ...]], Array] = INITIALISERS["lecun"]
    norm: str = "none"
    known: int | None = None
    """How many examples, at the front, batch normalisation goes by; all by default."""
    residual: bool = False
    dropout: float = 0.0
    kind: Any = None
    """What is computed in, if not in the parameters' own precision (:mod:`engine.tasks.precision`)."""
    remat: bool = False
    """Whether layers keep nothing of what they make for the way back, and make it again (:func:`thrifty`)."""
    letters: int = 0
    """Size of the alphabet, where an example is a row of letters."""
    every: bool = False
    """Whether there is an answer at each moment, rather than one at the last."""

    @property
    def normalise(self) -> Callable[[Params, Array], Array] | None:
        """What brings values back to one size, if anything does."""
        return partial(batch_norm, known=self.known) if self.norm == "batch" else NORMS[self.norm]


def init_dense(rng: np.random.Generator, shape: tuple[int, ...], design: Design) -> Params:
    """Weights as the design says, and a bias of zero for each output."""
    return {"w": design.init(rng, shape), "b": np.zeros(shape[-1], np.float32)}


def init_layer(rng: np.random.Generator, shape: tuple[int, ...], design: Design) -> Params:
    """A dense layer's parameters, and those of its normalisation if there is one."""
    made = init_dense(rng, shape, design)
    return made if design.norm == "none" else {**made, "norm": init_norm(design.norm, shape[-1])}


def dense(params: Params, x: Array) -> Array:
    """``x @ w + b``."""
    return x @ params["w"] + params["b"]


def layer(params: Params, x: Array, design: Design, key: Array | None = None, place: int = 0) -> Array:
    """Multiply and add, normalise, bend, drop some; then add what came in, where the design and the shapes allow it.

    Args:
        params: ``w``, ``b`` and, if the design normalises, ``norm``.
        x: ``(examples, inputs)``.
        design: of the model.
        key: of this step's dropout; nothing is dropped without.
        place: number of the layer, so that each drops others.
    """
    y = x @ params["w"] + params["b"]
    if design.normalise:
        y = design.normalise(params["norm"], y)
    y = design.activation(y)
    if key is not None:
        y = dropout(y, design.dropout, key, place)
    return x + y if design.residual and x.shape == y.shape else y


def thrifty(fun: Callable[..., Array], design: Design, *static: int) -> Callable[..., Array]:
    """A function that keeps its arguments alone for the way back, if the design says so, and is run again there.

    Args:
        fun: of a layer.
        design: of the model.
        *static: which of its arguments aren't arrays.
    """
    return jax.checkpoint(fun, static_argnums=static) if design.remat else fun


def dropout(x: Array, share: float, key: Array | PartKey, place: int) -> Array:
    """Set this share of the entries to zero, others each step, and raise the rest so that the mean stays."""
    if isinstance(key, PartKey):
        kept = key.kept(1 - share, place, x.shape)
    else:
        kept = jax.random.bernoulli(jax.random.fold_in(key, place), 1 - share, x.shape)
    return x * (kept.astype(x.dtype) / (1 - share))


@partial(jax.tree_util.register_dataclass, data_fields=["key", "first"], meta_fields=["whole"])
@dataclasses.dataclass(frozen=True, eq=False)
class PartKey:
    """What some of a step's examples draw from: each what it would draw among all of them."""

    key: Array
    first: Array
    """Place of the first of them in the whole batch."""
    whole: int
    """Examples of the whole batch."""

    def kept(self, share: float, place: int, shape: tuple[int, ...]) -> Array:
        """Which entries of theirs a layer keeps: true for this share of all."""
        drawn = jax.random.bernoulli(jax.random.fold_in(self.key, place), share, (self.whole, *shape[1:]))
        return jax.lax.dynamic_slice_in_dim(drawn, self.first, shape[0])


def step_key(seed: int, step: Array) -> Array:
    """What the randomness of one step is drawn from: it follows from the seed and the step's number alone."""
    return jax.random.fold_in(jax.random.key(seed), step)


def init_embedding(rng: np.random.Generator, letters: int, width: int) -> Array:
    """A row of normal numbers for each letter, whatever the initialiser: equal rows would make all letters one."""
    return rng.normal(size=(letters, width)).astype(np.float32)


def embed(table: Array, x: Array) -> Array:
    """For each letter its row of the table, which is learned."""
    return jnp.take(table, x, axis=0, mode="clip")

"""Gradient checking as a picture: how far a difference is from the gradient, by the size of its step.

A difference over a large step is wrong because the function bends (truncation: for central differences the error grows
as the square of the step), one over a small step because the loss is rounded (the error grows as one over the step).
Between the two lies a valley, for central differences near the cube root of the machine's epsilon. A function with a
kink or a jump has no such valley, and the verdict says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from engine.differences import STEPS, Differences, Samples, differences, verdict
from engine.errors import EngineError
from engine.trace import Arguments, program

Array = Any

PRECISIONS = ("float32", "float64")


class ValleyError(EngineError, ValueError):
    """The gradient can't be checked there."""


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """The errors in one precision."""

    dtype: str
    slope: float
    """What backpropagation says: the derivative along the direction."""
    central: Differences
    forward: Differences


@dataclasses.dataclass(frozen=True, eq=False)
class Valley:
    """A gradient, checked by differences over steps of many sizes."""

    name: str
    """What was moved: ``params.w[2, 1]``, or ``params.w`` along a random direction of length 1."""
    steps: Array
    """Sizes of the steps, growing, ``(steps,)``."""
    curves: tuple[Curve, ...]
    """In float32, and in float64 where the function computes in it."""
    verdict: str
    """``agrees kink jump differs flat unresolved nonfinite``, from the finest curve."""
    sentence: str

    def curve(self, dtype: str) -> Curve:
        """The curve in a precision."""
        return next(curve for curve in self.curves if curve.dtype == dtype)


def valley(
    fun: Callable[..., Any],
    key: str,
    *args: Any,
    index: tuple[int, ...] | None = None,
    seed: int = 0,
    steps: Array = STEPS,
    **kwargs: Any,
) -> Valley:
    """Check one derivative of a loss by differences over steps of many sizes.

    Args:
        fun: a loss, as for :func:`engine.value_and_grad`.
        key: id or name of an argument leaf, ``params.layers.0.w``.
        *args: where.
        index: which entry of it; a random direction of length 1 through all of them unless given.
        seed: of that direction.
        steps: sizes, growing.
        **kwargs: keyword arguments of ``fun``.

    Raises:
        UnknownNodeError: no such node.
        ValleyError: it is no argument, or not a float, or has no such entry.
    """
    traced = program(fun, args, kwargs)
    node = traced.graph.node(key)
    if node.id not in traced.graph.inputs or not node.dtype.startswith(("float", "bfloat")):
        raise ValleyError(
            f"{node.name} ({node.dtype}, {node.op}) can't be checked: pick a floating-point argument of "
            f"{traced.graph.name}."
        )
    place = traced.graph.inputs.index(node.id)
    direction = _direction(node.name, node.shape, index, seed)
    measured = [
        _measured(fun, traced.arguments, place, direction, np.asarray(steps, np.float64), dtype) for dtype in PRECISIONS
    ]
    samples = [found for found, dtype in zip(measured, PRECISIONS, strict=True) if found.dtype == dtype] or measured[:1]
    name = node.name + (f"[{', '.join(map(str, index))}]" if index else "")
    kind, sentence = verdict(samples[-1])
    return Valley(name, np.asarray(steps, np.float64), tuple(map(_curve, samples)), kind, f"{name}: {sentence}")


def _direction(name: str, shape: tuple[int, ...], index: tuple[int, ...] | None, seed: int) -> Array:
    if index is None:
        noise = np.random.default_rng(seed).normal(size=shape)
        return noise / np.linalg.norm(noise)
    direction = np.zeros(shape)
    try:
        direction[index] = 1.0
    except IndexError as error:
        raise ValleyError(f"{name} has no entry {index}: {error}.") from None
    if direction.sum() != 1:
        raise ValleyError(f"{index} isn't one entry of {name}, whose shape is {shape}.")
    return direction


def _measured(
    fun: Callable[..., Any], arguments: Arguments, place: int, direction: Array, steps: Array, dtype: str
) -> Samples:
    """The loss at every step to either side, all of it computed in one precision by one compiled program."""

    def loss(arrays: list[Array], along: Array) -> Array:
        args, kwargs = arguments.unflatten([*arrays[:place], along, *arrays[place + 1 :]])
        return fun(*args, **kwargs)

    @jax.jit
    def measured(arrays: list[Array], direction: Array, steps: Array) -> tuple[Array, ...]:
        value, gradient = jax.value_and_grad(partial(loss, arrays))(arrays[place])

        def away(step: Array) -> Array:
            return loss(arrays, arrays[place] + step * direction)

        return value, jnp.sum(gradient * direction), lax.map(away, jnp.concatenate([steps, -steps]))

    with jax.enable_x64(dtype == "float64"):
        arrays = [_in(dtype, array) for array in arguments.traced]
        found = measured(arrays, jnp.asarray(direction, dtype), jnp.asarray(steps, dtype))
        value, slope, around = map(np.asarray, found)
    ahead, back = np.split(around.astype(np.float64), 2)
    return Samples(str(value.dtype), steps, float(value), float(slope), ahead, back)


def _in(dtype: str, array: Array) -> Array:
    """An argument in a precision: floats in it, complex numbers of two of it, anything else as it is."""
    given = jnp.result_type(array)
    if jnp.issubdtype(given, jax.dtypes.extended):
        return array
    if jnp.issubdtype(given, jnp.complexfloating):
        dtype = {"float32": "complex64", "float64": "complex128"}[dtype]
    return jnp.asarray(np.asarray(array), dtype if jnp.issubdtype(given, jnp.inexact) else None)


def _curve(samples: Samples) -> Curve:
    central, forward = (differences(numeric, samples) for numeric in (samples.central, samples.forward))
    return Curve(samples.dtype, samples.slope, central, forward)

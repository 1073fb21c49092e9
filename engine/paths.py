"""Several optimisers on the same gradient: backpropagation computes it, and each of them moves in its own way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from engine.convolutions import straightened
from engine.magnitudes import double
from engine.optimisers import steepest
from engine.sweep import Rest, split

Array = Any
Params = Any
"""A pytree of arrays."""


@dataclasses.dataclass(frozen=True, eq=False)
class Move:
    """What one optimiser makes of a gradient at its first step."""

    update: Params
    """What it adds to the parameters."""
    after: Params
    size: float
    """Euclidean norm of the update."""
    ratio: float
    """That norm over the parameters' own; infinite where they are all zero."""
    cosine: float
    """Of the angle to steepest descent: 1 straight down, 0 across. NaN where the gradient or the update is zero."""
    expected: float
    """Change of the loss that the gradient promises for this update, to first order."""


def moves(optimisers: Mapping[str, optax.GradientTransformation], params: Params, gradient: Params) -> dict[str, Move]:
    """The first step of several optimisers on one and the same gradient, side by side."""
    return {name: _move(optimiser, params, gradient) for name, optimiser in optimisers.items()}


def _move(optimiser: optax.GradientTransformation, params: Params, gradient: Params) -> Move:
    gradient = steepest(gradient)
    update, _ = optimiser.update(gradient, optimiser.init(params), params)
    size, steep, own = _norm(update), _norm(gradient), _norm(params)
    expected = _dot(gradient, update)
    cosine = -expected / (size * steep) if size and steep else float("nan")
    ratio = size / own if own else float("inf")
    return Move(update, optax.apply_updates(params, update), size, ratio, cosine, expected)


def _dot(first: Params, second: Params) -> float:
    """Sum of the products of all entries, in double precision; of complex ones, as numbers in a plane."""
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return float(sum(np.vdot(double(a), double(b)).real for a, b in pairs))


def _norm(tree: Params) -> float:
    return _dot(tree, tree) ** 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class Walk:
    """Where one optimiser went."""

    params: Params
    """The parameters with the steps as the first axis of each array, the start included: ``(steps + 1, ...)``."""
    losses: Array
    """``(steps + 1,)``, the last after the last step."""
    sizes: Array
    """Euclidean norm of each update, ``(steps,)``."""


Walker = Callable[..., dict[str, Walk]]


def walker(optimisers: Mapping[str, optax.GradientTransformation], loss: Callable[..., Array], steps: int) -> Walker:
    """A function of ``(params, *args)``: where each optimiser goes from the same start, on ``loss(params, *args)``.

    Each one's first gradient is the same; from then on each meets the gradient of the place where it has come to. It is
    compiled once, and then takes any start and any arguments of the same shapes.
    """

    @partial(jax.jit, static_argnums=0)
    def walked(rest: Rest, params: Params, arrays: list[Array]) -> dict[str, Walk]:
        here = partial(_with, loss, rest.filled(arrays))
        return {name: _walk(optimiser, here, params, steps) for name, optimiser in optimisers.items()}

    def walk(params: Params, *args: Any) -> dict[str, Walk]:
        arrays, rest = split(args)
        return walked(rest, jax.tree.map(jnp.asarray, params), arrays)

    return walk


def _with(loss: Callable[..., Array], args: tuple[Any, ...], params: Params) -> Array:
    return loss(params, *args)


def _walk(optimiser: optax.GradientTransformation, loss: Callable[[Params], Array], params: Params, steps: int) -> Walk:
    def step(state: tuple[Params, Any], _: None) -> tuple[tuple[Params, Any], tuple[Params, Array, Array]]:
        params, memory = state
        value, gradient = straightened(jax.value_and_grad(loss))(params)
        update, memory = optimiser.update(steepest(gradient), memory, params)
        return (optax.apply_updates(params, update), memory), (params, value, optax.tree.norm(update))

    (last, _), (path, losses, sizes) = lax.scan(step, (params, optimiser.init(params)), length=steps)
    whole = jax.tree.map(lambda way, end: jnp.concatenate([way, end[None]]), path, last)
    return Walk(whole, jnp.append(losses, loss(last)), sizes)


jax.tree_util.register_dataclass(Walk, data_fields=["params", "losses", "sizes"], meta_fields=[])

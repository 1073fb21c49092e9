"""A slice of the loss surface: the loss around some parameters along two directions, and a path in their plane.

Filter-normalised random directions are those of Li, Xu, Taylor, Studer and Goldstein, "Visualizing the Loss Landscape
of Neural Nets" (2018): each filter of a direction is as long as the weights that it moves, so that slices of different
nets compare; biases and scales, being no filters, stay where they are. The two main directions of a path are theirs
too, by principal components.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine.errors import EngineError
from engine.sweep import Rest, split, sweep

Array = Any
Params = Any
"""A pytree of arrays."""


class SurfaceError(EngineError, ValueError):
    """There is no such plane."""


@dataclasses.dataclass(frozen=True, eq=False)
class Plane:
    """Parameters, and two directions to go from them: ``origin + a · directions[0] + b · directions[1]``."""

    origin: Params
    directions: tuple[Params, Params]
    labels: tuple[str, str]


@dataclasses.dataclass(frozen=True, eq=False)
class Slice:
    """The loss over a plane."""

    first: Array
    """How far along the first direction, ``(columns,)``."""
    second: Array
    """How far along the second, ``(rows,)``."""
    losses: Array
    """``(rows, columns)``; NaN and infinities as the loss has them."""


@dataclasses.dataclass(frozen=True, eq=False)
class Projection:
    """A path as its plane sees it."""

    points: Array
    """``(steps, 2)``: where each point's foot lies in the plane."""
    distances: Array
    """``(steps,)``: how far each point lies off the plane, in the parameters' Euclidean norm."""
    share: float
    """Share of the path's variance that lies in the plane, 0 to 1; NaN for a path that doesn't move."""

    def ranges(self, margin: float = 0.25) -> tuple[tuple[float, float], tuple[float, float]]:
        """A range of each coordinate that holds the path, with a margin on each side as a share of the longer one."""
        low, high = self.points.min(0), self.points.max(0)
        room = margin * (float(np.max(high - low)) or 1.0)
        (a, b), (c, d) = ((float(start) - room, float(end) + room) for start, end in zip(low, high, strict=True))
        return (a, b), (c, d)


# ---- planes --------------------------------------------------------------------------------------------------------


def random_plane(params: Params, seed: int = 0) -> Plane:
    """Two random directions, each filter as long as the weights that it moves (a filter is what makes one output:
    everything at one position of the last axis).

    Where no array has two axes, each array is one filter.

    Raises:
        SurfaceError: all weights are zero.
    """
    leaves, tree = jax.tree.flatten(params)
    arrays = [np.asarray(leaf) for leaf in leaves]
    least = 2 if any(array.ndim >= 2 and _movable(array) for array in arrays) else 0
    rng = np.random.default_rng(seed)
    sides = [[_filters(array, rng, least) for array in arrays] for _ in range(2)]
    if not any(side.any() for side in sides[0]):
        raise SurfaceError(
            "All weights are zero, and a filter-normalised direction is as long as they are: take the plane of a path "
            "(path_plane), or of two entries (entry_plane)."
        )
    first, second = (jax.tree.unflatten(tree, side) for side in sides)
    return Plane(params, (first, second), ("random direction 1", "random direction 2"))


def _filters(array: Array, rng: np.random.Generator, least: int) -> Array:
    noise = rng.normal(size=array.shape)
    if not _movable(array) or array.ndim < least:
        return np.zeros(array.shape, np.float32)
    axes = tuple(range(array.ndim - 1 if array.ndim > 1 else array.ndim))
    with np.errstate(invalid="ignore"):  # an empty array has filters of no entries
        return (noise * (_norm(array.astype(np.float64), axes) / _norm(noise, axes))).astype(np.float32)


def _norm(array: Array, axes: tuple[int, ...]) -> Array:
    return np.sqrt(np.sum(np.square(array), axis=axes, keepdims=True))


def _movable(array: Array) -> bool:
    return bool(jnp.issubdtype(array.dtype, jnp.floating))


def entry_plane(params: Params, first: tuple[int, tuple[int, ...]], second: tuple[int, tuple[int, ...]]) -> Plane:
    """The plane of two entries of the parameters; coordinates count from what they are.

    Args:
        params: a pytree of arrays.
        first: which leaf, in flattening order (as ``graph.inputs`` counts them), and which entry of it.
        second: likewise, another entry.

    Raises:
        SurfaceError: there is no such entry, or both are the same.
    """
    found = jax.tree_util.tree_flatten_with_path(params)[0]
    if first == second:
        raise SurfaceError(f"Both directions are entry {first[1]} of leaf {first[0]}; a plane needs two entries.")
    sides, labels = [], []
    for leaf, index in (first, second):
        side = [np.zeros(np.shape(array), np.float32) for _, array in found]
        try:
            side[leaf][index] = 1.0
        except IndexError as error:
            raise SurfaceError(f"There is no entry {index} of leaf {leaf}: {error}.") from None
        if np.sum(side[leaf]) != 1:
            raise SurfaceError(f"{index} isn't one entry of leaf {leaf}, whose shape is {side[leaf].shape}.")
        name = jax.tree_util.keystr(found[leaf][0], simple=True, separator=".")
        labels.append(name + (f"[{', '.join(map(str, index))}]" if index else ""))
        sides.append(jax.tree.unflatten(jax.tree.structure(params), side))
    return Plane(params, (sides[0], sides[1]), (labels[0], labels[1]))


def path_plane(path: Params) -> Plane:
    """The plane of the two main directions of a path (its first two principal components), through its last point.

    Directions have length 1, so coordinates are distances. The second direction of a straight path is a random one.

    Args:
        path: parameters with the steps as the first axis of each array, see :func:`stacked`.

    Raises:
        SurfaceError: the path doesn't move.
    """
    leaves, tree = jax.tree.flatten(path)
    arrays = [np.asarray(leaf) for leaf in leaves]
    rows = [_flat(array - array.mean(0, dtype=np.float64)) for array in arrays if _movable(array)]
    gram = sum((row @ row.T for row in rows), start=np.zeros((len(arrays[0]), len(arrays[0]))))
    sizes, vectors = np.linalg.eigh(gram)
    if not sizes[-1] > 0:
        raise SurfaceError("The path doesn't move, so it has no main directions: take random_plane or entry_plane.")
    straight = len(sizes) < 2 or sizes[-2] <= 1e-10 * sizes[-1]
    first = _combined(arrays, vectors[:, -1])
    second = _random_beside(first) if straight else _combined(arrays, vectors[:, -2])
    labels = ("main direction of the path", "a random direction" if straight else "second direction of the path")
    sides = (jax.tree.unflatten(tree, first), jax.tree.unflatten(tree, second))
    return Plane(jax.tree.unflatten(tree, [array[-1] for array in arrays]), sides, labels)


def _combined(arrays: Sequence[Array], weights: Array) -> list[Array]:
    """A direction of length 1 as a sum of the path's points, pointing from the first point to the last."""
    weights = weights - weights.mean()
    parts = [np.tensordot(weights, array, 1) if _movable(array) else np.zeros(array.shape[1:]) for array in arrays]
    ahead = sum(float(np.vdot(part, array[-1] - array[0])) for part, array in zip(parts, arrays, strict=True))
    length = np.sqrt(sum(float(np.vdot(part, part)) for part in parts)) * (-1 if ahead < 0 else 1)
    return [(part / length).astype(np.float32) for part in parts]


def _random_beside(first: Sequence[Array]) -> list[Array]:
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=part.shape) * (part.size > 0) for part in first]
    along = sum(float(np.vdot(part, other)) for part, other in zip(first, noise, strict=True))
    beside = [other - along * part for part, other in zip(first, noise, strict=True)]
    length = np.sqrt(sum(float(np.vdot(part, part)) for part in beside))
    return [(part / length).astype(np.float32) for part in beside]


def _flat(array: Array) -> Array:
    return np.asarray(array, np.float64).reshape(len(array), -1)


# ---- the loss over a plane, and a path in it -----------------------------------------------------------------------


def surveyor(loss: Callable[..., Array]) -> Callable[..., Slice]:
    """A function ``survey(plane, first, second, *args)`` that evaluates ``loss(params, *args)`` over a plane.

    It is compiled once for each number of points, and then takes any plane: ``first`` and ``second`` are the
    coordinates, as arrays. Points are computed as many at a time as memory allows (:mod:`engine.sweep`).
    """

    @partial(jax.jit, static_argnums=0)
    def heights(rest: Rest, arrays: list[Array], plane: list[Params], places: Array) -> Array:
        def height(place: Array, plane: list[Params], arrays: list[Array]) -> Array:
            moved = jax.tree.map(partial(_moved, place), *plane)
            return loss(moved, *rest.filled(arrays))

        return sweep(height, places, plane, arrays)

    def survey(plane: Plane, first: Array, second: Array, *args: Any) -> Slice:
        columns, rows = np.asarray(first, np.float32), np.asarray(second, np.float32)
        places = np.stack(np.meshgrid(columns, rows), -1).reshape(-1, 2)
        arrays, rest = split(args)
        found = heights(rest, arrays, [plane.origin, *plane.directions], places)
        return Slice(columns, rows, np.asarray(found).reshape(len(rows), len(columns)))

    return survey


def _moved(place: Array, origin: Array, first: Array, second: Array) -> Array:
    if not jnp.issubdtype(jnp.result_type(origin), jnp.floating):
        return origin
    return (origin + place[0] * first + place[1] * second).astype(jnp.result_type(origin))


def project(plane: Plane, path: Params) -> Projection:
    """Where a path lies in a plane, and how much of it lies there.

    Args:
        plane: any plane; its directions need not be orthogonal, but must differ.
        path: parameters with the steps as the first axis of each array, see :func:`stacked`.
    """
    trees = [jax.tree.leaves(tree) for tree in (path, plane.origin, *plane.directions)]
    gram, spread = np.zeros((2, 2)), 0.0
    sent: Any = 0.0
    far: Any = 0.0
    centred: Any = 0.0
    for array, origin, *sides in zip(*trees, strict=True):
        if not _movable(np.asarray(array)):
            continue
        away = _flat(np.asarray(array, np.float64) - np.asarray(origin, np.float64))
        both = np.stack([np.asarray(side, np.float64).ravel() for side in sides])
        middle = away - away.mean(0)
        gram = gram + both @ both.T
        sent, centred = sent + away @ both.T, centred + middle @ both.T
        far, spread = far + np.sum(away * away, 1), spread + float(np.sum(middle * middle))
    points = np.linalg.solve(gram, np.transpose(sent)).T
    inside = float(np.sum(np.linalg.solve(gram, np.transpose(centred)).T * centred))
    distances = np.sqrt(np.maximum(far - np.sum(points * sent, 1), 0.0))
    return Projection(points, distances, min(inside / spread, 1.0) if spread else float("nan"))


def stacked(snapshots: Iterable[Params]) -> Params:
    """Parameters at several steps as one pytree, the steps as the first axis of each array."""
    return jax.tree.map(lambda *arrays: np.stack([np.asarray(array) for array in arrays]), *snapshots)

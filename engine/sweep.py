"""One function at many points, in one compiled program that stays within a memory budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from engine import compat
from engine.trace import is_array, program

Array = Any

BUDGET = 256 * 2**20
"""Bytes that the points computed at a time may take."""


def sweep(fun: Callable[..., Array], points: Any, *args: Any, budget: int = BUDGET) -> Array:
    """``fun(point, *args)`` for each point, as many at a time as the budget allows.

    Args:
        fun: a function of one point that returns one array.
        points: a pytree of arrays with the points along the first axis.
        *args: arrays that are the same for each point.
        budget: bytes.

    Returns:
        The results, points first.
    """
    count = jax.tree.leaves(points)[0].shape[0]
    first = jax.tree.map(lambda array: array[0], points)
    together = at_a_time(fun, (first, *args), count, budget)
    return lax.map(lambda point: fun(point, *args), points, batch_size=together if together > 1 else None)


def at_a_time(fun: Callable[..., Any], args: tuple[Any, ...], count: int, budget: int = BUDGET) -> int:
    """How many points fit into the budget at a time, if everything that one of them computes were kept; at least 1."""
    block = program(fun, args, {}).block
    size = sum(_size(aval) for _, aval in block.made() if compat.is_array(aval))
    return int(np.clip(budget // max(size, 1), 1, count))


def _size(aval: Any) -> int:
    itemsize = 8 if compat.is_key(aval) else jnp.dtype(aval.dtype).itemsize
    return compat.element_count(aval.shape) * itemsize


@dataclasses.dataclass(frozen=True)
class Rest:
    """What of some arguments isn't an array: their structure, and strings and functions in their places; hashable."""

    tree: Any
    leaves: tuple[Any, ...]

    def filled(self, arrays: Sequence[Array]) -> Any:
        """The arguments again, with arrays in theirs."""
        given = iter(arrays)
        return jax.tree.unflatten(self.tree, [next(given) if leaf is _ARRAY else leaf for leaf in self.leaves])


class _Array:
    """Marks the place of an array."""


_ARRAY = _Array()


def split(args: Any) -> tuple[list[Array], Rest]:
    """The arrays of some arguments, to trace, and the rest, to compile for."""
    leaves, tree = jax.tree.flatten(args)
    return [leaf for leaf in leaves if is_array(leaf)], Rest(tree, tuple(_ARRAY if is_array(e) else e for e in leaves))

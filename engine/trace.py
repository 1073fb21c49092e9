"""Any JAX function -> its graph, and the placed program behind it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine import compat
from engine.build import build
from engine.graph import Graph
from engine.names import Leaf, function_name, leaves
from engine.program import Block


@dataclasses.dataclass(frozen=True, eq=False)
class Arguments:
    """A call's arguments, flat: arrays to trace, and everything else, which stays as it is."""

    values: tuple[Any, ...]
    """Every leaf, in flattening order."""
    names: tuple[Leaf, ...]
    arrays: tuple[int, ...]
    """Positions of the leaves that are arrays."""
    tree: Any
    """Structure of ``(args, kwargs)``."""

    @property
    def traced(self) -> list[Any]:
        """The leaves that are arrays."""
        return [self.values[index] for index in self.arrays]

    def unflatten(self, arrays: list[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """``(args, kwargs)`` with other arrays in place of these."""
        filled = list(self.values)
        for index, array in zip(self.arrays, arrays, strict=True):
            filled[index] = array
        args, kwargs = jax.tree_util.tree_unflatten(self.tree, filled)
        return args, kwargs


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """A traced function: its graph, its placed program, and how to call it."""

    graph: Graph
    block: Block
    arguments: Arguments
    returned: Any
    """What the function returns, as a tree of shapes."""


def trace(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Graph:
    """The compute graph of a JAX function.

    Args:
        fun: a function of pytrees of arrays. It is traced, not run: nothing is computed.
        *args: example arguments; ``jax.ShapeDtypeStruct`` will do, so no memory is needed. Leaves that are no arrays
            (strings, functions, ``None``) are static.
        **kwargs: example keyword arguments.

    Returns:
        A static, hashable :class:`engine.Graph` in topological order; the same for every trace of the same program.

    Raises:
        TraceError: the function raised while JAX traced it.
    """
    return program(fun, args, kwargs).graph


def program(fun: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Program:
    """Trace a function and place every value in it."""
    name = function_name(fun)
    arguments = flatten(fun, args, kwargs)

    def flat(*arrays: Any) -> Any:
        args, kwargs = arguments.unflatten(list(arrays))
        return fun(*args, **kwargs)

    closed, returned = compat.trace(flat, name, arguments.traced)
    block, graph = build(closed, [arguments.names[index] for index in arguments.arrays], name)
    return Program(graph, block, arguments, returned)


def flatten(fun: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """The leaves of a call's arguments, named, arrays told from the rest."""
    found = leaves(fun, args, kwargs)
    values = tuple(value for _, value in found)
    arrays = tuple(index for index, value in enumerate(values) if is_array(value))
    return Arguments(values, tuple(leaf for leaf, _ in found), arrays, jax.tree_util.tree_structure((args, kwargs)))


def is_array(value: Any) -> bool:
    """Whether a leaf is traced: an array, a number or the shape of one.

    A Python ``bool`` is not: it is a switch (``inference``, ``training``), and the function may branch on it.
    """
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in "biufcV"
    return isinstance(value, jax.Array | jax.ShapeDtypeStruct | int | float | complex) and not isinstance(value, bool)


def fill(example: tuple[Any, ...], arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The example with other arrays in place of its own; what is no array stays."""
    found, tree = jax.tree.flatten(example)
    rest = iter(arrays)
    return tuple(jax.tree.unflatten(tree, [next(rest) if is_array(leaf) else leaf for leaf in found]))


def compiled(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a function returns, compiled whole: XLA takes far longer over its operations one by one.

    Args:
        fun: any function that can be traced; it is called once.
        *args: its arguments; leaves that are no arrays are static.
        **kwargs: its keyword arguments, likewise.
    """
    arguments = flatten(fun, args, kwargs)

    @jax.jit
    def flat(*arrays: Any) -> Any:
        args, kwargs = arguments.unflatten(list(arrays))
        return fun(*args, **kwargs)

    return flat(*arguments.traced)


def in_floats(fun: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """A function in what can be differentiated of its first argument, where ``jax.grad`` would not take all of it.

    A model of Equinox or Flax holds its activations, switches and rates beside its weights: of such a one the
    floating-point arrays are differentiated, and the rest stays as it was given.

    Args:
        fun: any function.
        args: positional arguments for it.

    Returns:
        The function and its arguments, with ``None`` for each leaf of the first one that stays; both as they were where
        all of that are floats, or none is an array of them.
    """
    first, *rest = args
    leaves = jax.tree.leaves(first)
    if all(map(_is_float, leaves)) or not any(map(_is_weight, leaves)):
        return fun, args
    kept = jax.tree.map(lambda leaf: None if _is_weight(leaf) else leaf, first)

    @functools.wraps(fun)
    def filled(first: Any, *rest: Any, **kwargs: Any) -> Any:
        whole = jax.tree.map(lambda own, kept: kept if own is None else own, first, kept, is_leaf=lambda x: x is None)
        return fun(whole, *rest, **kwargs)

    return filled, (jax.tree.map(lambda leaf: leaf if _is_weight(leaf) else None, first), *rest)


def _is_float(leaf: Any) -> bool:
    return is_array(leaf) and bool(jnp.issubdtype(jnp.result_type(leaf), jnp.inexact))


def _is_weight(leaf: Any) -> bool:
    return _is_float(leaf) and hasattr(leaf, "dtype")

"""Any JAX function -> its graph, and the placed program behind it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine import calls, compat
from engine.build import build
from engine.errors import EngineError, TraceError
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


@contextlib.contextmanager
def explained(name: str) -> Iterator[None]:
    """The user's function may raise anything at all; this is the edge where it becomes one clear sentence.

    Raises:
        TraceError: the function of this name raised while JAX traced it.
    """
    try:
        yield
    except EngineError:  # one already
        raise
    except Exception as error:
        raise TraceError(f"{name} could not be traced: {type(error).__name__}: {_explanation(error)}") from error


_LONGEST = 200
"""How much of what an exception says is repeated, in characters."""

_ADVICE: dict[Any, str] = {
    (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError): (
        "JAX traces the function once for all inputs, so Python can't branch on an array's value or turn it into "
        "a NumPy array: write jax.lax.cond, jax.lax.scan or jnp.where, or close over the value as a static one."
    ),
    jax.errors.UnexpectedTracerError: (
        "Something computed in one call was kept, in a list, an attribute or a global, and used in another, where it "
        "has no value: return it instead."
    ),
}


def _explanation(error: Exception) -> str:
    text = str(error).strip()
    if type(error).__module__.startswith("jax"):  # what JAX says next is about its own code
        text = text.partition("\n")[0].partition(". ")[0]
    said = " ".join(text.split())
    said = said if len(said) <= _LONGEST else f"{said[:_LONGEST].rstrip()}…"
    advice = next((advice for kinds, advice in _ADVICE.items() if isinstance(error, kinds)), "")
    place = _raised(error)
    if not place and not advice:
        return said
    return f"{said.rstrip('.')}{place and f' ({place})'}{advice and f'. {advice}'}".lstrip()


def _raised(error: Exception) -> str:
    """File and line, innermost, in the user's own code; nothing where the exception didn't come from there."""
    stack = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    own = [(code.co_filename, line) for code, line in stack if calls.origin(code) == "function"]
    return f"{os.path.basename(own[-1][0])}:{own[-1][1]}" if own else ""


def program(fun: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Program:
    """Trace a function and place every value in it."""
    name = function_name(fun)
    arguments = flatten(fun, args, kwargs)

    def flat(*arrays: Any) -> Any:
        args, kwargs = arguments.unflatten(list(arrays))
        return fun(*args, **kwargs)

    with explained(name):
        closed, returned = compat.trace(flat, arguments.traced)
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

"""Sums whose terms are in memory, as a layer's products and its biases are.

To be read as an array such a sum would have to be written, by a kernel of its own. Instead its terms are added once
more where it is measured (:mod:`engine.kernel`): one rounded addition after the other, the same numbers as the step's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.extend.core as jex

from engine import kernel

Array = Any
Terms = tuple[Array, ...]

_RESHAPES = ("broadcast_in_dim", "reshape")

SHORT = 16
"""A term of fewer entries is added in pieces too small for a processor's vectors."""

REPEATED = 256
"""How many times such a one is repeated at most: beyond, it costs less to write the sum."""


def terms(eqn: Any, outs: list[Array], known: Mapping[Any, Terms]) -> Terms:
    """The arrays in memory whose sum, from the left, an equation makes; itself where it only gives one another shape.

    Args:
        eqn: an equation of a jaxpr.
        outs: what it made.
        known: the same of the variables before it.

    Returns:
        Nothing where it makes anything else.
    """
    name = eqn.primitive.name
    if name not in ("add", *_RESHAPES):
        return ()
    operands = [() if isinstance(var, jex.Literal) else known.get(var, ()) for var in eqn.invars]
    if name == "add":
        return _added(outs[0], *operands)
    alike = len(operands[0]) == 1 and operands[0][0].size == outs[0].size
    return (outs[0],) if alike else ()


def _added(out: Array, left: Terms, right: Terms) -> Terms:
    """The terms of both; the single one behind, which changes nothing."""
    if len(right) > 1 or (left and left[0].shape != out.shape):
        left, right = right, left
    found = (*left, *right)
    fit = left and len(right) == 1 and len(found) <= kernel.TERMS and left[0].shape == out.shape
    known = kernel.takes(out.dtype) and out.size
    return found if fit and known and all(_repeats(term, out) for term in found) else ()


def _repeats(term: Array, out: Array) -> bool:
    """Whether an array's entries, again and again, are those of a sum, and cheap to add."""
    shape = (1,) * (out.ndim - term.ndim) + term.shape
    same = next((axis for axis, length in enumerate(shape) if length != 1), out.ndim)
    cheap = term.size >= SHORT or out.size <= REPEATED * term.size
    return term.dtype == out.dtype and shape[same:] == out.shape[same:] and cheap

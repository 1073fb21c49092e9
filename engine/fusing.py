"""Programs in which XLA would join too much, and how they are compiled instead.

For a CPU XLA makes one kernel of operations on entries that follow each other, and computes again in each kernel what
several of them need. Where hundreds follow each other without a product or a sum between them, and gradients between
are read, each of hundreds of kernels computes most of the way there again: watched, a thousand equations took 26 times
as long to compile as with a kernel for each operation, and four times the memory (``python -m benchmarks.joined``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax

from engine import compat
from engine.graph import Graph
from engine.ops import OPS
from engine.rules import POINTWISE
from engine.trace import flatten

LONG = 80
"""Operations on entries one after the other, from which on each gets a kernel of its own."""

_APART = {"xla_disable_hlo_passes": "fusion"}


def jit(fun: Callable[..., Any], graph: Graph, **options: Any) -> Callable[..., Any]:
    """``jax.jit``, for a program that computes a loss with this graph.

    Args:
        fun: what is compiled.
        graph: of the loss.
        **options: of ``jax.jit``.
    """
    apart = compat.on_cpu() and longest(graph) > LONG
    return jax.jit(fun, compiler_options=_APART, **options) if apart else jax.jit(fun, **options)


def compiled(fun: Callable[..., Any], graph: Graph, *args: Any, **kwargs: Any) -> Any:
    """What a function returns, compiled whole: XLA takes far longer over its operations one by one.

    Args:
        fun: any function that can be traced; it is called once.
        graph: of the loss that it computes.
        *args: its arguments; leaves that are no arrays are static.
        **kwargs: its keyword arguments, likewise.
    """
    arguments = flatten(fun, args, kwargs)

    @partial(jit, graph=graph)
    def flat(*arrays: Any) -> Any:
        args, kwargs = arguments.unflatten(list(arrays))
        return fun(*args, **kwargs)

    return flat(*arguments.traced)


def longest(graph: Graph) -> int:
    """How many operations on entries, or that move them, follow each other at most without another kind between."""
    far: dict[str, int] = {}
    for node in graph.nodes:
        if node.op in POINTWISE or (node.op in OPS and OPS[node.op].plumbing):
            far[node.id] = 1 + max((far.get(id, 0) for id in node.inputs), default=0)
    return max(far.values(), default=0)

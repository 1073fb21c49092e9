"""Programs in which XLA would join too much, and how they are compiled instead.

For a CPU XLA makes one kernel of operations on entries that follow each other, and computes again in each kernel what
several of them need. Where hundreds follow each other without a product or a sum between them, and gradients between
are read, each of hundreds of kernels computes most of the way there again: watched, a thousand equations took 26 times
as long to compile as with a kernel for each operation, and four times the memory (``python -m benchmarks.joined``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from operator import or_
from typing import Any

import jax

from engine import compat
from engine.graph import Graph
from engine.ops import OPS
from engine.rules import POINTWISE
from engine.trace import flatten

MANY = 150
"""Operations on entries that one kernel would compute, from which on each gets a kernel of its own."""

FOR_EACH = 16
"""If there are so many at least for each result of another kind that it reads: those bound what is computed again."""

_APART = {"xla_disable_hlo_passes": "fusion"}


def jit(fun: Callable[..., Any], graph: Graph, **options: Any) -> Callable[..., Any]:
    """``jax.jit``, for a program that computes a loss with this graph.

    Args:
        fun: what is compiled.
        graph: of the loss.
        **options: of ``jax.jit``.
    """
    apart = compat.on_cpu() and joined(graph) > MANY
    return jax.jit(fun, compiler_options=_APART, **options) if apart else jax.jit(fun, **options)


def compiled(fun: Callable[..., Any], graph: Graph, /, *args: Any, **kwargs: Any) -> Any:
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


def joined(graph: Graph) -> int:
    """How many operations on entries, or that move them, one kernel would compute at most, with few others between."""
    alone = [node.op in POINTWISE or (node.op in OPS and OPS[node.op].plumbing) for node in graph.nodes]
    mask = sum(1 << place for place, own in enumerate(alone) if own)
    reads: dict[str, int] = {}
    """For each node what a kernel for it would compute and read, as bits."""
    most = 0
    for place, node in enumerate(graph.nodes):
        reads[node.id] = 1 << place if node.operands else 0
        if alone[place]:
            reads[node.id] = reduce(or_, (reads.get(id, 0) for id in node.inputs), 1 << place)
            count = (reads[node.id] & mask).bit_count()
            if count >= FOR_EACH * (1 + (reads[node.id] & ~mask).bit_count()):
                most = max(most, count)
    return most

"""More of a pass than its step read of it: other nodes, or whole arrays, by programs compiled when somebody asks.

A large program is read by statistics, and of few nodes: each one that is read takes XLA 25 to 100 ms to compile, and an
array that leaves the step takes the memory that it has. What somebody looks at is read by another program, from the
same parameters on the same batch.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import jax

from engine import fusing, ops, optimisers
from engine.flow import has_gradient
from engine.grad import value_and_grad
from engine.graph import OUTPUT, Graph
from engine.loop import TrainState
from engine.probe import Probe
from engine.reading import Reading
from engine.scaling import Factor
from engine.tasks.problem import Problem
from engine.training import Batch

NODES, BYTES = 4000, 1 << 28
"""A graph of more nodes, or of more bytes of values and gradients, is large: its step is read by statistics."""

PROGRAMS = 8
"""Programs that stay compiled."""

_STATS = ("value", "grad")


def is_large(graph: Graph) -> bool:
    """Whether a full reading of a step would take too long to compile, or too much memory."""
    return len(graph.nodes) > NODES or nbytes(graph, (node.id for node in graph.nodes)) > BYTES


def nbytes(graph: Graph, ids: Iterable[str]) -> int:
    """Bytes of the values of some nodes, and of their gradients where they have any."""
    return sum(_bytes(graph, id) for id in ids)


def _bytes(graph: Graph, id: str) -> int:
    node = graph.node(id)
    width = "".join(letter for letter in node.dtype if letter.isdigit())
    entries = math.prod(node.shape) * math.prod(node.iterations)
    return entries * int(width or 8) // 8 * (2 if has_gradient(node) else 1)


def around(graph: Graph, id: str) -> tuple[str, ...]:
    """What the chain rule at a node speaks of: the node, what it reads, and who reads it with what else they read.

    Of a very large neighbourhood the nearest, as many as fit into :data:`BYTES`; the node itself in any case.
    """
    users = _past_plumbing(id, lambda each: [user for user in graph.consumers(each) if user != OUTPUT], graph)
    reads = [_past_plumbing(each, lambda own: graph.node(own).inputs, graph) for each in (id, *users)]
    return fitting(graph, dict.fromkeys([id, *reads[0], *users, *itertools.chain(*reads[1:])]), least=1)


def fitting(graph: Graph, ids: Iterable[str], least: int = 0) -> tuple[str, ...]:
    """Of some nodes those whose arrays fit into :data:`BYTES`, the first ones first; the very first in any case."""
    found: list[str] = []
    left = BYTES
    for id in ids:
        size = _bytes(graph, id)
        if size <= left or len(found) < least:
            found.append(id)
            left -= size
    return tuple(found)


def _past_plumbing(id: str, next_to: Callable[[str], Iterable[str]], graph: Graph) -> list[str]:
    """The neighbours of a node, and where one only moves numbers, its own neighbours too."""
    found: dict[str, None] = {}
    waiting = list(next_to(id))
    while waiting:
        other = waiting.pop(0)
        if other not in found:
            found[other] = None
            waiting += next_to(other) if ops.is_plumbing(graph.node(other).op) else []
    return list(found)


class More:
    """The programs that read more of the passes of one problem."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._batch = Batch(problem.batch(0))
        self._lock = threading.Lock()  # pages that show the same share it
        self._compiled: OrderedDict[Probe, Callable[..., Reading]] = OrderedDict()

    def statistics(self, state: TrainState, nodes: Iterable[str]) -> Reading:
        """Statistics of some nodes in the pass that starts from a state; compiles, and may be called in any thread."""
        return self._read(state, Probe(tuple(sorted(nodes)), _STATS, "stats"))

    def arrays(self, state: TrainState, nodes: Iterable[str]) -> Reading:
        """The same, whole arrays and what each consumer sends back."""
        return self._read(state, Probe(tuple(sorted(nodes))))

    def _read(self, state: TrainState, probe: Probe) -> Reading:
        with self._lock:
            program = self._compiled.pop(probe, None) or self._program(probe)
            self._compiled[probe] = program
            while len(self._compiled) > PROGRAMS:
                self._compiled.popitem(last=False)
        arrays = self._batch.arrays(self._problem.batch(state.step))
        return jax.block_until_ready(program(state.params, optimisers.factor(state.optimiser), arrays))

    def _program(self, probe: Probe) -> Callable[..., Reading]:
        problem = self._problem
        argnums = tuple(range(len(problem.params)))

        @partial(fusing.jit, graph=problem.graph)
        def read(params: Any, factor: Factor, arrays: list[Any]) -> Reading:
            watched = value_and_grad(problem.fun, argnums=argnums, probe=probe, factor=factor)
            return watched(*params, *self._batch.filled(arrays))[2]

        return read

"""Gradients that are zero because their type holds nothing so small, and not because nothing flows.

That can't be seen in the step itself: a zero is a zero. So the same step is taken once more in float32, and entry by
entry compared: what is zero in sixteen bits, isn't zero there, and lies below the smallest number that sixteen bits
hold with all their digits, has underflowed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine.errors import EngineError
from engine.grad import value_and_grad
from engine.graph import Graph, Node
from engine.probe import Probe
from engine.reading import Reading
from engine.tasks.problem import Problem

Array = Any

NARROW = ("float16", "bfloat16")


@dataclasses.dataclass(frozen=True)
class Lost:
    """What is lost of one gradient."""

    share: float
    """Of its entries, those that underflowed."""
    kind: str
    """The type that they underflowed in."""

    @property
    def smallest(self) -> float:
        """The smallest number of that type."""
        return float(jnp.finfo(self.kind).smallest_subnormal)


class Wide:
    """A problem's steps in float32, for comparison; compiled at the first."""

    def __init__(self, problem: Problem) -> None:
        """Of a problem that knows what it is in float32."""
        assert problem.wide is not None
        self._problem = problem.wide()
        argnums = tuple(range(len(problem.params)))
        self._read = jax.jit(value_and_grad(self._problem.fun, argnums, probe=Probe(what=("grad",))))

    def reading(self, params: tuple[Any, ...], step: int) -> Reading:
        """The gradients of a step from these parameters, none of which underflows."""
        found: Reading = self._read(*params, *self._problem.batch(step))[2]
        return found


def lost(reading: Reading, wide: Reading, ids: Iterable[str] | None = None) -> Mapping[str, Lost]:
    """What is lost of the gradients of a step.

    Args:
        reading: a full one, of a step in mixed precision.
        wide: of the same step in float32.
        ids: of nodes; those of narrow numbers unless given, and the parameters that are cast to such.

    Returns:
        For each node that is known in both and has narrow numbers; those that lost nothing as well.
    """
    graph = reading.graph
    chosen = [graph.node(id) for id in ids] if ids is not None else graph.nodes
    kinds = {node.id: kind for node in chosen if (kind := narrow(graph, node))}
    factor = 1.0 if reading.factor is None else float(reading.factor)
    found = {id: _lost(reading, wide, id, kind, factor) for id, kind in kinds.items()}
    return {id: Lost(share, kinds[id]) for id, share in found.items() if share is not None}


def narrow(graph: Graph, node: Node) -> str:
    """The type of sixteen bits that a gradient comes through: the node's own, or that to which alone it is cast."""
    if node.dtype in NARROW:
        return node.dtype
    after = [graph.node(id) for id in graph.consumers(node.id) if id in graph]
    kinds = {other.dtype if other.op == "convert_element_type" else "" for other in after}
    return kinds.pop() if len(kinds) == 1 and kinds <= set(NARROW) else ""


def _lost(reading: Reading, wide: Reading, id: str, kind: str, factor: float) -> float | None:
    name = reading.graph.node(id).name
    try:
        got, wanted = (np.asarray(read(name), np.float64) for read in (reading.grad, wide.grad))
    except EngineError:  # not there in float32, or not executed
        return None
    if got.shape != wanted.shape or not got.size:
        return None
    small = (wanted != 0) & (np.abs(wanted) * factor < float(jnp.finfo(kind).smallest_normal))
    return float(np.mean((got == 0) & small))

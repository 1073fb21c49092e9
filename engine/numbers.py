"""A reading on the host."""

from __future__ import annotations

import contextlib
import dataclasses
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np

from engine.errors import EngineError
from engine.flow import has_gradient
from engine.graph import Graph, Literal, Node
from engine.reading import Reading
from engine.text import short as short

Array = Any

_ROUNDING = 2e-4


@dataclasses.dataclass(frozen=True, eq=False)
class Numbers:
    """The arrays of one full reading, as NumPy arrays, fetched once each."""

    reading: Reading
    more: tuple[Reading, ...] = ()
    """What was read of the same step besides, as somebody looked closer."""

    @property
    def graph(self) -> Graph:
        """The graph that the reading was taken on."""
        return self.reading.graph

    @cached_property
    def rounding(self) -> float:
        """How far the sum of some products may be off, relative to their size, in the coarsest numbers of a program."""
        kinds = {node.dtype for node in self.graph.nodes if has_gradient(node)}
        return max([_ROUNDING, *(4 * float(jnp.finfo(kind).eps) for kind in kinds)])

    @cached_property
    def _kept(self) -> dict[tuple[str, str], Any]:
        return {}

    def value(self, id: str) -> Array:
        """The forward value; entries that did not run are masked."""
        return self._once("value", id)

    def grad(self, id: str) -> Array:
        """The gradient, in the value's shape."""
        return self._once("grad", id)

    def contributions(self, id: str) -> dict[str, Array]:
        """What each consumer sends back."""
        key = ("contributions", id)
        if key not in self._kept:
            self._kept[key] = {consumer: _host(part) for consumer, part in self._asked("contributions", id).items()}
        return self._kept[key]

    def stats(self, id: str) -> dict[str, dict[str, Any]]:
        """Statistics of value and gradient, whatever was read of them; of one reading perhaps the gradient alone, as
        it is another node's too.
        """
        found: dict[str, dict[str, Any]] = {}
        for reading in self.more:
            with contextlib.suppress(EngineError):
                found = reading.stats(id) | found
            if {"value", "grad"} <= found.keys():
                return found
        try:
            return self.reading.stats(id) | found
        except EngineError:
            if not found:
                raise
            return found

    def operand(self, source: str | Literal, lead: tuple[int, ...]) -> Array:
        """An operand in one iteration of the loops around."""
        return np.asarray(source.value) if isinstance(source, Literal) else self.value(source)[lead]

    def _once(self, what: str, id: str) -> Array:
        key = (what, id)
        if key not in self._kept:
            self._kept[key] = _host(self._asked(what, id))
        return self._kept[key]

    def _asked(self, what: str, id: str) -> Any:
        """What the first reading says that knows it; where none does, why the step itself didn't tell."""
        for reading in self.more:
            try:
                return reading.fetched(what, id)
            except EngineError:
                continue
        return self.reading.fetched(what, id)


def _host(array: Array) -> Array:
    return array if isinstance(array, np.ma.MaskedArray) else np.asarray(array)


def first_unfinite(numbers: Numbers) -> Node | None:
    """Of a loss that isn't finite, the first node on the way to it that isn't either; nothing of any other."""
    graph = numbers.graph
    waiting, seen = list(graph.outputs[:1]), set()
    while waiting:
        id = waiting.pop()
        if id not in seen and not _is_finite(numbers, graph.node(id)):
            seen.add(id)
            waiting.extend(graph.sources(id))
    return next((node for node in graph.nodes if node.id in seen), None)


def spoilt(reading: Reading) -> str:
    """Of a loss that isn't a finite number, what it is and which node made it so; nothing of any other."""
    numbers = Numbers(reading)
    first = first_unfinite(numbers)
    if first is None:
        return ""
    what = "NaN" if np.isnan(numbers.value(reading.graph.outputs[0])) else "infinite"
    line = f" ({first.source})" if first.source else ""
    came = "given in" if first.op in ("input", "constant") else "made by"
    return (
        f"the loss is {what}, and has no slope to compare. The first numbers that aren't finite were {came} "
        f"{first.name}{line}."
    )


def _is_finite(numbers: Numbers, node: Node) -> bool:
    try:
        return not has_gradient(node) or bool(np.isfinite(np.ma.filled(numbers.value(node.id), 0)).all())
    except EngineError:  # not executed
        return True

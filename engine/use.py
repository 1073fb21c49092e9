"""One operand of one equation, at one entry, with the numbers around it: what a derivative rule is written for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from engine.graph import Literal, Node

Index = tuple[int, ...]
Array = Any


@dataclasses.dataclass(frozen=True, slots=True)
class Factor:
    """One number of a product and where it comes from."""

    value: float | complex
    role: str
    """``gradient`` (arrived from behind), ``saved`` (a forward value, reused) or ``number``."""
    node: str = ""
    """Id of the node it is an entry of; empty for a number."""
    index: Index = ()
    text: str = ""
    """How it comes from that entry, as ``1 − y²``; empty if it is the entry itself."""


Product = tuple[Factor, ...]


@dataclasses.dataclass(frozen=True)
class Use:
    """One operand of one equation at one entry, with the arrays around it."""

    consumer: Node
    position: int
    """Which operand."""
    index: Index
    """The entry of the operand, without the iterations of the loops around."""
    lead: Index
    """The iteration of the loops around."""
    operands: tuple[Array, ...]
    """Every operand's forward value in this iteration."""
    result: Array
    gradient: Array
    """What arrived at the result."""

    @property
    def here(self) -> Array:
        """The operand's own value."""
        return self.operands[self.position]

    def arrived(self, index: Iterable[int]) -> Factor:
        """An entry of the gradient that arrived."""
        index = tuple(map(int, index))
        return Factor(self.gradient[index].item(), "gradient", self.consumer.id, self.lead + index)

    def saved(
        self, position: int, index: Iterable[int], local: Callable[[Any], Any] | None = None, text: str = ""
    ) -> Factor:
        """An entry of an operand, or something computed from it."""
        array = np.asarray(self.operands[position])
        index = within(array, index)
        entry = array[index].item()
        source = self.consumer.operands[position]
        value = entry if local is None else local(entry)
        if isinstance(source, Literal):
            return Factor(value, "number", text=text)
        return Factor(value, "saved", source, self.lead + index, text)

    def entry(self, position: int) -> Any:
        """The operand's number that meets the entry at hand."""
        array = np.asarray(self.operands[position])
        return array[within(array, self.index)].item()

    def kept(self, index: Iterable[int], local: Callable[[Any], Any] | None = None, text: str = "") -> Factor:
        """An entry of the result, or something computed from it."""
        index = tuple(map(int, index))
        entry = self.result[index].item()
        return Factor(entry if local is None else local(entry), "saved", self.consumer.id, self.lead + index, text)


def within(array: Array, index: Iterable[int]) -> Index:
    """An index of a result, as that of an operand which is repeated along axes of length 1, or is a single number."""
    return tuple(0 if size == 1 else int(i) for size, i in zip(np.shape(array), index, strict=False))


Rule = Callable[[Use], Iterable[Product]]


def pick(spans: Sequence[Sequence[int]], at: Index) -> Index:
    """The index at position ``at`` of a grid of indices."""
    return tuple(span[i] for span, i in zip(spans, at, strict=True))


def spread(rule: Rule) -> Rule:
    """An elementwise rule for an operand that is repeated: every place where it is used sends something back."""

    def everywhere(use: Use) -> list[Product]:
        shape = np.shape(use.gradient)
        if np.shape(use.here) == shape:
            return list(rule(use))
        fixed = dict(enumerate(use.index))
        spans = [
            [fixed[axis]] if np.shape(use.here)[axis : axis + 1] == (size,) else range(size)
            for axis, size in enumerate(shape)
        ]
        places = (pick(spans, at) for at in np.ndindex(*map(len, spans)))
        return [product for place in places for product in rule(dataclasses.replace(use, index=place))]

    return everywhere


ONE, MINUS_ONE, ZERO = (Factor(value, "number") for value in (1.0, -1.0, 0.0))

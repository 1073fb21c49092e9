"""What a loss costs: operations counted forward, in reverse mode, in forward mode and written out, and bytes kept.

Nothing is estimated from rules of thumb: reverse mode is the program of JAX's own ``value_and_grad`` of this very
function, forward mode that of its ``jvp``, and the residuals are what its ``vjp`` holds. Only shapes are needed.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp

from engine import compat
from engine.errors import NotDifferentiableError
from engine.expansion import Expansion, expand
from engine.grad import check_returned, leaves_of
from engine.graph import Graph
from engine.operations import Count, by_node, count, tally
from engine.probe import Probe, resolve
from engine.residuals import Residual, peak, residuals
from engine.tape import Tape
from engine.trace import Program, program


@dataclasses.dataclass(frozen=True)
class NodeCost:
    """What one node costs."""

    id: str
    forward: int
    """Operations of the plain forward pass."""
    backward: int
    """What reverse mode does besides: factors saved on the way forward, products and sums on the way back."""
    kept: int
    """Bytes of residuals that its operation makes."""


@dataclasses.dataclass(frozen=True)
class ScopeCost:
    """What everything inside a scope costs."""

    scope: str
    parameters: int
    """Entries of the parameters that are used in it."""
    forward: int
    backward: int
    kept: int


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a loss costs."""

    graph: Graph
    parameters: tuple[str, ...]
    """Ids of the argument leaves that are differentiated."""
    forward: Count
    """One run of the function."""
    reverse: Count
    """One run of ``jax.value_and_grad`` of it: the value and every gradient."""
    forward_mode: Count | None
    """One ``jax.jvp``: the value, and the slope along one direction. ``None`` where a rule of its own forbids it."""
    expansion: Expansion
    """The chain rule written out, one product for each path."""
    residuals: tuple[Residual, ...]
    peak: int
    """Most bytes alive at a time in ``value_and_grad``, arguments and gradients too (:func:`engine.residuals.peak`)."""
    nodes: tuple[NodeCost, ...]

    @property
    def entries(self) -> int:
        """How many numbers the loss is differentiated by."""
        return sum(math.prod(self.graph.node(id).shape) for id in self.parameters)

    @property
    def kept(self) -> int:
        """Bytes that the forward pass keeps for the backward pass, besides arguments and constants."""
        return sum(residual.bytes for residual in self.residuals if residual.kind == "computed")

    @property
    def forward_modes(self) -> int | None:
        """Operations of forward mode for the whole gradient: one pass for each entry of a parameter."""
        return None if self.forward_mode is None else self.forward_mode.operations * self.entries

    @property
    def written_out(self) -> int:
        """Operations of the chain rule written out: a forward pass, then every path by itself."""
        return self.forward.operations + self.expansion.operations

    @property
    def estimated(self) -> tuple[str, ...]:
        """Primitives that were guessed, in any of the counts."""
        counts = (self.forward, self.reverse, *([self.forward_mode] if self.forward_mode else []))
        return tuple(sorted({name for one in counts for name in one.estimated}))

    @cached_property
    def _nodes(self) -> dict[str, NodeCost]:
        return {node.id: node for node in self.nodes}

    def node(self, key: str) -> NodeCost:
        """What the node with this id or name costs; several results of one operation are counted at its first.

        Raises:
            UnknownNodeError: nothing is called so.
        """
        return self._nodes[self.graph.node(key).id]

    def scope(self, key: str) -> ScopeCost:
        """What everything inside a scope costs; the empty string is the whole function.

        Raises:
            UnknownNodeError: there is no such scope.
        """
        if not key:  # where a value has several consumers, JAX adds what they send back outside of any node
            back = self.reverse.operations - self.forward.operations
            return ScopeCost("", self.entries, self.forward.operations, back, self.kept)
        return self.among(key, (node.id for node in self.graph.members(self.graph.scope(key).id)))

    def among(self, name: str, ids: Iterable[str]) -> ScopeCost:
        """The same of any nodes, such as those of a box on the screen."""
        inside = frozenset(ids)
        costs = [self._nodes[id] for id in inside]
        sizes = sum(math.prod(self.graph.node(id).shape) for id in self.used(inside))
        return ScopeCost(
            name, sizes, *(sum(getattr(c, what) for c in costs) for what in ("forward", "backward", "kept"))
        )

    def used(self, ids: Collection[str]) -> tuple[str, ...]:
        """Ids of the parameters among some nodes, and of those that one of them reads."""
        return tuple(id for id in self.parameters if id in ids or not set(self.graph.consumers(id)).isdisjoint(ids))

    def __str__(self) -> str:
        rows = [
            ("forward pass", f"{self.forward.operations:,} operations"),
            (
                "reverse mode",
                f"{self.reverse.operations:,}, {_ratio(self.reverse.operations, self.forward.operations)}",
            ),
            ("forward mode", self._forward_mode()),
            (
                "written out",
                f"{approximate(self.written_out)}, one product for each of {approximate(self.expansion.paths)} paths",
            ),
            ("kept", f"{self.kept:,} bytes from the forward pass for the backward pass"),
            ("peak", f"{self.peak:,} bytes"),
        ]
        guesses = [f"Counted as one operation an entry: {', '.join(self.estimated)}."] if self.estimated else []
        head = f"{self.graph.name}: {self.entries:,} parameters"
        return "\n".join([head, *(f"  {name:<13} {text}" for name, text in rows), *guesses])

    def _forward_mode(self) -> str:
        if self.forward_mode is None:
            return "refused by a custom_vjp, which has a rule for reverse mode alone"
        return f"{self.forward_modes:,}, {self.forward_mode.operations:,} for each parameter"


def _ratio(number: int, base: int) -> str:
    return f"{number / base:.2f} × the forward pass" if base else "of a function that computes nothing"


def approximate(number: int) -> str:
    """A whole number, however large: ``1,234`` or ``3.1e250``."""
    if number < 10**12:
        return f"{number:,}"
    return f"{Decimal(number):.1e}".replace("e+", "e")


def cost(
    fun: Callable[..., Any], *args: Any, argnums: int | Sequence[int] = 0, has_aux: bool = False, **kwargs: Any
) -> Cost:
    """Count what a loss and its gradient cost.

    Args:
        fun: a loss, as for :func:`engine.value_and_grad`. It is traced, not run.
        *args: example arguments; ``jax.ShapeDtypeStruct`` will do.
        argnums: which positional arguments are the parameters.
        has_aux: whether ``fun`` returns ``(loss, aux)``.
        **kwargs: keyword arguments of ``fun``.

    Returns:
        A :class:`Cost`; ``print`` it for a table. The convention is that of :mod:`engine.operations`.

    Raises:
        TraceError: ``fun`` raised while it was traced.
        NotScalarError: ``fun`` doesn't return one real number.
        NotDifferentiableError: an argument, or something on the way from it, has no derivative.
    """
    traced = program(fun, args, kwargs)
    check_returned(traced, has_aux)
    return _Loss(traced, leaves_of(argnums, args, traced)).cost()


def operations(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Count:
    """Count the operations of one run of any function: it need not be a loss, nor have a derivative.

    Args:
        fun: a function of pytrees of arrays. It is traced, not run.
        *args: example arguments; ``jax.ShapeDtypeStruct`` will do.
        **kwargs: keyword arguments of ``fun``.

    Raises:
        TraceError: ``fun`` raised while it was traced.
    """
    return count(tally(program(fun, args, kwargs).block.jaxpr))


class _Loss:
    """A loss as a function of its parameters and of the rest, in two forms: as it is, and signed node by node."""

    def __init__(self, traced: Program, wanted: Sequence[int]) -> None:
        self.traced, self.wanted = traced, wanted
        self.arrays = traced.arguments.arrays
        self.places = [self.arrays.index(leaf) for leaf in wanted]
        self.parameters = tuple(traced.graph.inputs[place] for place in self.places)
        shapes = [_shape(var.aval) for var in traced.block.jaxpr.invars]
        self.chosen = [shapes[place] for place in self.places]
        self.rest = [shape for place, shape in enumerate(shapes) if place not in self.places]
        plan = resolve(traced.graph, Probe(what=()), self.parameters)
        self.tape = Tape(traced.block, traced.graph, plan, signed=True)

    def signed(self, chosen: list[Any], rest: list[Any]) -> Any:
        """The loss, each operation signed by its node."""
        return self.tape.run(self._together(chosen, rest), {})[0][0]

    def plain(self, chosen: list[Any], rest: list[Any]) -> Any:
        """The loss as it is."""
        return compat.jaxpr_outputs(self.traced.block.closed, self._together(chosen, rest))[0]

    def _together(self, chosen: list[Any], rest: list[Any]) -> list[Any]:
        given, others = dict(zip(self.places, chosen, strict=True)), iter(rest)
        return [given[place] if place in given else next(others) for place in range(len(self.arrays))]

    def cost(self) -> Cost:
        """All that there is to say."""
        graph, jaxpr = self.traced.graph, self.traced.block.jaxpr
        back = self._trace(self._both)
        results = 1 + len(self.chosen)
        both, kept = tally(back), residuals(back, results)
        return Cost(
            graph=graph,
            parameters=self.parameters,
            forward=count(tally(jaxpr)),
            reverse=count(both),
            forward_mode=self._forward_mode(),
            expansion=expand(jaxpr, self.places),
            residuals=kept,
            peak=peak(back, results),
            nodes=self._nodes(by_node(both), kept),
        )

    def _both(self, chosen: list[Any], rest: list[Any]) -> Any:
        """What ``jax.value_and_grad`` does, in its two halves, and what the first keeps for the second."""
        loss, pull = jax.vjp(lambda chosen: self.signed(chosen, rest), chosen)
        return loss, pull(jnp.ones_like(loss)), jax.tree.leaves(pull)

    def _trace(self, fun: Callable[..., Any]) -> Any:
        try:
            return jax.make_jaxpr(fun)(self.chosen, self.rest).jaxpr
        except (ValueError, NotImplementedError, TypeError) as error:
            first = str(error).strip().splitlines()[0]
            name = self.traced.graph.name
            raise NotDifferentiableError(f"{name} can't be differentiated: {type(error).__name__}: {first}") from error

    def _forward_mode(self) -> Count | None:
        def along(chosen: list[Any], rest: list[Any]) -> Any:
            return jax.jvp(lambda chosen: self.plain(chosen, rest), (chosen,), (chosen,))

        try:
            found = tally(self._trace(along))
        except NotDifferentiableError:
            return None
        return None if any(compat.refuses_forward_mode(primitive) for _, primitive in found) else count(found)

    def _nodes(self, both: Counter[str], kept: tuple[Residual, ...]) -> tuple[NodeCost, ...]:
        forward = by_node(tally(self._trace(self.signed)))
        bytes_: Counter[str] = Counter()
        for residual in kept:
            bytes_[residual.node] += residual.bytes if residual.kind == "computed" else 0
        ids = [node.id for node in self.traced.graph.nodes]
        return tuple(NodeCost(id, forward[id], both[id] - forward[id], bytes_[id]) for id in ids)


def _shape(aval: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=aval.weak_type)


# ---- what rematerialisation trades, and how costs grow ---------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Trade:
    """What a rematerialised form of a loss saves, and what it does again; each may be negative."""

    saved: int
    """Bytes of residuals that aren't kept."""
    peak: int
    """Bytes that less are alive at a time."""
    again: int
    """Operations that the backward pass does once more."""


def trade(plain: Cost, rematerialised: Cost) -> Trade:
    """What is saved and what is done again, between two forms of one loss (one of them with ``jax.checkpoint``)."""
    return Trade(
        plain.kept - rematerialised.kept,
        plain.peak - rematerialised.peak,
        rematerialised.reverse.operations - plain.reverse.operations,
    )


@dataclasses.dataclass(frozen=True)
class Growth:
    """The costs of one loss in several sizes."""

    sizes: tuple[int, ...]
    costs: tuple[Cost, ...]

    def series(self, what: Callable[[Cost], int]) -> tuple[int, ...]:
        """One cost, size by size."""
        return tuple(what(cost) for cost in self.costs)

    def exponent(self, what: Callable[[Cost], int]) -> float:
        """The power of the size that a cost grows with, between the two largest sizes: 1 linear, 2 quadratic."""
        first, last = self.series(what)[-2:]
        return (math.log(last) - math.log(first)) / math.log(self.sizes[-1] / self.sizes[-2])


def growth(family: Callable[[int], tuple[Callable[..., Any], tuple[Any, ...]]], sizes: Sequence[int]) -> Growth:
    """Count one loss in several sizes.

    Args:
        family: for a size (a depth, a width, a batch) the loss and its arguments.
        sizes: at least two, the largest last.
    """
    return Growth(tuple(sizes), tuple(cost(fun, *args) for fun, args in map(family, sizes)))

"""The proof: the tape against JAX and against central differences.

Three independent ways to the same number. JAX differentiates the untouched function in its arguments. It differentiates
the program with something added to a node, in that something: no tap is involved. And the loss is simply evaluated a
little to either side.
"""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine import fusing, scaling
from engine.differences import Bracket, settled
from engine.errors import EngineError, NotDifferentiableError
from engine.flow import has_gradient
from engine.grad import value_and_grad
from engine.graph import Graph, Node
from engine.names import function_name
from engine.numbers import spoilt
from engine.reading import Reading
from engine.scaling import Factor
from engine.tape import Sinks, Tape
from engine.text import table
from engine.trace import Program, explained, in_floats, is_array, program, trace

Array = Any

GRADIENT_TOLERANCE = 2000.0
"""How many machine epsilons a gradient may be off, relative to its scale: rounding in another order."""

NUMERIC_TOLERANCE = 0.05
"""How far a central difference may be off, relative to the derivative; it rounds much more."""

KINKED = "the loss bends too sharply within the step, as at a kink: differences can't tell"
DECLARED = "declared: a stop_gradient or a rule of its own lies ahead"
NOISE = " Below noise: a step there moves the loss too little, beside its rounding, for differences to tell."

ROUNDINGS = 6
"""How often rounding is imitated to learn how far it moves the loss."""


@dataclasses.dataclass(frozen=True)
class NodeCheck:
    """How well the gradient of one node agrees."""

    id: str
    name: str
    gradient_error: float
    """Against JAX's own derivative, relative to the largest entry (or, where terms cancel, to their rounding)."""
    sum_error: float
    """The sum of the contributions against the gradient, likewise."""
    numeric_error: float | None
    """Along one random direction, against the central difference; ``None`` where that is below what floats resolve."""
    tolerance: float
    declared: bool = False
    """Whether a ``stop_gradient`` or a rule of its own lies ahead: then JAX's gradient is what the program declares,
    and need not be the slope that differences see."""
    kinked: bool = False
    """Whether the differences settle on no slope, as where a kink lies within their steps: then they can't tell."""

    @property
    def numeric_ok(self) -> bool:
        """Whether the central difference agrees, as far as floats resolve it."""
        return self.numeric_error is None or self.numeric_error <= NUMERIC_TOLERANCE

    @property
    def ok(self) -> bool:
        """Whether everything agrees that must."""
        exact = self.gradient_error <= self.tolerance and self.sum_error <= self.tolerance
        return exact and (self.numeric_ok or self.kinked or self.declared)

    @property
    def verdict(self) -> str:
        """A mark for a table: nothing where all is well."""
        if not self.ok:
            return "✗"
        if self.numeric_ok:
            return ""
        return KINKED if self.kinked else DECLARED


@dataclasses.dataclass(frozen=True)
class Report:
    """The proof for one function at one point."""

    name: str
    value_error: float
    """The loss against that of the untouched function, relative."""
    argument_error: float
    """The gradients returned against ``jax.grad`` of the untouched function, relative; the worst of them."""
    nodes: tuple[NodeCheck, ...]
    tolerance: float
    spoilt: str = ""
    """Of a loss that isn't a finite number: what it is, and what made it so."""

    @property
    def ok(self) -> bool:
        """Whether there is a loss to compare, and everything agrees within tolerance."""
        if self.spoilt:
            return False
        same = self.value_error <= self.tolerance and self.argument_error <= self.tolerance
        return same and all(node.ok for node in self.nodes)

    @property
    def worst(self) -> NodeCheck | None:
        """The node that agrees least."""
        return max(self.nodes, key=lambda node: max(node.gradient_error, node.sum_error), default=None)

    def node(self, key: str) -> NodeCheck:
        """The check of the node with this id or name."""
        return next(node for node in self.nodes if key in (node.id, node.name))

    def __repr__(self) -> str:
        return f"Report({self._summary})"

    def _repr_html_(self) -> str:
        """A row for each node, for a notebook."""
        head = ("node", "vs jax.grad", "vs contributions", "vs differences", "")
        return table(self._summary, head, [[node.name, *_errors(node), node.verdict] for node in self.nodes])

    @property
    def _summary(self) -> str:
        if self.spoilt:
            return f"{self.name} can't be checked here: {self.spoilt}"
        verdict = "agrees" if self.ok else "DOES NOT AGREE"
        unseen = any(node.numeric_error is None for node in self.nodes)
        return (
            f"{self.name} {verdict}: {len(self.nodes)} nodes; loss off by {self.value_error:.1e}, gradients of the "
            f"arguments by {self.argument_error:.1e} (relative).{NOISE if unseen else ''}"
        )

    def __str__(self) -> str:
        if self.spoilt:
            return self._summary
        width = max([len(node.name) for node in self.nodes] + [4])
        head = f"{'node':<{width}}  vs jax.grad  vs contributions  vs differences"
        return "\n".join([head, *(_row(node, width) for node in self.nodes), self._summary])


def _errors(node: NodeCheck) -> tuple[str, str, str]:
    numeric = "below noise" if node.numeric_error is None else f"{node.numeric_error:.1e}"
    return f"{node.gradient_error:.1e}", f"{node.sum_error:.1e}", numeric


def _row(node: NodeCheck, width: int) -> str:
    exact, total, numeric = _errors(node)
    return f"{node.name:<{width}}  {exact:>11}  {total:>16}  {numeric:>14}  {node.verdict}".rstrip()


def check(fun: Callable[..., Any], *args: Any, has_aux: bool = False, seed: int = 0, **kwargs: Any) -> Report:
    """Check every gradient that the engine reads from a function at a point.

    Args:
        fun: a loss, as for :func:`engine.value_and_grad`.
        *args: where; the first argument is differentiated (of a model what can be, see :func:`engine.trace.in_floats`),
            every other floating-point value is checked as well.
        has_aux: whether ``fun`` returns ``(loss, aux)``.
        seed: of the random directions.
        **kwargs: keyword arguments of ``fun``.

    Returns:
        A :class:`Report`; ``print`` it for a table.

    Raises:
        EngineError: what :func:`engine.value_and_grad` raises, or the first argument is nothing to differentiate.
    """
    fun, args = in_floats(fun, args)
    name = function_name(fun)
    static = [leaf for leaf in jax.tree.leaves(args[:1]) if not is_array(leaf)]
    if static:
        raise NotDifferentiableError(
            f"{name} can't be differentiated in its first argument, which holds {static[0]!r}: only floating-point "
            "arrays have gradients. Put what is to be differentiated first."
        )
    graph = trace(fun, *args, **kwargs)
    with explained(name):
        mine = fusing.compiled(value_and_grad(fun, has_aux=has_aux), graph, *args, **kwargs)
        exact = fusing.compiled(jax.value_and_grad(fun, has_aux=has_aux), graph, *args, **kwargs)
    report = Checker.of(fun, (args, kwargs), mine[2]).report((args, kwargs), mine, exact, seed)
    return dataclasses.replace(report, spoilt=spoilt(mine[2]))


@dataclasses.dataclass(frozen=True, eq=False)
class Checker:
    """A program as a function of what is added to each node; compiled once, for many steps."""

    loss: Callable[[list[Array], Sinks], Array]
    slope: Callable[[list[Array], Sinks, Factor], Sinks]
    sinks: Sinks
    program: Program
    nodes: tuple[str, ...]
    """Those that are checked; ``slope`` returns these alone."""

    @classmethod
    def of(
        cls, fun: Callable[..., Any], given: tuple[Any, Any], reading: Reading, nodes: frozenset[str] | None = None
    ) -> Checker:
        """The same program as the reading's, with additions in place of taps; all nodes are checked, or these."""
        traced = program(fun, *given)
        plan = reading.plan  # each is checked by itself
        plan = dataclasses.replace(plan, values=frozenset(), grads=plan.graded, uses=frozenset(), how="full")
        tape = Tape(traced.block, traced.graph, plan, tap=operator.add)

        def loss(arrays: list[Array], sinks: Sinks) -> Array:
            return tape.run(arrays, sinks)[0][0]

        def slope(arrays: list[Array], sinks: Sinks, factor: Factor) -> Sinks:
            chosen = {id: sinks[id] for id in checked}
            return scaling.value_and_grad(lambda chosen: loss(arrays, sinks | chosen), 0, factor)(chosen)[1]

        sinks = tape.sinks()
        checked = tuple(id for id in sinks if nodes is None or id in nodes)
        return cls(fusing.jit(loss, traced.graph), fusing.jit(slope, traced.graph), sinks, traced, checked)

    @np.errstate(invalid="ignore")  # NaN and infinities may be what is compared
    def report(
        self, given: tuple[Any, Any], mine: tuple[Any, Any, Reading], exact: tuple[Any, Any], seed: int = 0
    ) -> Report:
        """The proof at one point.

        Args:
            given: ``(args, kwargs)``.
            mine: what the engine's ``value_and_grad`` returned there.
            exact: what ``jax.value_and_grad`` of the untouched function returned there.
            seed: of the random directions.
        """
        leaves = jax.tree.leaves(given)
        arrays = [jnp.asarray(leaves[index]) for index in self.program.arguments.arrays]
        loss, arguments = (
            max(jax.tree.leaves(jax.tree.map(relative_error, *pair)), default=0.0)
            for pair in zip(mine[:2], exact, strict=True)
        )
        reading = mine[2]
        point = _Point(self, arrays, reading, np.random.default_rng(seed))
        declared = _before_declarations(reading.graph)
        nodes = tuple(point.check(id, id in declared) for id in self.nodes)
        return Report(reading.graph.name, loss, arguments, nodes, point.tolerance)


class _Point:
    """Where a program is checked: the slopes there, and how far rounding moves them."""

    def __init__(self, checker: Checker, arrays: list[Array], reading: Reading, rng: np.random.Generator) -> None:
        self.checker, self.arrays, self.reading, self.rng = checker, arrays, reading, rng
        self.lost = _lost(checker.program, reading.graph)
        self.tolerance = _tolerance(reading.graph)
        sinks = checker.sinks
        roundings = [_rounding(sinks, reading, rng) for _ in range(ROUNDINGS)]
        self.exact, self.rough = (checker.slope(arrays, nudge, reading.factor) for nudge in (sinks, roundings[0]))
        self.here, *moved = (float(checker.loss(arrays, nudge)) for nudge in (sinks, *roundings))
        self.noise = max(abs(loss - self.here) for loss in moved) + abs(self.here) * _epsilon(jnp.float32)

    def check(self, id: str, declared: bool) -> NodeCheck:
        """One node's gradient against the slopes and the differences."""
        gradient = np.ma.filled(_array(self.reading.grads[id]), 0)
        exact, rough = np.asarray(self.exact[id]), np.asarray(self.rough[id])
        floor = 10 * largest(rough - exact) / self.tolerance
        node = self.reading.graph.node(id)
        total = _total(self.reading, node)
        sums = float("inf") if id in self.lost else relative_error(total, gradient, floor)
        errors = relative_error(gradient, exact, floor), sums
        numeric, kinked = self._numeric(id, gradient)
        return NodeCheck(id, node.name, *errors, numeric, self.tolerance, declared, kinked)

    def _numeric(self, id: str, gradient: Array) -> tuple[float | None, bool]:
        """Relative error of the slope along a random direction, by central differences: the best of three steps. And
        where it is large, whether that is no fault of the slope's.
        """
        if not gradient.size or not np.isfinite(gradient.astype(np.complex128)).all() or np.iscomplexobj(gradient):
            return None, False
        direction = self.rng.choice([-1.0, 1.0], size=gradient.shape)
        slope = _along(gradient, direction)
        seen = self._around(id, direction, slope, _epsilon(gradient.dtype) ** np.array([1 / 4, 1 / 3, 1 / 2]))
        error = min((abs(bracket.slope - slope) / abs(slope) for bracket in seen), default=None)
        if error is None or error <= NUMERIC_TOLERANCE:
            return error, False
        steepest = np.where(
            gradient == 0, direction, np.sign(gradient.astype(np.float64))
        )  # where rounding and bends matter least
        return error, not any(self._wrong(id, gradient, towards) for towards in (direction, steepest))

    def _wrong(self, id: str, gradient: Array, direction: Array) -> bool:
        """Whether the differences along a direction settle on another slope than the gradient's."""
        slope, epsilon = _along(gradient, direction), _epsilon(gradient.dtype)
        halved = epsilon ** (1 / 4) * 2.0 ** np.arange(2, math.log2(epsilon) / 4, -1)
        return settled(self._around(id, direction, slope, halved), slope, NUMERIC_TOLERANCE)

    def _around(self, id: str, direction: Array, slope: float, steps: Array) -> list[Bracket]:
        """The loss to either side, by each step that rounding leaves standing."""
        usable = (step for step in steps if abs(slope) * step > 100 * self.noise)
        found = [
            Bracket(step, self._loss_at(id, -direction * step), self.here, self._loss_at(id, direction * step))
            for step in usable
        ]
        return [bracket for bracket in found if np.isfinite(bracket.slope)]

    def _loss_at(self, id: str, nudge: Array) -> float:
        sinks = self.checker.sinks
        return float(self.checker.loss(self.arrays, sinks | {id: jnp.asarray(nudge, sinks[id].dtype)}))


def _along(gradient: Array, direction: Array) -> float:
    return float(np.sum(gradient.astype(np.float64) * direction))


def _tolerance(graph: Graph) -> float:
    """For the coarsest numbers in the program: 16-bit floats agree to their own precision only."""
    epsilons = [_epsilon(jnp.dtype(node.dtype)) for node in graph.nodes if has_gradient(node)]
    return min(GRADIENT_TOLERANCE * max(epsilons, default=0.0), 0.1)


def _rounding(sinks: Sinks, reading: Reading, rng: np.random.Generator) -> Sinks:
    """What rounding might add to every node: an epsilon of its value, up or down.

    Where terms cancel, what is left of a gradient is rounding. How much that is shows in how it changes with this.
    """
    found = {}
    for id, sink in sinks.items():
        signs = rng.choice([-1.0, 1.0], size=sink.shape)
        value = np.asarray(reading.values.get(id, sink))
        size = np.where(np.isfinite(value), np.abs(value.astype(np.complex128)), 0)
        found[id] = jnp.asarray(signs * size * _epsilon(sink.dtype), sink.dtype)
    return found


_DECLARED = frozenset({"stop_gradient", "linear_call", "cholesky", "eigh"})
"""Their rules state a gradient that differences needn't see; the last two take their operand as symmetric."""


def _before_declarations(graph: Graph) -> frozenset[str]:
    """Nodes from which some path leads through a ``stop_gradient`` or a custom rule."""
    found: set[str] = set()
    for node in reversed(graph.nodes):
        if node.id in found or node.kind == "custom" or node.op in _DECLARED:
            found.update(graph.sources(node.id))
    return frozenset(found)


def _lost(program: Program, graph: Graph) -> frozenset[str]:
    """Nodes of which the program makes a use that the graph doesn't have.

    Where one use is left, what it sends back is the whole gradient, so that no sum would tell.
    """
    drawn = {(edge.source, edge.target) for edge in graph.edges}
    used = ((source, use) for source, use in program.block.uses() if isinstance(source, str) and use in graph)
    return frozenset(source for source, use in used if (source, use) not in drawn)


def _total(reading: Reading, node: Node) -> Array:
    """The contributions of a node's consumers, added up; a node that nobody uses gets zeros."""
    try:
        parts = [np.ma.filled(_array(part), 0) for part in reading.fetched("contributions", node.id).values()]
    except EngineError:  # not executed: nothing is sent
        parts = []
    return sum(parts, start=np.zeros_like(_array(reading.grads[node.id])))


def _epsilon(dtype: Any) -> float:
    return float(jnp.finfo(dtype).eps)


def _array(value: Array) -> Any:
    return value if isinstance(value, np.ma.MaskedArray) else np.asarray(value)


def relative_error(mine: Array, wanted: Array, floor: float = 0.0) -> float:
    """Largest difference, relative to the largest entry or to ``floor`` if that is larger.

    NaN and infinities must stand in the same places.
    """
    if not jnp.issubdtype(jnp.result_type(mine), jnp.inexact):
        return 0.0
    a, b = (np.asarray(array).astype(np.complex128) for array in (mine, wanted))
    if a.shape != b.shape or not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return float("inf")
    scale = max(largest(a), largest(b), floor)
    return largest(a - b) / scale if scale > 0 else 0.0


def largest(array: Array) -> float:
    """Magnitude of the largest finite entry; 0 if there is none."""
    sizes = np.abs(np.asarray(array).astype(np.complex128))
    return float(np.max(sizes, where=np.isfinite(sizes), initial=0.0))

"""What one watched step returned: every value, gradient and contribution asked for, as a pytree."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine import stats
from engine.errors import EngineError, NoGradientError, NotExecutedError, UnknownNodeError
from engine.flow import blocked, has_gradient
from engine.graph import OUTPUT, Graph, Node, shape_text
from engine.packing import Layout, unpack
from engine.probe import Plan, use
from engine.sources import Key, Sources, recorded, said_again
from engine.text import MOST, short, table

Array = Any

_NOTHING = stats.measure(np.zeros(1), np)
_ZERO = ("rms", "l2", "mean", "std", "min", "max")


@dataclasses.dataclass(frozen=True)
class Outline:
    """What of a reading is no array: the same for every step of a compiled program."""

    graph: Graph
    plan: Plan
    layout: Layout = ()

    @cached_property
    def sources(self) -> Sources:
        """Whose rows of statistics are a node's."""
        return Sources(self.graph, frozenset(key for key, _ in self.layout), dict(self.plan.handed), self.plan.given)


class Reading:
    """Values and gradients of the nodes of one step (or, out of ``scan`` and ``vmap``, of many: their axes come first).

    Keys are ids (``%7``) or names (``dense_1/tanh``). Inside a scan an array has the iterations in front, position
    ``t`` belonging to ``xs[t]``. A value in a branch that some iterations didn't take is a NumPy masked array.
    """

    __slots__ = ("__dict__", "outline", "parts")  # few: small nets make 10,000 a second

    def __init__(self, outline: Outline, parts: dict[str, Any]) -> None:
        """``parts``: what left ``whole`` or ``packed``, ``branches`` taken, ``counts`` of iterations, a ``factor``."""
        self.outline, self.parts = outline, parts

    @classmethod
    def of(cls, outline: Outline, factor: Array | None = None, **parts: dict[Any, Array]) -> Reading:
        """A reading of the parts that have arrays."""
        scaled = {} if factor is None else {"factor": factor}
        return cls(outline, {name: arrays for name, arrays in parts.items() if arrays} | scaled)

    def over(self, graph: Graph) -> Reading:
        """The same numbers, of nodes that go by other names."""
        return Reading(dataclasses.replace(self.outline, graph=graph), self.parts)

    def without(self, *names: str) -> Reading:
        """The same without some of its parts."""
        return Reading(self.outline, {name: part for name, part in self.parts.items() if name not in names})

    @property
    def graph(self) -> Graph:
        """The graph that was watched."""
        return self.outline.graph

    @property
    def plan(self) -> Plan:
        """What was asked for."""
        return self.outline.plan

    @property
    def factor(self) -> Array | None:
        """What the loss was multiplied by on the way (:mod:`engine.scaling`); gradients are divided by it again."""
        return self.parts.get("factor")

    @cached_property
    def values(self) -> dict[str, Array]:
        """Whole arrays by id; on the host where they are small. Empty where statistics were asked for."""
        return self._arrays("value")

    @cached_property
    def grads(self) -> dict[str, Array]:
        """The same of gradients."""
        return self._arrays("grad")

    @cached_property
    def uses(self) -> dict[str, Array]:
        """The same of contributions, by the key of the use (:func:`engine.probe.use`)."""
        return self._arrays("use")

    def __repr__(self) -> str:
        values = len(self.plan.values) + sum(what == "value" for (what, _), _ in self.plan.again)
        return f"Reading({self.graph.name}: {values} values, {len(self.plan.graded)} gradients, {self.plan.how})"

    def _repr_html_(self) -> str:
        """Every node with the size of its value and of its gradient, for a notebook."""
        nodes = self.graph.nodes
        rows = [[node.name, node.op, shape_text(node), *self._sizes(node)] for node in nodes[:MOST]]
        rows += [[""]] * (len(nodes) - len(rows))  # counted, but never measured
        head = ("node", "operation", "shape", "value, rms", "gradient, rms")
        return table(
            f"Reading of {self.graph.name}", head, rows, "reading.value(name) and reading.grad(name) are arrays."
        )

    def value(self, key: str) -> Array:
        """The forward value of a node.

        Raises:
            UnknownNodeError: no such node, or the probe didn't record it.
            NotExecutedError: it lies in a branch that was not taken.
        """
        return _as_jax(self.fetched("value", key))

    def grad(self, key: str) -> Array:
        """The gradient of the loss with respect to a node, in the value's shape; zeros where nothing flows.

        Raises:
            UnknownNodeError: no such node, or the probe didn't record it.
            NotExecutedError: it lies in a branch that was not taken.
            NoGradientError: it reads forward only, or its gradient would have to pass through something that does.
        """
        return _as_jax(self.fetched("grad", key))

    def contributions(self, key: str) -> dict[str, Array]:
        """What each consumer of a node sends back to it, over all its operands; together they are its gradient.

        Returns:
            A dictionary by the consumer's id. The loss has one consumer more, ``%output``, whose contribution is the
            seed 1. A consumer that nothing flows through sends zeros.
        """
        return {consumer: _as_jax(part) for consumer, part in self.fetched("contributions", key).items()}

    def fetched(self, what: str, key: str) -> Any:
        """What :meth:`value`, :meth:`grad` or :meth:`contributions` returns, as it came from the step: of small arrays,
        which are on the host already, NumPy's.
        """
        node = self.graph.node(key)
        self._need_full(node, what)
        if what == "contributions":
            return {consumer: self._masked(node, part) for consumer, part in self._contributions(node).items()}
        return self._masked(node, self._value(node) if what == "value" else self._grad(node))

    def stats(self, key: str) -> dict[str, dict[str, Any]]:
        """Statistics over all entries of a node: ``{"value": {...}, "grad": {...}}``.

        Each has ``rms l2 mean std min max zero_fraction nonfinite`` (``nonfinite`` is a count). A node that reads
        forward only has no ``"grad"``; one of keys or references has neither.
        """
        node = self.graph.node(key)
        mask = self.executed(key)
        if mask is not None and not isinstance(mask, jax.core.Tracer) and not np.any(mask):
            raise NotExecutedError(self._not_executed(node))
        found = {}
        for what in ("value", "grad"):
            kept = self._kept(what, node)
            if kept is not None:
                found[what] = self._stats(node, *kept)
        if "grad" not in found and "value" in found and not has_gradient(node):
            found["grad"] = dict(found["value"]) | dict.fromkeys(_ZERO, 0.0) | {"zero_fraction": 1.0, "nonfinite": 0}
        if not found and node.kind != "reference" and not node.dtype.startswith("key"):
            raise UnknownNodeError(f"This reading didn't record {node.name}; its probe left it out.")
        return found

    def rows(self, key: str, what: str) -> Array:
        """Statistics of each iteration of the loops around a node: ``(*iterations, 7)``, as :data:`engine.stats.ROW`.

        Args:
            key: id or name of the node.
            what: ``"value"`` or ``"grad"``.
        """
        kept = self._kept(what, self.graph.node(key))
        if kept is None:
            raise UnknownNodeError(f"This reading has no {what} of {key}; its probe left it out, or there is none.")
        return kept[0]

    def executed(self, key: str) -> Array | None:
        """Whether a node ran: ``None`` if it always does, else a boolean for each iteration of the loops around it."""
        node = self.graph.node(key)
        mask = None
        for place in node.places:
            ran = None
            if place.kind == "branch":
                ran = self._part("branches")[place.owner] == place.size
            elif place.kind == "while" and place.owner in self._part("counts"):
                ran = self._part("counts")[place.owner] > 0
            if ran is not None:
                mask = ran if mask is None else _widen(mask, ran.ndim) & _widen(ran, mask.ndim)
        return mask

    def branch(self, key: str) -> Array:
        """Index of the branch that a cond took; with one entry for each iteration inside a scan."""
        return self._part("branches")[self.graph.node(key).equation]

    def iterations(self, key: str) -> Array:
        """How many times the body of a while_loop ran."""
        return self._part("counts")[self.graph.node(key).equation]

    def _sizes(self, node: Node) -> list[str]:
        """Root mean square of value and gradient as text; why there is none in a word."""
        try:
            found = self.stats(node.id)
        except NotExecutedError:
            return ["not executed", ""]
        except EngineError:
            return ["not watched", ""]
        return [_spanned(found[what]["rms"]) if what in found else "" for what in ("value", "grad")]

    # ---- how it is kept -------------------------------------------------------------------------------------------

    def _part(self, name: str) -> dict[Any, Array]:
        return self.parts.get(name, {})

    def _arrays(self, what: str) -> dict[str, Array]:
        small = self.outline.layout if self.plan.how == "full" else ()
        found = {id: array for (kind, id), array in self._part("whole").items() if kind == what}
        found |= {id: part.cut(self._vectors[part.vector]) for (kind, id), part in small if kind == what}
        return found | said_again(self.graph, self.plan.again, what, found)

    @cached_property
    def _xp(self) -> ModuleType:
        """What its packed arrays are read with."""
        return jnp if any(isinstance(vector, jax.core.Tracer) for vector in self._part("packed").values()) else np

    @cached_property
    def _vectors(self) -> dict[str, Array]:
        return self._part("packed") if self._xp is jnp else jax.device_get(self._part("packed"))

    def _need_full(self, node: Node, what: str) -> None:
        if self.plan.how != "full":
            raise UnknownNodeError(
                f"This reading holds statistics, not arrays: write reading.stats({node.name!r}), "
                f"or watch with probe='full' to read the {what}."
            )

    def _value(self, node: Node) -> Array:
        if node.kind in ("shared", "slice"):  # what a loop passes in unchanged is kept once, outside
            return self._passed(node)
        if node.id not in self.values:
            raise UnknownNodeError(self._missing(node, "value"))
        return self.values[node.id]

    def _passed(self, node: Node) -> Array:
        (source,) = node.operands
        if not isinstance(source, str):
            return jnp.full((*node.iterations, *node.shape), np.asarray(source.value))
        outer = self.graph.node(source)
        array = self._value(outer)
        if node.kind == "slice" or node.places[-1].kind == "while":  # nothing is stacked by a while_loop
            return array
        axis = array.ndim - len(outer.shape)
        stacked = jnp.expand_dims(array, axis)
        return jnp.broadcast_to(stacked, (*array.shape[:axis], node.iterations[-1], *array.shape[axis:]))

    def _grad(self, node: Node) -> Array:
        if node.note:
            raise NoGradientError(f"{node.name} has no gradient to read. {node.note}")
        if not has_gradient(node):
            return self._zeros(node)
        if node.id not in self.grads:
            self._explain_missing(node)
        return self.grads[node.id]

    def _explain_missing(self, node: Node) -> None:
        for equation in sorted(self.plan.cut):
            if node.id in blocked(self.graph, {equation}):
                op = self.graph.node(equation)
                reason = op.note or f"JAX has no reverse-mode derivative for {op.op}."
                raise NoGradientError(
                    f"{node.name} has no gradient to read: it would come back through {op.name} ({op.source}). {reason}"
                )
        raise UnknownNodeError(self._missing(node, "gradient"))

    def _contributions(self, node: Node) -> dict[str, Array]:
        total = self._grad(node)
        consumers = self.graph.consumers(node.id)
        if len(consumers) == 1:
            return {consumers[0]: total}
        found = {}
        for consumer in consumers:
            sent = jnp.ones_like(total) if consumer == OUTPUT else self.uses.get(use(node.id, consumer))
            if sent is None and has_gradient(node):
                raise UnknownNodeError(f"This reading has no contributions of {node.name}; its probe left them out.")
            found[consumer] = total if sent is None else sent
        return found

    def _zeros(self, node: Node) -> Array:
        source = recorded(self.graph, node)
        full = self.plan.how == "full" and source in self.values
        shape = self._value(node).shape if full else (*node.iterations, *node.shape)
        return jnp.zeros(shape, jnp.float32)

    def _masked(self, node: Node, array: Array) -> Array:
        mask = self.executed(node.id)
        if mask is None or isinstance(mask, jax.core.Tracer) or np.all(mask):
            return array
        if not np.any(mask):
            raise NotExecutedError(self._not_executed(node))
        hidden = np.broadcast_to(~np.asarray(_widen(mask, array.ndim)), array.shape)
        return np.ma.MaskedArray(np.asarray(array), hidden)

    def _kept(self, what: str, node: Node) -> tuple[Array, Node] | None:
        """Rows of statistics that are this node's, and the node that they were kept for."""
        if self.plan.how == "stats":
            if what == "grad" and node.id in self.plan.still:
                return self._nothing(node), node
            source = self.outline.sources.of(what, node)
            rows = self._rows_of((what, source))
            return None if rows is None else (rows, self.graph.node(source))
        source = recorded(self.graph, node) if what == "value" else node.id
        array = (self.values if what == "value" else self.grads).get(source)
        if array is None or jnp.issubdtype(array.dtype, jax.dtypes.extended):
            return None
        array = self._value(node) if what == "value" else array
        xp: ModuleType = jnp if isinstance(array, jax.core.Tracer) else np
        return stats.measure(xp.asarray(array), xp, array.ndim - len(node.shape)), node

    def _rows_of(self, key: Key) -> Array | None:
        """Rows of a node that was measured, or whose iterations hand on what was."""
        if (handed := self.outline.sources.handed.get(key)) is None:
            return self._rows.get(key)
        rows = [self._rows_of((key[0], id)) for id in handed.of]
        found = [part for part in rows if part is not None]
        return handed.rows(found, self._xp) if len(found) == len(rows) else None

    def _nothing(self, node: Node) -> Array:
        """Rows of statistics of zeros."""
        one = next(iter(self._part("packed").values()), np.zeros(0))
        return self._xp.broadcast_to(_NOTHING, (*one.shape[:-1], *node.iterations, stats.WIDTH))

    @cached_property
    def _rows(self) -> dict[Key, Array]:
        return unpack(self._vectors, self.outline.layout, self._xp)

    def _stats(self, node: Node, rows: Array, kept: Node) -> dict[str, Any]:
        """Statistics of a node over the loops around it, from rows that are kept for the node ``kept``."""
        xp: ModuleType = jnp if isinstance(rows, jax.core.Tracer) else np
        loops, mask = kept.iterations, self.executed(kept.id)
        entries, own = map(self.outline.sources.entries, (node, kept))
        if own and not entries:  # a loop that never runs shares it among no iterations
            return dict(stats.named(stats.measure(np.zeros(0, np.float32), np), 0))
        if mask is None and not loops:
            whole, ran = (rows if xp is jnp else rows.astype(np.float64)), 1
        else:
            batch = rows.shape[: rows.ndim - 1 - len(loops)]
            weights, ran = None, 1
            if mask is not None:
                weights = xp.ones(rows.shape[:-1], bool) & _widen(xp.asarray(mask), rows.ndim - 1)
                weights = weights.reshape((*batch, -1))
                ran = weights.sum(-1) / max(weights.shape[-1], 1)
            whole = stats.combine(rows.reshape((*batch, -1, stats.WIDTH)), weights, xp)
        if entries > own:  # it repeats each of the entries that were measured
            whole = whole * xp.asarray([1] * (stats.WIDTH - 1) + [entries // max(own, 1)])
        return dict(stats.named(whole, entries * ran))

    def _missing(self, node: Node, what: str) -> str:
        if any(place.kind in ("custom", "while") for place in node.places) and self.plan.how == "full":
            return (
                f"The {what} of {node.name} was not recorded: the body it lies in has side effects, or was not watched."
            )
        return f"This reading has no {what} of {node.name}; its probe left it out."

    def _not_executed(self, node: Node) -> str:
        return f"{node.name} was not executed: this step took another branch around it (or a loop that ran zero times)."


def _as_jax(array: Array) -> Array:
    """An array as JAX's, unless it is masked or would lose digits: 64 bits, read where they aren't enabled."""
    if isinstance(array, np.ma.MaskedArray):
        return array
    found = jnp.asarray(array)
    return found if found.dtype == array.dtype else array


def _spanned(size: Array) -> str:
    """A number, or the least and the largest of many."""
    if isinstance(size, jax.core.Tracer):
        return "traced"
    each = np.asarray(size)
    ends = (each.min(), each.max()) if each.size else ()
    return " to ".join(dict.fromkeys(short(float(end)) for end in ends))


def _widen(mask: Array, ndim: int) -> Array:
    """The mask with axes of length 1 behind it, up to ``ndim`` axes."""
    return mask.reshape((*mask.shape, *[1] * (ndim - mask.ndim)))


jax.tree_util.register_pytree_node(
    Reading, lambda reading: ((reading.parts,), reading.outline), lambda outline, given: Reading(outline, *given)
)

"""What if this number were another one: the whole pass again, forward and backward, with some entries changed.

A changed argument is that argument: the gradients are those at the new place. A changed intermediate value is what the
rest of the program is told, as ``jnp.where(mask, values, computed)``: what arrives at it is read in full, and of that
the entries that were changed send nothing further back, because nothing before them matters to the loss any more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine import fusing
from engine.check import largest
from engine.errors import EngineError, NoGradientError, NotExecutedError, UnknownNodeError
from engine.grad import Asked, run
from engine.graph import Graph, Node
from engine.magnitudes import double
from engine.numbers import Numbers
from engine.probe import Probe, as_probe
from engine.reading import Reading
from engine.scaling import Factor
from engine.tape import Override
from engine.trace import Program, program

Array = Any


class WhatIfError(EngineError, ValueError):
    """What should be changed can't be, or not so."""


@dataclasses.dataclass(frozen=True, eq=False)
class Change:
    """Other numbers for some entries of a node."""

    node: str
    """Its id or name."""
    mask: Array
    """Which entries: booleans that broadcast to the shape in which the node reads, iterations of loops in front."""
    values: Array
    """The numbers that stand there; they broadcast likewise. Those where the mask is false don't matter."""


def put(graph: Graph, key: str, index: Any, values: Any) -> Change:
    """Other numbers at an index of a node: ``put(graph, "w", (0, 2), 1.5)``; slices and ``...`` are indices too.

    Raises:
        UnknownNodeError: no such node.
        WhatIfError: no such entry, or another shape than what stands there.
    """
    node = graph.node(key)
    shape = _shape(node)
    mask, given = np.zeros(shape, bool), np.zeros(shape, jnp.dtype(node.dtype))
    try:
        mask[index] = True
        given[index] = values
    except (IndexError, ValueError) as error:
        raise WhatIfError(
            f"{node.name} reads as {node.dtype}{list(shape)}; {index!r} there can't be set: {error}."
        ) from None
    return Change(node.id, mask, given)


def ablate(graph: Graph, key: str, unit: int, axis: int = -1) -> Change:
    """A unit switched off: zero at one position of an axis, on the whole batch and in every iteration.

    Args:
        graph: the traced function.
        key: id or name of the activation.
        unit: which column of it.
        axis: where the units are, counted from the back.

    Raises:
        UnknownNodeError: no such node.
        WhatIfError: it has no such unit.
    """
    if axis >= 0:
        raise WhatIfError(f"axis={axis}: units are counted along an axis from the back; write axis=-1 for the last.")
    return put(graph, key, (..., unit, *[slice(None)] * (-1 - axis)), 0)


@dataclasses.dataclass(frozen=True, eq=False)
class Editor:
    """A function whose nodes can be changed, compiled once."""

    graph: Graph
    nodes: tuple[str, ...]
    """Ids of the nodes that can be changed."""
    program: Program
    compiled: Callable[[list[Array], dict[str, Override], Factor], tuple[Any, Any, Reading]]
    factor: Factor = None
    """What the loss is multiplied by on the way (:mod:`engine.scaling`)."""

    def __call__(self, args: tuple[Any, ...], *changes: Change, **kwargs: Any) -> tuple[Any, Any, Reading]:
        """The pass with these changes; with none, the pass as it is: what to compare with, to the last bit.

        Args:
            args: the function's positional arguments, of the shapes that the editor was made for.
            *changes: of one node the later one wins where two meet.
            **kwargs: the function's keyword arguments.

        Returns:
            ``(value, grads, reading)`` as of :func:`engine.value_and_grad`; the reading is of this editor's graph.

        Raises:
            WhatIfError: a change is of another node, or of another shape, or the arguments are.
        """
        arrays = self._arrays(args, kwargs)
        overrides = {id: self._blank(id) for id in self.nodes}
        for change in changes:
            id = self.graph.node(change.node).id
            if id not in overrides:
                names = ", ".join(self.graph.node(own).name for own in self.nodes)
                raise WhatIfError(f"This editor was made for {names}, not for {self.graph.node(id).name}.")
            overrides[id] = _merged(overrides[id], change, self.graph.node(id))
        return self.compiled(arrays, overrides, self.factor)

    def _blank(self, id: str) -> Override:
        node = self.graph.node(id)
        return Override(np.zeros(_shape(node), bool), np.zeros(_shape(node), jnp.dtype(node.dtype)))

    def _arrays(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Array]:
        wanted = self.program.arguments
        leaves, tree = jax.tree_util.tree_flatten((args, kwargs))
        if tree != wanted.tree:
            raise WhatIfError(f"{self.graph.name} was compiled for {wanted.tree}, and called with {tree}.")
        arrays = [leaves[index] for index in wanted.arrays]
        for array, id in zip(arrays, self.graph.inputs, strict=True):
            node = self.graph.node(id)
            if np.shape(array) != node.shape:
                raise WhatIfError(f"{node.name} was compiled for shape {node.shape}, and came with {np.shape(array)}.")
        return arrays


def editor(
    fun: Callable[..., Any],
    nodes: str | Sequence[str],
    *args: Any,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    probe: str | Probe = "full",
    **kwargs: Any,
) -> Editor:
    """A loss whose nodes can be changed, any entries of them, again and again: compiled at the first call.

    Args:
        fun: a loss, as for :func:`engine.value_and_grad`.
        nodes: ids or names of the nodes to change: an argument leaf, a constant, an intermediate value, also inside a
            scan (one entry for each iteration) or a branch.
        *args: example arguments.
        argnums: which positional arguments to differentiate.
        has_aux: whether ``fun`` returns ``(loss, aux)``.
        probe: what to read.
        **kwargs: example keyword arguments.

    Raises:
        UnknownNodeError: no such node.
        WhatIfError: the node can't be changed; the message says why, and what to change instead.
    """
    traced = program(fun, args, kwargs)
    graph = traced.graph
    chosen = tuple(editable(graph, key) for key in ([nodes] if isinstance(nodes, str) else nodes))
    asked = Asked(argnums, has_aux, as_probe(probe))

    @partial(fusing.jit, graph=graph)
    def compiled(arrays: list[Array], overrides: dict[str, Override], factor: Factor) -> tuple[Any, Any, Reading]:
        places = {id: position for position, id in enumerate(graph.inputs)}
        inner = {id: change for id, change in overrides.items() if id not in places}
        for id in overrides.keys() & places.keys():
            arrays = _replaced(arrays, places[id], overrides[id])
        values = _filled(traced.arguments.values, traced.arguments.arrays, arrays)
        here = dataclasses.replace(traced, arguments=dataclasses.replace(traced.arguments, values=values))
        return run(here, here.arguments.unflatten(arrays)[0], dataclasses.replace(asked, factor=factor), inner)

    return Editor(graph, chosen, traced, compiled)


def _replaced(arrays: list[Array], position: int, change: Override) -> list[Array]:
    changed = jnp.where(change.mask, change.given, arrays[position])
    return [*arrays[:position], changed, *arrays[position + 1 :]]


def _filled(values: tuple[Any, ...], places: Sequence[int], arrays: list[Array]) -> tuple[Any, ...]:
    found = dict(zip(places, arrays, strict=True))
    return tuple(found.get(index, value) for index, value in enumerate(values))


def _merged(before: Override, change: Change, node: Node) -> Override:
    try:
        mask = np.broadcast_to(np.asarray(change.mask, bool), before.mask.shape)
        values = np.broadcast_to(np.asarray(change.values, before.given.dtype), before.mask.shape)
    except ValueError:
        shapes = f"{np.shape(change.mask)} and values {np.shape(change.values)}"
        raise WhatIfError(
            f"{node.name} reads in shape {before.mask.shape}; a change came with mask {shapes}."
        ) from None
    return Override(before.mask | mask, np.where(mask, values, before.given))


def _shape(node: Node) -> tuple[int, ...]:
    return (*node.iterations, *node.shape)


def editable(graph: Graph, key: str) -> str:
    """The id of a node that can be changed.

    Raises:
        UnknownNodeError: no such node.
        WhatIfError: it can't be; the message says why, and what to change instead.
    """
    node = graph.node(key)
    if node.kind == "reference" or node.dtype.startswith("key"):
        raise WhatIfError(f"{node.name} can't be changed: it holds {node.dtype}, not numbers.")
    if node.note:
        raise WhatIfError(f"{node.name} can't be changed, for it lies inside what runs as a whole. {node.note}")
    if node.kind in ("shared", "slice"):
        source = node.operands[0]
        outside = f"change {graph.node(source).name}" if isinstance(source, str) else f"it is the number {source}"
        raise WhatIfError(f"{node.name} is what a scan passes in unchanged: {outside} instead.")
    return node.id


# ---- before and after ----------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Moved:
    """How far one array moved."""

    share: float
    """Share of its entries that changed, 0 to 1."""
    largest: float
    """The largest change of an entry; infinite where a number stopped being finite, or became so."""


STILL = Moved(0.0, 0.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """How far a node's value and its gradient moved; a gradient that isn't there to read didn't."""

    value: Moved
    grad: Moved


def changes(before: Reading | Numbers, after: Reading | Numbers, tolerance: float = 0.0) -> dict[str, Difference]:
    """What differs between two readings of one graph.

    Args:
        before: of one call of an :class:`Editor`: the numbers of one compiled program agree to the last bit where a
            change doesn't reach. Two programs of the same function needn't.
        after: of another call.
        tolerance: how far an entry may be off and still be the same, relative to the largest of its array.

    Returns:
        For each node that moved, by id, how far. An entry that ran in one of the passes only, in a branch, changed.

    Raises:
        WhatIfError: the readings are of different graphs, or hold statistics.
    """
    old, new = _numbers(before), _numbers(after)
    if old.graph != new.graph:
        raise WhatIfError(f"{old.graph!r} and {new.graph!r} are different graphs: compare two passes of one editor.")
    found = {}
    for node in new.graph.nodes:
        if node.kind == "reference" or node.dtype.startswith("key"):
            continue
        value = _moved(_entries(old.value, node), _entries(new.value, node), tolerance)
        grad = _moved(_entries(old.grad, node), _entries(new.grad, node), tolerance)
        if value != STILL or grad != STILL:
            found[node.id] = Difference(value, grad)
    return found


def marks(before: Array, after: Array, tolerance: float = 0.0) -> Array:
    """Which entries of an array are others than before; NaN is the same as NaN.

    Args:
        before: an array, perhaps masked where it did not run.
        after: one of the same shape.
        tolerance: how far an entry may be off and still be the same, relative to the largest of the two arrays.

    Returns:
        Booleans in the arrays' shape.
    """
    hidden = [np.ma.getmaskarray(array) for array in (before, after)]
    old, new = (np.ma.getdata(array) for array in (before, after))
    with np.errstate(all="ignore"):
        other = (old != new) & ~((old != old) & (new != new))
        if tolerance:
            scale = max(largest(old), largest(new))
            other &= ~(np.abs(double(new) - double(old)) <= tolerance * scale)
    return (other & ~hidden[0]) | (hidden[0] ^ hidden[1])


def _moved(before: Array | None, after: Array | None, tolerance: float) -> Moved:
    """How far an array moved; one that isn't there is one that never ran."""
    if before is None or after is None:
        return STILL if before is after else Moved(1.0, 0.0)
    quick = None if tolerance else _finite(before, after)
    if quick is not None:
        return quick
    other = marks(before, after, tolerance)
    if not other.any():
        return STILL
    both = other & ~np.ma.getmaskarray(before) & ~np.ma.getmaskarray(after)
    with np.errstate(all="ignore"):
        steps = np.abs(double(np.ma.getdata(after)[both]) - double(np.ma.getdata(before)[both]))
    return Moved(float(other.mean()), float(np.max(np.where(np.isnan(steps), np.inf, steps), initial=0.0)))


def _finite(before: Array, after: Array) -> Moved | None:
    """The same, three times as fast, for plain arrays of finite floats; ``None`` for others."""
    plain = (
        not np.ma.isMaskedArray(before) and not np.ma.isMaskedArray(after) and before.dtype in (np.float32, np.float64)
    )
    if not plain or not before.size:
        return None
    with np.errstate(all="ignore"):
        step = after - before
        size = float(max(step.max(), -step.min()))
    return Moved(np.count_nonzero(step) / step.size, size) if np.isfinite(size) else None


def _entries(read: Callable[[str], Array], node: Node) -> Array | None:
    """An array of a reading, or nothing where there is none to read, or where it never ran."""
    try:
        return read(node.id)
    except (NotExecutedError, NoGradientError, UnknownNodeError):
        return None


def _numbers(reading: Reading | Numbers) -> Numbers:
    found = reading if isinstance(reading, Numbers) else Numbers(reading)
    if found.reading.plan.how != "full":
        raise WhatIfError("This reading holds statistics, not arrays: make the editor with probe='full' to compare.")
    return found

"""The data-parallel step: each device takes the gradient of its own share of the batch, what they found is added up
(all-reduce), and all make the same update of it.

::

    batch            device 0      device 1      device 2      device 3
    32 examples  =   8 examples    8 examples    8 examples    8 examples
                     loss, ∂L/∂w   loss, ∂L/∂w   loss, ∂L/∂w   loss, ∂L/∂w        each its own, weighted by its share
                     └──────────────── all-reduce: the sum ──────────────┘        = that of the whole batch
                     w − rate·∂L   w − rate·∂L   w − rate·∂L   w − rate·∂L        the same on each

Which examples a step is taken on, in what order, and what is dropped of each, follow from the seed and the step's
number, never from the devices. So another number of them makes another rounding, and nothing else: states go from one
to another at any step. Between two calls a state is an ordinary one, on one device (:meth:`ParallelLoop.whole`).

Nothing here depends on where the devices are: with :func:`jax.distributed.initialize` they may be those of several
processes, each of which makes the same calls.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from engine import magnitudes, optimisers, scaling, stats
from engine.divisible import divisible
from engine.errors import UnknownNodeError
from engine.grad import value_and_grad
from engine.graph import Graph
from engine.loop import Batches, Loop, Records, TrainState
from engine.optimisers import Controls, Method
from engine.probe import Probe
from engine.reading import Reading
from engine.scaling import Factor
from engine.shares import AXIS, WHOLE, Shares, Split, mesh, placed, shares

Array = Any

_SIZES = np.array([name not in ("zero_fraction", "nonfinite") for name in stats.ROW])
"""Statistics that grow with what is measured."""


@dataclasses.dataclass(frozen=True, eq=False)
class SharedBatches(Batches):
    """Examples given out to the devices of a mesh."""

    split: Split
    mesh: Mesh

    @cached_property
    def shares(self) -> Shares:
        """What each device takes of a step."""
        return shares(len(self.problem.rows(0)), self.split)  # type: ignore[arg-type]

    @cached_property
    def arrays(self) -> list[Array]:
        """The whole data, on each device."""
        return [placed(array, NamedSharding(self.mesh, P())) for array in super().arrays]

    def rows(self, start: int, count: int, room: int) -> Array:
        """Which examples each device takes of these steps: ``(room, devices, pieces, examples)``."""
        rows = super().rows(start, count, room)[:, self.shares.places]
        return placed(rows, NamedSharding(self.mesh, P(None, AXIS)))

    def batch(self, arrays: list[Array], rows: Array, step: Array) -> tuple[Any, ...]:
        """What one device takes, in its part of the program: :meth:`piece` makes the loss's arguments of it.

        Args:
            arrays: all examples.
            rows: ``(1, pieces, examples)``: those of this device.
            step: its number.
        """
        own = lax.axis_index(AXIS)
        return (arrays, rows[0], step, jnp.asarray(self.shares.first)[own], jnp.asarray(self.shares.weight)[own])

    def piece(self, given: tuple[Any, ...], place: Array) -> tuple[Any, ...]:
        """What the loss of one piece is called on besides the parameters."""
        arrays, rows, step, first, _ = given
        batch = super().batch(arrays, rows[place], step)
        return (*batch, first[place]) if self.problem.part else batch


@dataclasses.dataclass(frozen=True, eq=False)
class ParallelLoop(Loop):
    """A problem's training loop, compiled for several devices. It takes and returns states as :class:`Loop` does."""

    split: Split = WHOLE
    devices: tuple[Any, ...] | None = None
    """Those to take them from; all that JAX sees unless given."""

    def __post_init__(self) -> None:
        self.split.checked()
        divisible(self.problem)

    @cached_property
    def mesh(self) -> Mesh:
        """The devices, in a row."""
        return mesh(self.split.devices, self.devices)

    @cached_property
    def shares(self) -> Shares:
        """What each device takes of a step's examples."""
        return self.batches.shares

    @cached_property
    def batches(self) -> SharedBatches:
        """The examples of each step, given out."""
        return SharedBatches(divisible(self.problem), self.split, self.mesh)

    @property
    def _batches(self) -> SharedBatches:
        return self.batches

    # ---- states, to the devices and back ----------------------------------------------------------------------------

    def advance(self, state: TrainState, controls: Controls, count: int, every: int = 1) -> Any:
        """Take up to :attr:`room` steps, from an ordinary state to an ordinary state (see :class:`Loop`)."""
        after, records = super().advance(self.place(state, controls.method), controls, count, every)
        return self.whole(after, controls.method), records

    def place(self, state: TrainState, method: Method) -> TrainState:
        """A state on these devices: parameters on each, of the optimiser's memory all or a slice."""
        params = jax.tree.map(partial(placed, where=self._everywhere), state.params)
        memory = self._slicing(
            method, state.optimiser, lambda leaf: placed(_even(leaf, self.split.devices), self._apart)
        )
        return TrainState(params, memory, state.step)

    def whole(self, state: TrainState, method: Method) -> TrainState:
        """The same state on a single device of this process."""
        here = partial(jax.tree.map, lambda leaf: leaf.addressable_data(0))
        held = state.optimiser
        if self.split.sharded:
            shapes = jax.eval_shape(method.empty().init, state.params)
            rows = here(self._gathered(held))
            return TrainState(here(state.params), jax.tree.map(_like, rows, shapes), state.step)
        return TrainState(here(state.params), here(held), state.step)

    @cached_property
    def _everywhere(self) -> NamedSharding:
        return NamedSharding(self.mesh, P())

    @cached_property
    def _apart(self) -> NamedSharding:
        return NamedSharding(self.mesh, P(AXIS))

    @cached_property
    def _gathered(self) -> Callable[[Any], Any]:
        return jax.jit(lambda tree: tree, out_shardings=self._everywhere)

    def _slicing(self, method: Method, memory: Any, slices: Callable[[Any], Any]) -> Any:
        """A memory with something made of each leaf that is as long as a parameter; the others stay whole."""
        whole = partial(placed, where=self._everywhere)
        if not self.split.sharded:
            return jax.tree.map(whole, memory)
        return optax.tree_utils.tree_map_params(method.empty(), slices, memory, transform_non_params=whole)

    # ---- the program ------------------------------------------------------------------------------------------------

    @cached_property
    def _compiled(self) -> Callable[..., Any]:
        @partial(jax.jit, static_argnums=0)
        def compiled(method: Any, state: Any, *rest: Any) -> Any:
            held = (P(), self.memory_specs(state[1]))
            given = (held, P(), P(), P(None, AXIS), P())
            body = jax.shard_map(
                partial(self._chunk, method), mesh=self.mesh, in_specs=given, out_specs=(held, P()), check_vma=False
            )
            return body(state, *rest)

        return compiled

    def memory_specs(self, memory: Any) -> Any:
        """Where the optimiser's memory lies: on every device, or of each parameter's part a slice on each."""
        return jax.tree.map(lambda leaf: P(AXIS) if leaf.ndim and self.split.sharded else P(), memory)

    def own(self, params: Any, given: tuple[Any, ...], measure: Callable[..., Any]) -> tuple[Any, Any]:
        """What one device adds to loss and gradient: the sum over its pieces, each weighted by its share."""
        weights = given[-1]

        def weighted(place: Array) -> Any:
            loss, grads, *rest = measure(*params, *self.batches.piece(given, place))
            return jax.tree.map(lambda leaf: (weights[place] * leaf).astype(leaf.dtype), (loss, grads)), rest

        if len(weights) == 1:
            total, rest = weighted(jnp.int32(0))
            return total, jax.tree.map(lambda leaf: leaf[None], rest)

        def add(total: Any, place: Array) -> Any:
            found, rest = weighted(place)
            return jax.tree.map(jnp.add, total, found), rest

        zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(weighted, jnp.int32(0))[0])
        return lax.scan(add, zero, jnp.arange(len(weights)))

    def reduced(self, own: tuple[Array, Any]) -> tuple[Array, Any]:
        """Loss and gradient of the whole batch: all of it on every device, or on each its slice."""
        loss, grads = own
        if not self.split.sharded:
            return lax.psum((loss, grads), AXIS)
        scatter = partial(lax.psum_scatter, axis_name=AXIS, tiled=True)
        return lax.psum(loss, AXIS), jax.tree.map(lambda leaf: scatter(_even(leaf, self.split.devices)), grads)

    @property
    def fun(self) -> Callable[..., Any]:
        """The loss of a piece."""
        return self.problem.part(self.shares.whole) if self.problem.part else self.problem.fun

    def _bare(self, params: Any, batch: tuple[Any, ...], factor: Factor) -> tuple[Any, Any]:
        argnums = tuple(range(len(params)))
        return self.reduced(self.own(params, batch, scaling.value_and_grad(self.fun, argnums, factor))[0])

    def _watched(self, params: Any, batch: tuple[Any, ...], factor: Factor = None) -> tuple[Any, Any, Reading]:
        probe = Probe(self._names, ("value", "grad"), "stats")
        watched = value_and_grad(self.fun, argnums=tuple(range(len(params))), probe=probe, factor=factor)
        own, (reading,) = self.own(params, batch, watched)
        return *self.reduced(own), lax.all_gather(reading.without("factor"), AXIS)

    @cached_property
    def _names(self) -> tuple[str, ...] | None:
        """What is watched, by name: the loss of a part may have other ids."""
        graph = self.problem.graph
        loss = graph.node(graph.outputs[0]).name  # each device has its own
        return self.nodes and (loss, *(graph.node(key).name if key in graph else key for key in self.nodes))

    def moved(self, method: Any, dials: Any, step: Array, state: Any, grads: Any) -> Any:
        """The state after an update, in the program."""
        if not self.split.sharded:
            return super().moved(method, dials, step, state, grads)
        params, memory = state
        many = self.split.devices
        own = jax.tree.map(lambda leaf: _even(leaf, many).reshape(many, -1)[lax.axis_index(AXIS)], params)
        if method.clip == "norm":  # that of all slices together, which no optimiser of one slice knows
            grads, method = _clipped(grads, dials), dataclasses.replace(method, clip="none")
        if method.scaling != "none":  # a step is left out everywhere, wherever a gradient overflowed
            grads = _spoilt_together(grads)
        own, memory = optimisers.update(method, dials, step, (own, memory), grads)
        gather = partial(lax.all_gather, axis_name=AXIS, tiled=True)
        return jax.tree.map(lambda leaf, like: _like(gather(leaf), like), own, params), memory

    def _recorded(self, loss: Array, before: Any, after: Any, grads: Any) -> Array:
        record = super()._recorded(loss, before, after, grads)
        if not self.split.sharded:
            return record
        count = len(self.names)
        each = lax.all_gather(record[-count:], AXIS)  # norms of slices, whose norm is that of the whole
        return record.at[-count:].set(magnitudes.norms(list(each.T)))

    # ---- what was watched -------------------------------------------------------------------------------------------

    def _example(self, params: Any, given: Any) -> Reading:
        arrays, _, step = given
        rows = self.batches.rows(0, 1, 1)
        body = jax.shard_map(
            lambda params, rows: self._watched(params, self.batches.batch(arrays, rows[0], step))[2],
            mesh=self.mesh,
            in_specs=(P(), P(None, AXIS)),
            out_specs=P(),
            check_vma=False,
        )
        return body(params, rows)

    def _records(self, *given: Any) -> Records:
        records = super()._records(*given)
        if not isinstance(records.reading, Reading):
            return records
        return dataclasses.replace(records, reading=Merged(records.reading, self.problem.graph, self.shares))


@dataclasses.dataclass(frozen=True, eq=False)
class Merged:
    """Statistics of the whole batch, from those of the pieces that it was divided into.

    They are there of what has a row for each example. Of what hasn't (a parameter, the loss) each device knows a
    summand only, and no statistic of summands is that of their sum.
    """

    pieces: Reading
    """Its arrays have axes ``(steps, devices, pieces)`` in front."""
    graph: Graph
    """Of the loss on the whole batch."""
    shares: Shares

    def stats(self, key: str) -> dict[str, Mapping[str, Any]]:
        """As :meth:`engine.reading.Reading.stats`.

        Raises:
            UnknownNodeError: it wasn't watched, or can't be known.
        """
        node = self.graph.node(key)
        own = self.pieces.graph.node(node.name)
        if own.shape == node.shape and self.shares.size != self.shares.whole:
            raise UnknownNodeError(f"{node.name} has no row for each example: no device knows statistics of all of it.")
        entries, found = math.prod((*node.iterations, *node.shape)), {}
        for what, numbers in self.pieces.stats(own.id).items():
            rows, counts = self._rows(numbers, what)
            together = stats.combine(rows.reshape(len(rows), -1, stats.WIDTH), counts.reshape(len(rows), -1))
            found[what] = stats.named(together, entries)
        return found

    def apart(self, key: str) -> dict[str, Array]:
        """What each device has of a node: statistics of its own examples, ``(steps, devices, 7)``.

        A gradient is that of the loss on the whole batch, so the whole's mean square is the mean of theirs, each
        weighted by its examples. Of the loss itself, each has that on its own examples.

        Raises:
            UnknownNodeError: it wasn't watched.
        """
        found = self.pieces.stats(self.pieces.graph.node(self.graph.node(key).name).id)
        return {what: stats.combine(*self._rows(numbers, what)) for what, numbers in found.items()}

    def _rows(self, numbers: Mapping[str, Any], what: str) -> tuple[Array, Array]:
        """Those of each piece, and whether it counts: ``(steps, devices, pieces, 7)``."""
        rows = np.stack(np.broadcast_arrays(*(numbers[name] for name in stats.ROW)), axis=-1).astype(np.float64)
        if what == "grad":  # the loss of a piece is a mean over fewer examples
            rows = rows * np.where(_SIZES, self.shares.size / self.shares.whole, 1.0)
        return rows, np.broadcast_to(self.shares.weight > 0, rows.shape[:-1])


def _spoilt_together(grads: Any) -> Any:
    """The same slices, or NaN throughout where an entry on any device isn't finite."""
    fine = jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(grads)]))
    everywhere = lax.pmin(fine.astype(jnp.int32), AXIS) > 0
    return jax.tree.map(lambda leaf: jnp.where(everywhere, leaf, jnp.nan), grads)


def _even(leaf: Any, devices: int) -> Any:
    """As one row, with zeros behind it so that it can be cut into slices of one length."""
    flat = leaf.reshape(-1)
    missing = -flat.size % devices
    xp = jnp if isinstance(leaf, jax.core.Tracer) else np
    return xp.pad(flat, (0, missing)) if missing else flat


def _like(row: Any, old: Any) -> Any:
    """That row without the zeros behind it, in its old shape."""
    return row[: math.prod(old.shape)].reshape(old.shape) if old.shape else row.reshape(-1)[0]


def _clipped(grads: Any, dials: Any) -> Any:
    """Slices of gradients whose norm, all slices of all parameters together, is at most the limit."""
    leaves, tree = jax.tree.flatten(grads)
    moving = [jnp.where(dials["frozen"][place], 0, leaf) for place, leaf in enumerate(leaves)]
    norm = jnp.sqrt(lax.psum(sum(jnp.vdot(leaf, leaf).real for leaf in moving), AXIS))
    small = norm < dials["clip_at"]
    cut = [jnp.where(small, leaf, leaf / norm.astype(leaf.dtype) * dials["clip_at"]) for leaf in moving]
    return jax.tree.unflatten(tree, cut)

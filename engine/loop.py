"""The compiled training loop: one program takes one step or many, and records each of them.

How many steps a call takes is an argument of the program, so the parameters after ``n`` steps are bit for bit the same
however the steps were divided into calls. Whether a step is watched follows from its number alone; so a run taken up
again at any step goes on as it did.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from engine import convolutions, fusing, magnitudes, optimisers, scaling
from engine.flat import Packed
from engine.grad import value_and_grad
from engine.names import leaves
from engine.optimisers import Controls
from engine.probe import Probe
from engine.reading import Reading
from engine.scaling import Factor
from engine.tasks.problem import Problem
from engine.trace import fill, is_array

Array = Any

MOST = 256
"""Steps that one call of the program takes at most."""

_ROOM = 1 << 21
"""Numbers that the readings of one call may take."""


@dataclasses.dataclass(frozen=True, eq=False)
class TrainState:
    """Parameters and what the optimiser remembers of the way here, after ``step`` steps."""

    params: tuple[Any, ...]
    optimiser: Any
    step: int = 0


class Statistics(Protocol):
    """What tells the statistics of a node: a :class:`Reading`, or several made one (:mod:`engine.parallel`)."""

    def stats(self, key: str) -> Mapping[str, Mapping[str, Any]]:
        """As :meth:`Reading.stats`."""


@dataclasses.dataclass(frozen=True, eq=False)
class Records:
    """What was recorded of consecutive steps, on the host; the first axis is the step."""

    start: int
    """Number of the first of these steps."""
    loss: Array
    """``(steps,)``, before each step's update, on its own batch."""
    weights: Array
    """``(steps, parameters)``: ‖w‖ before the update."""
    updates: Array
    """``(steps, parameters)``: ‖Δw‖."""
    gradients: Array
    """``(steps, parameters)``: norm of the gradient of the loss, before any clipping or freezing."""
    watched: Array
    """``(readings,)``: numbers of the steps that were watched."""
    reading: Statistics | None
    """Those of these, its arrays with one axis in front; ``None`` if none was."""

    @property
    def steps(self) -> Array:
        """Numbers of the steps."""
        return np.arange(self.start, self.start + len(self.loss))


@dataclasses.dataclass(frozen=True, eq=False)
class Batches:
    """What a loss is called on besides its parameters: arrays are arguments, a string in it stays what it is."""

    problem: Problem

    @cached_property
    def chosen(self) -> bool:
        """Whether a step takes some of the examples rather than all of them as they are."""
        return self.problem.rows(0) is not None

    @cached_property
    def arrays(self) -> list[Array]:
        """The whole data, on the device."""
        return [jnp.asarray(leaf) for leaf in jax.tree.leaves(self.problem.examples) if is_array(leaf)]

    def rows(self, start: int, count: int, room: int) -> Array:
        """Which examples these steps are taken on: ``(room, batch)``, int32, zeros behind the last step."""
        if not self.chosen:
            return np.zeros((room, 0), np.int32)
        taken = np.stack([np.asarray(self.problem.rows(step)) for step in range(start, start + count)]).astype(np.int32)
        return np.concatenate([taken, np.zeros((room - count, *taken.shape[1:]), np.int32)])

    def batch(self, arrays: list[Array], rows: Array, step: Array) -> tuple[Any, ...]:
        """The arguments of one step, inside the compiled program."""
        taken = [jnp.take(leaf, rows, axis=0) if leaf.ndim else leaf for leaf in arrays] if self.chosen else arrays
        given = fill(self.problem.examples, taken)
        return (*given, step) if self.problem.noisy else given


@dataclasses.dataclass(frozen=True, eq=False)
class Loop:
    """A problem's compiled training loop."""

    problem: Problem
    nodes: tuple[str, ...] | None = ()
    """What is measured of watched steps: ids, names or scopes; ``None`` for every node."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters' leaves, in order."""
        return parameter_names(self.problem)

    def start(self, controls: Controls) -> TrainState:
        """The problem's first parameters, and an empty memory."""
        params = jax.tree.map(settled, self.problem.params)
        return TrainState(params, self.remember(controls, params))

    def remember(self, controls: Controls, params: Any) -> Any:
        """An optimiser's memory before its first step."""
        return jax.tree.map(settled, controls.method.empty().init(params))

    def advance(self, state: TrainState, controls: Controls, count: int, every: int = 1) -> tuple[TrainState, Records]:
        """Take up to :attr:`room` steps.

        Args:
            state: where to begin; it is left as it is.
            controls: the optimiser and its dials.
            count: how many steps; at most :attr:`room`.
            every: steps whose number is a multiple of this are watched.

        Raises:
            ControlsError: a frozen name is that of no parameter.
        """
        rows = self._batches.rows(state.step, count, self.room)
        where = (np.int32(state.step), np.int32(count), np.int32(every))
        given = (controls.dials(self.names), where, rows, self._batches.arrays)
        (params, memory), (numbers, packed) = self._compiled(controls.method, (state.params, state.optimiser), *given)
        after = TrainState(params, memory, state.step + count)
        return after, self._records(state.step, every, np.asarray(numbers)[:count], packed)

    @cached_property
    def room(self) -> int:
        """How many steps one call may take."""
        return max(8, min(MOST, _ROOM // max(self._packed.size, 1)))

    # ---- the program ----------------------------------------------------------------------------------------------

    @cached_property
    def _batches(self) -> Batches:
        return Batches(self.problem)

    @cached_property
    def _packed(self) -> Packed:
        """How a watched step's statistics lie in one array for each type of number."""
        if self.nodes == ():
            return Packed.of(None)
        params = jax.tree.map(settled, self.problem.params)
        given = (self._batches.arrays, self._batches.rows(0, 1, 1)[0], np.int32(0))
        return Packed.of(jax.eval_shape(lambda params, *given: self._example(params, given), params, *given))

    def _example(self, params: Any, given: Any) -> Reading:
        return self._watched(params, self._batches.batch(*given))[2]

    def _bare(self, params: Any, batch: tuple[Any, ...], factor: Factor) -> tuple[Any, Any]:
        return scaling.value_and_grad(self.problem.fun, tuple(range(len(params))), factor)(*params, *batch)

    def _watched(self, params: Any, batch: tuple[Any, ...], factor: Factor = None) -> tuple[Any, Any, Reading]:
        probe = Probe(self.nodes, ("value", "grad"), "stats")
        watched = value_and_grad(self.problem.fun, tuple(range(len(params))), probe=probe, factor=factor)
        loss, grads, reading = watched(*params, *batch)
        return loss, grads, reading.without("factor")  # it is in the optimiser's memory

    @cached_property
    def _compiled(self) -> Callable[..., Any]:
        return fusing.jit(self._chunk, self.problem.graph, static_argnums=0)

    def _chunk(self, method: Any, state: Any, dials: Any, where: Any, rows: Array, arrays: list[Array]) -> Any:
        start, count, every = where

        def one(index: Array, carry: Any) -> Any:
            (params, memory), (numbers, packed) = carry
            step = start + index
            batch = self._batches.batch(arrays, rows[index], step)
            given = (params, batch, optimisers.factor(memory))
            loss, grads, row = convolutions.straightened(self._measured)(given, step % every == 0, every > 0)
            after = self.moved(method, dials, step, (params, memory), grads)
            record = self._recorded(loss, params, after[0], grads)
            write = partial(lax.dynamic_update_index_in_dim, index=index, axis=0)
            kept = jax.tree.map(lambda kept, new: write(kept, new.astype(kept.dtype)), (numbers, packed), (record, row))
            return after, kept

        numbers = jnp.zeros((len(rows), 1 + 3 * len(self.names)), magnitudes.precision(state[0]))
        return lax.fori_loop(0, count, one, (state, (numbers, self._packed.zeros(len(rows)))))

    def moved(self, method: Any, dials: Any, step: Array, state: Any, grads: Any) -> Any:
        """The state after an update, in the program."""
        return optimisers.update(method, dials, step, state, grads)

    def _recorded(self, loss: Array, before: Any, after: Any, grads: Any) -> Array:
        return magnitudes.record(loss, before, after, grads)

    def _measured(self, given: tuple[Any, tuple[Any, ...], Factor], asked: Array, always: Array) -> Any:
        """Loss, gradients, and the packed statistics: zeros where they weren't asked for.

        The gradients come out of a branch in any case: otherwise XLA would join them with the update where nothing is
        watched, and round otherwise than where something is.
        """

        def watched() -> Any:
            loss, grads, reading = self._watched(*given)
            return loss, grads, self._packed.pack(reading)

        def bare() -> Any:
            return (*self._bare(*given), self._packed.zeros())

        def never() -> Any:
            return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(bare))

        return lax.cond(asked, watched, bare) if self.nodes != () else lax.cond(always, bare, never)

    def _records(self, start: int, every: int, numbers: Array, packed: list[Array]) -> Records:
        loss, (weights, updates, gradients) = numbers[:, 0], np.split(numbers[:, 1:], 3, axis=1)
        steps = np.arange(start, start + len(numbers))
        chosen = steps % every == 0
        watched = steps[chosen] if self.nodes != () else steps[:0]
        reading = self._packed.unpack(packed, np.flatnonzero(chosen)) if len(watched) else None
        return Records(start, loss, weights, updates, gradients, watched, reading)


def parameter_names(problem: Problem) -> tuple[str, ...]:
    """Names of the parameters' leaves, as the graph calls its first inputs."""
    return tuple(leaf.name for leaf, _ in leaves(problem.fun, problem.params, {}))


def settled(leaf: Any) -> Array:
    """An array on the device, of a type that arithmetic with Python's numbers doesn't change."""
    return jnp.asarray(leaf, jnp.result_type(leaf))

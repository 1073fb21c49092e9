"""What each device has of one step, and what becomes of replicas that don't wait for one another."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec as P

from engine import optimisers, scaling
from engine.loop import Batches, TrainState
from engine.magnitudes import double
from engine.optimisers import Controls
from engine.parallel import ParallelLoop
from engine.shares import AXIS

Array = Any

STAMPS = ("begun", "found", "met")
"""Moments of a step on one device: it begins, has its own gradient, and has that of all."""


@dataclasses.dataclass(frozen=True, eq=False)
class Look:
    """One step as the devices took it; their axis comes first. Devices without examples have NaN."""

    rows: tuple[Array, ...]
    """Which examples each takes."""
    shares: Array
    """``(devices,)``: of the batch."""
    losses: Array
    """``(devices,)``: the mean over its own examples."""
    grads: Any
    """Like the parameters, the devices in front: each one's own gradient."""
    loss: Array
    mean: Any
    """What the all-reduce makes of all gradients: their mean, weighted by the shares."""
    after: Any
    """The parameters after the update, as each device has them."""
    bytes: Array
    """``(2,)``: what one device keeps of the optimiser's memory, and what there is of it in all."""

    @property
    def parts(self) -> Any:
        """What each device adds to the mean: its gradient times its share."""

        def part(leaf: Array) -> Array:
            share = self.shares.reshape(-1, *[1] * (leaf.ndim - 1))
            return np.where(share > 0, share * leaf, 0).astype(leaf.dtype)

        return jax.tree.map(part, self.grads)

    def without(self, device: int) -> tuple[float, float]:
        """How far the mean of the others is off, were one device lost and its examples left out; and its share."""
        rest = float(1 - self.shares[device])
        parts = jax.tree.leaves(self.parts)
        left = [(leaf.sum(0) - leaf[device]) / rest if rest else np.zeros_like(leaf[0]) for leaf in parts]
        return distance(left, jax.tree.leaves(self.mean)), float(self.shares[device])


@dataclasses.dataclass(frozen=True, eq=False)
class Drift:
    """Replicas that each follow their own gradient."""

    losses: Array
    """``(steps, devices)``: on its own examples."""
    spread: Array
    """``(steps,)``: how far parameters lie from their mean over the devices, relative to it, root mean square."""
    params: Any
    """The parameters at the end, the devices in front."""


@dataclasses.dataclass(frozen=True, eq=False)
class Replicas:
    """The programs that look at a data-parallel step from the inside. Its devices must be those of this process."""

    loop: ParallelLoop

    def look(self, state: TrainState, controls: Controls) -> Look:
        """One step from a state, with everything that each device had of it."""
        loop = self.loop
        held = loop.place(state, controls.method)
        given = (controls.dials(loop.names), np.int32(state.step), (held.params, held.optimiser))
        rows = loop.batches.rows(state.step, 1, 1)
        own, whole = self._looked(controls.method, *given, rows, loop.batches.arrays)
        (losses, grads, after), (loss, mean) = jax.device_get((own, whole))
        sizes = [
            sum(int(leaf.addressable_data(0).nbytes) for leaf in jax.tree.leaves(held.optimiser)),
            sum(int(leaf.nbytes) for leaf in jax.tree.leaves(state.optimiser)),
        ]
        chosen = np.asarray(self.loop.batches.problem.rows(state.step))
        taken = tuple(chosen[loop.shares.of(device)] for device in range(loop.split.devices))
        return Look(taken, loop.shares.weight.sum(1), losses, grads, loss, mean, after, np.array(sizes))

    def single(self, state: TrainState, controls: Controls) -> tuple[Array, Any, Any]:
        """The same step on one device, on the whole batch: loss, gradient, parameters after it."""
        batches = Batches(self.loop.batches.problem)
        given = (controls.dials(self.loop.names), np.int32(state.step), (state.params, state.optimiser))
        return self._single(controls.method, *given, batches.rows(state.step, 1, 1)[0], batches.arrays)

    def drift(self, state: TrainState, controls: Controls, steps: int, meet: int = 0) -> Drift:
        """Steps in which nobody waits: each device makes the update of its own gradient, and remembers its own way.

        Args:
            state: where all of them begin.
            controls: the optimiser.
            steps: how many.
            meet: after so many steps all take the mean of their parameters; never if 0.
        """
        loop = dataclasses.replace(self.loop, split=dataclasses.replace(self.loop.split, sharded=False))
        held = loop.place(state, controls.method)
        given = (controls.dials(loop.names), np.int32(state.step), np.int32(meet), (held.params, held.optimiser))
        found = self._drifted(controls.method, *given, loop.batches.rows(state.step, steps, steps), loop.batches.arrays)
        losses, spread, params = jax.device_get(found)
        return Drift(losses.T, spread, params)

    def straggle(self, state: TrainState, controls: Controls, slow: int, seconds: float, steps: int = 3) -> Array:
        """Steps in which one device really waits before it has its gradient: ``(steps, devices, 3)`` seconds.

        Args:
            state: where to begin.
            controls: the optimiser.
            slow: which device.
            seconds: how long it sleeps in each step.
            steps: how many.

        Returns:
            When each device passed each of :data:`STAMPS`, measured on it, from the first moment on.
        """
        loop = dataclasses.replace(self.loop, split=dataclasses.replace(self.loop.split, sharded=False))
        held = loop.place(state, controls.method)
        delay = np.zeros(loop.split.devices, np.float32)
        delay[slow] = seconds
        given = (controls.dials(loop.names), np.int32(state.step), (held.params, held.optimiser), delay)
        arrays = (loop.batches.rows(state.step, steps, steps), loop.batches.arrays)
        jax.block_until_ready(self._straggled(controls.method, *given[:-1], 0 * delay, *arrays))  # compiled
        stamps = np.asarray(self._straggled(controls.method, *given, *arrays))
        return np.moveaxis(stamps - stamps.min(), 0, 1)

    # ---- the programs -----------------------------------------------------------------------------------------------

    def _on_mesh(self, body: Callable[..., Any], given: Any, found: Any) -> Callable[..., Any]:
        """A program of one device, compiled for all of them; the optimiser's method comes first."""

        @partial(jax.jit, static_argnums=0)
        def compiled(method: Any, *args: Any) -> Any:
            specs = given(args) if callable(given) else given
            mapped = jax.shard_map(
                partial(body, method), mesh=self.loop.mesh, in_specs=specs, out_specs=found, check_vma=False
            )
            return mapped(*args)

        return compiled

    def _own(self, state: Any, arrays: Any, rows: Array, step: Array) -> tuple[Array, Any]:
        """What this device adds to loss and gradient."""
        params, memory = state
        measure = scaling.value_and_grad(self.loop.fun, tuple(range(len(params))), optimisers.factor(memory))
        return self.loop.own(params, self.loop.batches.batch(arrays, rows, step), measure)[0]

    @property
    def _share(self) -> Array:
        return jnp.asarray(self.loop.shares.weight.sum(1))[lax.axis_index(AXIS)]

    @cached_property
    def _looked(self) -> Callable[..., Any]:
        loop = self.loop

        def body(method: Any, dials: Any, step: Array, state: Any, rows: Array, arrays: Any) -> Any:
            own = self._own(state, arrays, rows[0], step)
            loss, grads = loop.reduced(own)
            after, _ = loop.moved(method, dials, step, state, grads)
            mine = jax.tree.map(lambda leaf: (leaf / self._share).astype(leaf.dtype), own)
            mean = lax.psum(own[1], AXIS) if loop.split.sharded else grads
            return jax.tree.map(lambda leaf: leaf[None], (*mine, after)), (loss, mean)

        def specs(args: Any) -> Any:
            return (P(), P(), (P(), loop.memory_specs(args[2][1])), P(None, AXIS), P())

        return self._on_mesh(body, specs, (P(AXIS), P()))

    @cached_property
    def _single(self) -> Callable[..., Any]:
        problem = self.loop.batches.problem

        @partial(jax.jit, static_argnums=0)
        def compiled(method: Any, dials: Any, step: Array, state: Any, rows: Array, arrays: Any) -> Any:
            batch = Batches(problem).batch(arrays, rows, step)
            params, memory = state
            measure = scaling.value_and_grad(problem.fun, tuple(range(len(params))), optimisers.factor(memory))
            loss, grads = measure(*params, *batch)
            return loss, grads, optimisers.update(method, dials, step, state, grads)[0]

        return compiled

    @cached_property
    def _drifted(self) -> Callable[..., Any]:
        def body(method: Any, dials: Any, start: Array, meet: Array, state: Any, rows: Array, arrays: Any) -> Any:
            def one(carry: Any, index: Array) -> Any:
                step = start + index
                loss, grads = jax.tree.map(
                    lambda leaf: (leaf / self._share).astype(leaf.dtype), self._own(carry, arrays, rows[index], step)
                )
                params, memory = optimisers.update(method, dials, step, carry, grads)
                mean = lax.pmean(params, AXIS)
                params = lax.cond((meet > 0) & ((index + 1) % jnp.maximum(meet, 1) == 0), lambda: mean, lambda: params)
                return (params, memory), (loss, _spread(params, mean))

            (params, _), (losses, spread) = lax.scan(one, state, jnp.arange(len(rows)))
            return losses[None], spread, jax.tree.map(lambda leaf: leaf[None], params)

        given = (P(), P(), P(), P(), P(None, AXIS), P())
        return self._on_mesh(body, given, (P(AXIS), P(), P(AXIS)))

    @cached_property
    def _straggled(self) -> Callable[..., Any]:
        def body(method: Any, dials: Any, start: Array, state: Any, delay: Array, rows: Array, arrays: Any) -> Any:
            def one(carry: Any, index: Array) -> Any:
                step = start + index
                carry, begun = _stamped(carry, 0.0)
                own, found = _stamped(self._own(carry, arrays, rows[index], step), delay[0])
                (_, grads), met = _stamped(lax.psum(own, AXIS), 0.0)
                return optimisers.update(method, dials, step, carry, grads), jnp.stack([begun, found, met])

            return lax.scan(one, state, jnp.arange(len(rows)))[1][None]

        given = (P(), P(), P(), P(AXIS), P(None, AXIS), P())
        return self._on_mesh(body, given, P(AXIS))


def distance(found: list[Array], wanted: list[Array]) -> float:
    """The norm of a difference, relative to that of what is wanted; of all arrays together."""
    pairs = [(double(a), double(b)) for a, b in zip(found, wanted, strict=True)]
    size = np.sqrt(sum(float((np.abs(b) ** 2).sum()) for _, b in pairs))
    return float(np.sqrt(sum(float((np.abs(a - b) ** 2).sum()) for a, b in pairs)) / max(size, 1e-30))


def _spread(params: Any, mean: Any) -> Array:
    off = _squares(jax.tree.map(jnp.subtract, params, mean))
    return jnp.sqrt(lax.pmean(off, AXIS) / jnp.maximum(_squares(mean), 1e-30))


def _squares(tree: Any) -> Array:
    return sum((jnp.vdot(leaf, leaf).real for leaf in jax.tree.leaves(tree)), jnp.zeros(()))


def _stamped(tree: Any, delay: Array) -> tuple[Any, Array]:
    """The same values, and when they were there; who asks for them waits until the clock was read."""
    some = sum(jnp.sum(leaf).astype(jnp.float32) for leaf in jax.tree.leaves(tree))
    stamp, zero = jax.pure_callback(_clock, (jax.ShapeDtypeStruct((), jnp.float32),) * 2, some, delay)
    # an optimisation barrier would do, but XLA takes some of them away
    return jax.tree.map(lambda leaf: leaf + zero.astype(leaf.dtype), tree), stamp


_ORIGIN = time.perf_counter()


def _clock(value: Array, delay: Array) -> tuple[Array, Array]:
    np.asarray(value)  # there before the clock is read
    time.sleep(float(delay))
    return np.float32(time.perf_counter() - _ORIGIN), np.float32(0)

"""How a step is divided: over how many devices, which examples each of them takes, and where those devices are.

Which examples a step is taken on, and in what order, follows from the seed and the step's number; here is only decided
who takes which of them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding

from engine.errors import EngineError
from engine.fusing import compiled
from engine.tasks.problem import Problem
from engine.text import short
from engine.trace import is_array

Array = Any

AXIS = "data"
"""Name of the mesh's axis: each device along it has its own examples."""

UNEVEN = 1.25
"""By how much the largest share may exceed the mean, so that it is cut into fewer pieces."""


TRIED = 64
"""Examples that a function of one's own is tried on, at most."""

CLOSE = 3e-4
"""How far a mean may be off, of the size of what it is of, and still be one but for rounding: √ε in float32."""


class ParallelError(EngineError, ValueError):
    """A problem can't be divided, or there aren't so many devices."""


@dataclasses.dataclass(frozen=True)
class Split:
    """How a step is divided."""

    devices: int = 1
    pieces: int = 1
    """Micro-batches, at least, that each device takes one after the other, adding up their gradients: only one of them
    is in memory at a time."""
    sharded: bool = False
    """Whether each device remembers only its own slice of the optimiser's memory, updates only that slice of the
    parameters, and gets the others' from them (as ZeRO and FSDP do): reduce-scatter, update, all-gather."""

    def checked(self) -> Split:
        """The same, or a sentence about what can't be.

        Raises:
            ParallelError: it names no devices, or no pieces.
        """
        for name in ("devices", "pieces"):
            if getattr(self, name) < 1:
                raise ParallelError(f"{name} is {getattr(self, name)}, and must be 1 or more.")
        return self

    def difference(self, after: Split) -> str:
        """What changed, for people: ``devices 4 → 3``."""
        old, new = dataclasses.asdict(self), dataclasses.asdict(after)
        return ", ".join(f"{name} {old[name]} → {new[name]}" for name in old if old[name] != new[name])


WHOLE = Split()
"""One device takes it all, at once."""


@dataclasses.dataclass(frozen=True, eq=False)
class Shares:
    """Which examples of a batch each device takes: pieces of one size."""

    size: int
    """Examples in a piece."""
    first: Array
    """``(devices, pieces)``: place in the batch of each piece's first example."""
    weight: Array
    """``(devices, pieces)``: share of the batch; 0 for a piece that is only there to fill up, and counts nothing."""

    @property
    def whole(self) -> int:
        """Examples in the batch."""
        return self.size * int(np.count_nonzero(self.weight))

    @property
    def places(self) -> Array:
        """``(devices, pieces, size)``: places in the batch."""
        return self.first[..., None] + np.arange(self.size)

    def of(self, device: int) -> Array:
        """Places in the batch that one device takes."""
        return self.places[device][self.weight[device] > 0].reshape(-1)


def shares(batch: int, split: Split) -> Shares:
    """A batch divided over devices, as evenly as pieces of one size allow: those of the last may be fewer.

    Args:
        batch: how many examples.
        split: over how many devices, and into how many pieces on each at least.
    """
    most = max(UNEVEN * batch / split.devices, math.ceil(batch / split.devices))
    sizes = [size for size in range(batch, 0, -1) if batch % size == 0]

    def fits(size: int) -> bool:
        each = math.ceil(batch / size / split.devices)
        return size == 1 or (each >= split.pieces and each * size <= most)

    size = next(filter(fits, sizes))
    each = np.array_split(np.arange(batch // size), split.devices)
    longest = max(map(len, each))
    first, weight = np.zeros((split.devices, longest), np.int32), np.zeros((split.devices, longest), np.float32)
    for device, own in enumerate(each):
        first[device, : len(own)], weight[device, : len(own)] = own * size, size / batch
    return Shares(size, first, weight)


def prepare(count: int) -> None:
    """Have virtual devices made of this machine's processor, where JAX hasn't started yet; :func:`mesh` takes them if
    there aren't so many real ones.

    They share the processor's cores, so nothing gets faster. XLA divides larger work among more threads then, which
    costs a little and rounds otherwise: nobody gets them unasked.
    """
    with contextlib.suppress(RuntimeError):  # too late: what there is must do
        jax.config.update("jax_num_cpu_devices", count)


def fitting(split: Split) -> Split:
    """The same, or on as many devices as there are: a run may be opened where there are fewer than it had."""
    if split.devices == 1:
        return split
    there = max(len(jax.devices()), len(jax.devices("cpu")))
    return split if split.devices <= there else dataclasses.replace(split, devices=there)


def mesh(count: int, devices: Sequence[Any] | None = None) -> Mesh:
    """So many devices in a row.

    Args:
        count: how many.
        devices: those to take them from; unless given, what JAX computes on in all processes, or else virtual ones.

    Raises:
        ParallelError: there aren't so many.
    """
    found = list(jax.devices() if devices is None else devices)
    if devices is None and len(found) < count:
        found = max(found, jax.devices("cpu"), key=len)
    if len(found) < count:
        raise ParallelError(
            f"{count} devices were asked for, and JAX sees {len(found)} ({found[0].platform.upper()}). Virtual ones "
            "are made of a processor before JAX starts: by --devices, or in Python by engine.shares.prepare."
        )
    return Mesh(np.array(found[:count]), (AXIS,))


def divisible(problem: Problem) -> Problem:
    """The problem, each of whose steps can be divided: it is taken on some examples, or on all there are, by number.

    Of a function of one's own nobody knows whether its loss is the mean over its examples; so that is tried.

    Raises:
        ParallelError: it can't be divided; the message says why.
    """
    if not problem.apart:
        text = "norm 'batch' takes its mean over the whole batch, which none of several devices has"
        raise ParallelError(f"{text}: choose norm layer or rms, or one device.")
    if problem.rows(0) is not None:
        return problem
    found = problem.once("divisible", lambda: _Trial(problem)).found
    if isinstance(found, str):
        raise ParallelError(found)
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class _Trial:
    """Whether a function of one's own can be divided; tried once, and others who share the problem needn't wait."""

    problem: Problem

    @cached_property
    def found(self) -> Problem | str:
        """The problem with its examples by number, or why there is none."""
        try:
            return _by_example(self.problem)
        except ParallelError as error:
            return str(error)


def _by_example(problem: Problem) -> Problem:
    leaves = [leaf for leaf in jax.tree.leaves(problem.examples) if is_array(leaf)]
    if any(jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.extended) for leaf in leaves):
        raise ParallelError(
            f"{problem.title} is called on a key of random numbers, of which each device would draw the same: leave it "
            "on one device."
        )
    lengths = {np.shape(leaf)[0] for leaf in leaves if np.ndim(leaf)}
    if not lengths:
        raise ParallelError(f"{problem.title} has no batch of examples to be divided: leave it on one device.")
    if len(lengths) > 1 or lengths <= {0, 1}:
        first = " and ".join(map(str, sorted(lengths)))
        raise ParallelError(
            f"What {problem.title} is called on besides its parameters has first axes of {first}: devices divide arrays"
            " that have one row for each example, and at least two of them."
        )
    (count,) = lengths
    found = dataclasses.replace(problem, rows=lambda step: np.arange(count))
    _check_mean(found, min(count, TRIED))
    return found


def _check_mean(problem: Problem, count: int) -> None:
    """Whether the loss, and its gradient, is the mean of those on single examples: then it is that of any parts.

    It is tried beside the first parameters, which are often special: all zero, or alike.
    """
    params, examples = _beside(problem.params), _wide(problem.taken(np.arange(count)))
    try:
        found = compiled(partial(_both, problem), problem.graph, params, np.arange(count), *examples)
    except Exception as error:  # the user's own code, on fewer examples than it was written for
        raise ParallelError(
            f"{problem.title} can't be called on single examples, so no device can take a part: "
            f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
        ) from error
    (whole, mean, usual), (off, size) = jax.tree.map(float, found)
    if not math.isfinite(whole):
        raise ParallelError(
            f"Whether {problem.title} is the mean over its examples can't be told: it is {short(whole)} where that was "
            "tried. Leave it on one device."
        )
    if not (abs(whole - mean) <= CLOSE * usual and off <= CLOSE * size):
        raise ParallelError(
            f"{problem.title} isn't the mean over its examples: of {count} together it is {short(whole)}, the mean of "
            f"each alone {short(mean)}, or the gradients differ. So no device can take a part."
        )


def _both(problem: Problem, params: Any, places: Array, *examples: Any) -> Any:
    """Loss of all, mean of each one's, and their mean size; how far the gradients are apart, and each one's size."""

    def loss(params: Any, examples: Any) -> Array:
        return problem.fun(*params, *examples)

    def alone(place: Array) -> Any:
        own = jax.tree.map(lambda leaf: leaf[place][None] if np.ndim(leaf) else leaf, examples)
        value, grads = jax.value_and_grad(loss)(params, own)
        return value, jnp.abs(value), grads, _norm(grads)

    whole, grads = jax.value_and_grad(loss)(params, examples)
    value, usual, each, size = jax.tree.map(lambda leaf: leaf.mean(0), lax.map(alone, places))
    return (whole, value, usual), (_norm(jax.tree.map(jnp.subtract, each, grads)), size)


def _norm(tree: Any) -> Array:
    return jnp.sqrt(sum((jnp.vdot(leaf, leaf).real for leaf in jax.tree.leaves(tree)), jnp.zeros(())))


def _wide(tree: Any) -> Any:
    """The same in float32 where it is in less: what is asked for is no matter of rounding."""

    def own(leaf: Any) -> Any:
        narrow = is_array(leaf) and jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
        return jnp.asarray(leaf, jnp.promote_types(jnp.result_type(leaf), jnp.float32)) if narrow else leaf

    return jax.tree.map(own, tree)


def _beside(params: Any) -> Any:
    draw = np.random.default_rng(0)

    def own(leaf: Array) -> Array:
        size = float(jnp.sqrt(jnp.mean(jnp.abs(leaf) ** 2))) if leaf.size else 0.0
        return leaf + jnp.asarray(0.3 * (size or 0.3) * draw.normal(size=leaf.shape), leaf.dtype)

    return jax.tree.map(own, jax.tree.map(jnp.asarray, _wide(params)))


def placed(array: Array, where: NamedSharding) -> Array:
    """An array that every process has, put on a mesh; each device gets its part."""
    host = np.asarray(array)
    return jax.make_array_from_callback(host.shape, where, lambda index: host[index])

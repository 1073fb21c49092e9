"""How a step is divided: over how many devices, which examples each of them takes, and where those devices are.

Which examples a step is taken on, and in what order, follows from the seed and the step's number; here is only decided
who takes which of them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding

from engine.errors import EngineError

Array = Any

AXIS = "data"
"""Name of the mesh's axis: each device along it has its own examples."""

UNEVEN = 1.25
"""By how much the largest share may exceed the mean, so that it is cut into fewer pieces."""


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


def placed(array: Array, where: NamedSharding) -> Array:
    """An array that every process has, put on a mesh; each device gets its part."""
    host = np.asarray(array)
    return jax.make_array_from_callback(host.shape, where, lambda index: host[index])

"""The all-reduce as a ring does it, step by step: every device sends to the next one only.

The array is cut into as many chunks as there are devices. In ``n − 1`` steps each chunk travels around and gathers the
parts of all (reduce-scatter): then each device has one chunk of the sum. In ``n − 1`` more the chunks go around as they
are (all-gather). Whatever ``n``, a device sends no more than twice the array: ``2 (n − 1) / n`` of it.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from engine.shares import AXIS

Array = Any


@dataclasses.dataclass(frozen=True, eq=False)
class Ring:
    """What every device held after every step."""

    stages: Array
    """``(1 + 2 (devices − 1), devices, chunks, entries)``: at first, and after each step; zeros fill the last chunk."""
    sent: Array
    """``(2 (devices − 1), devices)``: the chunk that each device sent to the next one in each step."""
    size: int
    """Entries of the array."""

    @property
    def total(self) -> Array:
        """``(devices, entries)``: what each has at the end, the sum of what they had at first."""
        last = self.stages[-1]
        return last.reshape(len(last), -1)[:, : self.size]

    @property
    def bytes_sent(self) -> int:
        """What one device sends in all."""
        return len(self.sent) * int(self.stages[0, 0, 0].nbytes)


def ring(mesh: Mesh, parts: Array) -> Ring:
    """Add up what the devices have.

    Args:
        mesh: the devices, those of this process.
        parts: ``(devices, …)``: an array for each.
    """
    many = len(parts)
    flat = np.asarray(parts).reshape(many, -1)
    padded = np.pad(flat, ((0, 0), (0, -flat.shape[1] % many))).reshape(many, many, -1)
    steps = range(many - 1)
    body = jax.shard_map(partial(_around, many), mesh=mesh, in_specs=P(AXIS), out_specs=P(None, AXIS), check_vma=False)
    stages = np.asarray(jax.jit(body)(padded))
    sent = [[(device + late - step) % many for device in range(many)] for late in (0, 1) for step in steps]
    return Ring(stages, np.array(sent, int).reshape(-1, many), flat.shape[1])


def _around(many: int, held: Array) -> Array:
    """One device's part: its chunks after each step, ``(stages, 1, chunks, entries)``."""
    own, chunks, stages = lax.axis_index(AXIS), held[0], [held[0]]
    pass_on = partial(lax.ppermute, axis_name=AXIS, perm=[(device, (device + 1) % many) for device in range(many)])
    for late in (0, 1):
        for step in range(many - 1):
            came = pass_on(chunks[(own + late - step) % many])
            place = (own - 1 + late - step) % many
            chunks = chunks.at[place].set(came) if late else chunks.at[place].add(came)
            stages.append(chunks)
    return jnp.stack(stages)[:, None]

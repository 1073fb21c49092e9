"""Several processes that train as one: how they meet, what one of them tells all, and what all of them hold.

JAX's own ``jax.distributed`` brings them together: by the address of a coordinator, or as SLURM, Open MPI, Kubernetes
or a TPU pod has placed them. Every process then runs the same program, and takes the same steps at the same time; so
whatever depends on a clock or on a person is decided by process 0, and told to the others (:func:`agreed`).

A process that dies is known to the others within milliseconds where they wait for what it should have sent, and after
:data:`HEARTBEAT_SECONDS` where they don't. There is no way for them to go on without it: all end, and the last snapshot
begins anew.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import socket
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from engine.errors import EngineError

Array = Any

HEARTBEAT_SECONDS = 10
"""After so long a process that doesn't answer is taken for dead; JAX's own 100 are too long to sit and wait."""

MEETING_SECONDS = 300
"""How long the first process that is there waits for the last."""

LEAVING_SECONDS = 60
"""How long one that is at its end waits for the others."""

_NAME = 64
"""Bytes that a machine's name may take, as the system limits it."""

LOOPBACK = ("127.0.0.1", "localhost")

_SIGNS = ("gloo", "nccl", "collective", "coordination", "connection", "heartbeat", "unavailable", "deadline_exceeded")
"""Words of errors that say that another process can't be reached; there is no exception of their own."""


class ClusterError(EngineError, RuntimeError):
    """The processes can't meet; the message says what to do."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Which of several processes this one is, and where they meet."""

    coordinator: str = ""
    """``HOST:PORT`` of process 0; empty where a cluster has placed them."""
    processes: int = 1
    id: int = 0


def meet(place: Place) -> None:
    """Wait until all processes are there; before anything else is asked of JAX.

    JAX itself ends a process, without an exception, that the others don't meet in time.

    Raises:
        ClusterError: there is no cluster, the coordinator can't listen at its address, or there are fewer accelerators
            than processes.
    """
    patience: dict[str, Any] = {
        "initialization_timeout": MEETING_SECONDS,
        "heartbeat_timeout_seconds": HEARTBEAT_SECONDS,
        "shutdown_timeout_seconds": LEAVING_SECONDS,
    }
    try:
        jax.distributed.initialize(**_where(place), **patience)
    except ValueError as error:
        raise ClusterError(
            "No cluster was found that has placed this process: SLURM, Open MPI, Kubernetes and TPU pods are known. "
            "Elsewhere give --coordinator HOST:PORT, --processes N and --process-id R."
        ) from error
    except RuntimeError as error:
        raise ClusterError(
            f"Process {place.id} can't meet the others at {place.coordinator}: {str(error).splitlines()[0]}. "
            "Give the address of the machine that process 0 runs on, and a port that is free there."
        ) from error
    try:
        # what connects CPUs gives the first exchange 30 seconds, and those that follow all the time they need
        agreed(0)
        hosts()
    except RuntimeError as error:
        if "initialize backend" not in str(error):
            raise
        raise ClusterError(
            f"Process {place.id} finds no accelerator that is left for it: each process takes one. Start fewer, or set "
            f"JAX_PLATFORMS=cpu, which leaves them alone. JAX says: {str(error).splitlines()[0]}"
        ) from error


def _where(place: Place) -> dict[str, Any]:
    if not place.coordinator:
        return {}
    given = {"coordinator_address": place.coordinator, "num_processes": place.processes, "process_id": place.id}
    if place.coordinator.rpartition(":")[0] in LOOPBACK:
        # JAX listens at every address of the machine unless told; and of its accelerators each process takes one
        given |= {"coordinator_bind_address": place.coordinator, "local_device_ids": [place.id]}
    return given


def part() -> None:
    """Wait until all processes have come so far; from here on each is alone."""
    jax.distributed.shutdown()


def first() -> bool:
    """Whether this process is the one that decides, prints and serves."""
    return jax.process_index() == 0


def several() -> bool:
    """Whether there are others."""
    return jax.process_count() > 1


def agreed(*values: int) -> tuple[int, ...]:
    """What process 0 gave, in every process; all of them must call it."""
    if not several():
        return values
    return tuple(int(value) for value in multihost_utils.broadcast_one_to_all(np.asarray(values, np.int32)))


@functools.cache
def hosts() -> tuple[str, ...]:
    """Name of the machine that each process runs on; all of them ask for the first time together."""
    own = socket.gethostname()
    if not several():
        return (own,)
    text = own.encode()[:_NAME].ljust(_NAME, b"\0")
    every = multihost_utils.process_allgather(np.frombuffer(text, np.uint8))
    return tuple(bytes(name).rstrip(b"\0").decode(errors="replace") for name in np.asarray(every))


def alike(text: str) -> bool:
    """Whether all processes give the same text; all of them must call it."""
    own = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)
    return bool((np.asarray(multihost_utils.process_allgather(own)) == own).all())


def lost(error: Exception) -> bool:
    """Whether an error says that another process is gone."""
    return any(sign in str(error).lower() for sign in _SIGNS)


# ---- arrays --------------------------------------------------------------------------------------------------------


def divided(array: Array) -> Array:
    """An array that every process holds alike, cut into slices, one for each device of all processes.

    It is cut along the first axis that can be; where none can be, each device has all of it. Alone it stays as it is.
    """
    if not several():
        return array
    held, mesh = np.asarray(array), Mesh(np.array(jax.devices()), ("devices",))
    cut = next((axis for axis, size in enumerate(held.shape) if size and size % mesh.size == 0), None)
    spec = PartitionSpec() if cut is None else PartitionSpec(*[None] * cut, "devices")
    return jax.make_array_from_callback(held.shape, NamedSharding(mesh, spec), held.__getitem__)

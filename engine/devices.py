"""What JAX computes on here, and whether an accelerator lies idle because its build of JAX isn't installed."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax

GIB = 2**30

_SIGNS = {
    "cuda": (("/dev/nvidiactl", "/dev/nvidia0"), "nvidia-smi"),
    "tpu": (("/dev/accel0", "/dev/vfio/0"), ""),
}
"""For each extra the devices that the system shows where it is of use, and a command that comes with them."""

_CALLED = {"cuda": "an NVIDIA GPU", "tpu": "a TPU"}


@dataclasses.dataclass(frozen=True)
class Kind:
    """Devices that are alike."""

    platform: str
    """``cpu``, ``gpu`` or ``tpu``."""
    name: str
    """As the maker calls it."""
    count: int
    memory: int | None = None
    """Bytes that JAX may use on each; ``None`` where it doesn't say."""

    def __str__(self) -> str:
        if self.platform == "cpu":
            own = "the processor of this machine (CPU)"
            return own if self.count == 1 else f"{own}, as {self.count} devices"
        each = "" if self.memory is None else f", {self.memory / GIB:.0f} GiB{' each' if self.count > 1 else ''}"
        return f"{self.count} × {self.name}{each}"


def kinds() -> tuple[Kind, ...]:
    """The devices that JAX computes on unless told otherwise, those that are alike together."""
    found: dict[tuple[str, str], list[Any]] = {}
    for device in jax.devices():
        found.setdefault((device.platform, device.device_kind), []).append(device)
    return tuple(Kind(*key, len(alike), _memory(alike)) for key, alike in found.items())


def _memory(alike: Iterable[Any]) -> int | None:
    limits = [(device.memory_stats() or {}).get("bytes_limit") for device in alike if device.process_index == _here()]
    return min((limit for limit in limits if limit), default=None)


def _here() -> int:
    return jax.process_index()


def sentence() -> str:
    """What the page says: ``Computed on 1 × NVIDIA H100 80GB HBM3, 59 GiB``, and whether more lies idle."""
    idle = idle_accelerator()
    more = f" There seems to be {_CALLED[idle]} as well: backprop-explorer doctor says what it lacks." if idle else ""
    return f"Computed on {' and '.join(map(str, kinds()))}.{more}"


def idle_accelerator() -> str:
    """The extra that would install a build of JAX for an accelerator that seems to be here and isn't used; or nothing.

    Who keeps JAX on the CPU by ``JAX_PLATFORMS`` knows why.
    """
    if jax.default_backend() != "cpu" or os.environ.get("JAX_PLATFORMS", ""):
        return ""
    return next((extra for extra, signs in _SIGNS.items() if _shows(*signs)), "")


def _shows(paths: Iterable[str], command: str) -> bool:
    return any(Path(path).exists() for path in paths) or bool(command and shutil.which(command))


def advice(extra: str) -> str:
    """What to do about an accelerator that isn't used."""
    return (
        f"There seems to be {_CALLED[extra]}, and JAX doesn't see it. pip install 'backprop-explorer[{extra}]' brings "
        "the build of JAX for it; JAX itself says at its start what else it lacks, such as a driver."
    )


def settle() -> None:
    """Let products of single precision keep it: accelerators would round their factors to ten or to seven bits, and
    hardly a sentence in numbers would come out as it is written. Who has told JAX a precision keeps that.
    """
    if jax.default_backend() != "cpu" and jax.config.values["jax_default_matmul_precision"] is None:
        jax.config.update("jax_default_matmul_precision", "highest")

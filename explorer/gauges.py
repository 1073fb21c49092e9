"""What one process that serves pages tells of itself: counts since its start, and what it keeps. No word of anybody."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

BUCKETS = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Seconds that answers are counted by."""

PREFIX = "backprop_explorer_"

TOLD = {
    "sessions": ("gauge", "Pages that are open."),
    "training": ("gauge", "Pages that train at the moment."),
    "steps_total": ("counter", "Training steps that were taken."),
    "memory_bytes": ("gauge", "Memory that the process keeps resident."),
    "allocated_bytes": ("gauge", "Memory that was asked for and not given up, as glibc knows it."),
    "cpu_seconds_total": ("counter", "Time that its threads have computed."),
    "answer_seconds": ("histogram", "From what somebody did on a page to its answer, on the server."),
}
"""Each number: its kind for Prometheus, and what it is."""

Told = dict[str, float]


class Gauges:
    """The counts of this process. May be used in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(("steps_total", *_buckets(), "answer_seconds_sum"), 0.0)

    def stepped(self, count: int) -> None:
        """Some training steps were taken."""
        self._add({"steps_total": count})

    def answered(self, seconds: float) -> None:
        """Something that a person did was answered."""
        within = [name for name, edge in zip(_buckets(), (*BUCKETS, float("inf")), strict=True) if seconds <= edge]
        self._add(dict.fromkeys(within, 1.0) | {"answer_seconds_sum": seconds})

    def told(self) -> Told:
        """All there is to tell, by name."""
        with self._lock:
            counts = dict(self._counts)
        memory = {"memory_bytes": resident(), "allocated_bytes": allocated()}
        return counts | memory | {"cpu_seconds_total": time.process_time()}

    def _add(self, more: Mapping[str, float]) -> None:
        with self._lock:
            for name, count in more.items():
                self._counts[name] += count


def _buckets() -> list[str]:
    return [f'answer_seconds_bucket{{le="{edge}"}}' for edge in (*BUCKETS, "+Inf")]


def resident() -> float:
    """Bytes that this process keeps resident; 0 where the system doesn't say."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    return 1024.0 * int(status.partition("VmRSS:")[2].split()[0])


class _Allocation(ctypes.Structure):
    """``struct mallinfo2``."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def allocated() -> float:
    """Bytes that something in this process has asked for and not given up; 0 where the C library doesn't say.

    Others stay resident: a page of memory goes back to the system only where nothing in it is used.
    """
    ask = getattr(ctypes.CDLL(None), "mallinfo2", None) if sys.platform == "linux" else None
    if ask is None:
        return 0.0
    ask.restype = _Allocation
    found = ask()
    return float(found.uordblks + found.hblkhd)


def give_back() -> None:
    """Give memory back to the system that nothing needs any more; glibc keeps it for itself otherwise."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim:
            trim(0)


def as_text(processes: Iterable[tuple[str, Told]]) -> str:
    """What some processes tell, in the text format of Prometheus; each with the label ``worker``."""
    given = list(processes)
    lines = []
    for name, (kind, words) in TOLD.items():
        lines += [f"# HELP {PREFIX}{name} {words}", f"# TYPE {PREFIX}{name} {kind}"]
        for worker, told in given:
            lines += [_line(key, value, worker) for key, value in told.items() if _of(key, name)]
            if kind == "histogram" and told:
                lines.append(_line(f"{name}_count", told[f'{name}_bucket{{le="+Inf"}}'], worker))
    return "\n".join(lines) + "\n"


def _of(key: str, name: str) -> bool:
    return key == name or key.startswith((f"{name}_bucket", f"{name}_sum"))


def _line(key: str, value: float, worker: str) -> str:
    name, _, labels = key.rstrip("}").partition("{")
    inside = ",".join(part for part in (f'worker="{worker}"', labels) if part)
    return f"{PREFIX}{name}{{{inside}}} {value:.10g}"


GAUGES = Gauges()
"""Of this process."""

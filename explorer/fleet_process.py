"""The only door to the process that has several devices.

XLA makes virtual devices only before it starts, and with eight of them it divides a larger product among more threads
than with one: slower on two cores, and rounded otherwise. So the page's own process keeps its one device, and this one
is started when somebody first asks.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import IO, Any

from explorer.errors import ExplorerError

TIME_LIMIT = 300.0
"""Seconds that one answer may take: on a busy machine the compiler needs most of it."""


class FleetError(ExplorerError):
    """The devices gave no answer."""


class FleetProcess:
    """A worker that lives on between questions; one question at a time, whoever asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def ask(self, question: Mapping[str, Any], limit: float = TIME_LIMIT) -> dict[str, Any]:
        """The answer of :class:`explorer.fleet.Fleet`; what can't be has an ``error``.

        Raises:
            FleetError: the process ended, or took too long; the next question starts another one.
        """
        with self._lock:
            process = self._running()
            line = _asked(process, json.dumps(question), limit)
            if not line:
                self._stop()
                reason = "ended unexpectedly" if line == "" else f"took more than {limit:g} seconds"
                raise FleetError(f"The process with the devices {reason}. Ask again: another one is started then.")
        return dict(json.loads(line))

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._stop()

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._stop()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "explorer.fleet_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                # beside the page's own process on the same accelerators, neither may take all of their memory
                env={**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"},
            )
        return self._process

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):
                    stream.close() if stream else None
            self._process = None


def _asked(process: subprocess.Popen[str], text: str, limit: float) -> str | None:
    """One line out, one line back; an empty one if the process ended, none if the time is over."""
    assert process.stdin is not None
    assert process.stdout is not None
    answers: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read_line, args=(process.stdout, answers), daemon=True).start()
    with contextlib.suppress(OSError):
        process.stdin.write(text + "\n")
        process.stdin.flush()
    try:
        return answers.get(timeout=limit)
    except queue.Empty:
        return None


def _read_line(stream: IO[str], answers: queue.SimpleQueue[str]) -> None:
    try:
        answers.put(stream.readline())
    except ValueError:  # closed while waiting: the process was killed
        answers.put("")


FLEET = FleetProcess()
"""That of this process: pages share it."""

atexit.register(FLEET.close)

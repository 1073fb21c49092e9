"""From a training loop to the process that shows it: what is offered is sent by a thread, and nobody waits for it.

Nothing of it can hold the loop up. What isn't sent in time makes room for what is newer; where the other process dies,
or doesn't read, the loop goes on without it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

WAITING = 256
"""Samples that wait to be sent, at most."""

GATHER_SECONDS = 0.1
"""How long they are gathered: a thread that wakes for each of them would cost more than they do."""

CLOSE_SECONDS = 5.0
"""How long the end waits for the last ones to be sent, and for the process."""

Pieces = Iterable[bytes | memoryview]

_left: list[subprocess.Popen[bytes]] = []
"""Processes that go on because somebody still looks; they end by themselves."""


class Link:
    """A process that shows what it is sent, and what it says."""

    def __init__(self, arguments: list[str], pieces: Callable[[Any], Pieces], heard: Callable[[str], None]) -> None:
        """Start it.

        Args:
            arguments: for ``python``.
            pieces: makes bytes of what was offered; called in a thread of its own.
            heard: is given each line that the process writes, and an empty one when it has ended.
        """
        self._pieces, self._heard = pieces, heard
        self._waiting: deque[Any] = deque(maxlen=WAITING)
        self._news, self._ending = threading.Event(), threading.Event()
        self.process = _started(arguments)
        self._sender = threading.Thread(target=self._send, name="watch", daemon=True)
        self._sender.start()
        self._listener = threading.Thread(target=self._listen, name="watched", daemon=True)
        self._listener.start()

    def offer(self, item: Any) -> None:
        """Have something sent; returns at once."""
        self._waiting.append(item)
        self._news.set()

    def close(self) -> None:
        """Send what waits, then nothing more. The process goes on as long as somebody looks."""
        self._ending.set()
        self._news.set()
        self._sender.join(CLOSE_SECONDS)
        if self._sender.is_alive():  # it isn't read
            self.process.kill()
            self._sender.join(CLOSE_SECONDS)
        with contextlib.suppress(OSError):
            _end_of(self.process.stdin).close()
        try:
            self.process.wait(CLOSE_SECONDS)
            self._listener.join(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            _left.append(self.process)

    def _send(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # it has ended, or was closed
            while not self._ending.is_set() or self._waiting:
                self._news.wait()
                self._ending.wait(GATHER_SECONDS)
                self._news.clear()
                while self._waiting:
                    for piece in self._pieces(self._waiting.popleft()):
                        _write(_end_of(self.process.stdin), piece)

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError), _end_of(self.process.stdout) as said:
            for line in said:
                self._heard(line.decode(errors="replace").strip())
        self._heard("")


def _started(arguments: list[str]) -> subprocess.Popen[bytes]:
    """A Python that finds this package, on the CPU alone, and that no Ctrl+C reaches."""
    ours = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [ours, os.environ.get("PYTHONPATH", "")]))
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-P", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, env=environment, start_new_session=True)


def _end_of(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _write(pipe: IO[bytes], piece: bytes | memoryview) -> None:
    view = memoryview(piece)
    while view:
        view = view[pipe.write(view) :]

"""The only door to the Graphviz engine. It runs in another process and has a time limit: the page never hangs.

By default the libraries that the ``pygraphviz`` wheel bundles are used, so no system package is needed; the system's
``dot`` is used when asked for.
"""

from __future__ import annotations

import contextlib
import json
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

from explorer.errors import LayoutError, LayoutTimeout

TIME_LIMIT = 5.0
"""Seconds that one level may take."""

_WORKER = Path(__file__).with_name("dot_worker.py")


class Engine(Protocol):
    """Something that turns DOT text into Graphviz's JSON."""

    def lay_out(self, text: str, limit: float = TIME_LIMIT) -> str:
        """Lay a graph out, or raise :class:`LayoutTimeout` after ``limit`` seconds."""
        ...

    def close(self) -> None:
        """Stop whatever runs."""
        ...

    def __hash__(self) -> int: ...


class Bundled:
    """The Graphviz libraries that ``pygraphviz`` bundles, in a worker process that lives on between layouts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def warm(self) -> None:
        """Start the worker now, beside whatever else is starting."""
        with self._lock:
            self._running()

    def lay_out(self, text: str, limit: float = TIME_LIMIT) -> str:
        with self._lock:
            process = self._running()
            try:
                answer = _ask(process, text, limit)
            except BaseException:
                self._stop()  # whatever it is doing, its next answer would be to this question
                raise
        if "error" in answer:
            raise LayoutError(f"Graphviz could not lay the graph out: {answer['error']}")
        return str(answer["json"])

    def close(self) -> None:
        with self._lock:
            self._stop()

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._stop()  # what is left of one that died
            self._process = subprocess.Popen(
                [sys.executable, str(_WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
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


class System:
    """The ``dot`` program of the system."""

    def __init__(self, program: str = "dot") -> None:
        found = shutil.which(program)
        if found is None:
            raise LayoutError(
                f"No program {program!r} on this machine. Install Graphviz (apt install graphviz, brew install "
                "graphviz) or leave --graphviz at its default, which needs no system package."
            )
        self._program = found

    def lay_out(self, text: str, limit: float = TIME_LIMIT) -> str:
        try:
            done = subprocess.run([self._program, "-Tjson0"], input=text, capture_output=True, text=True, timeout=limit)
        except subprocess.TimeoutExpired:
            raise LayoutTimeout(limit) from None
        if done.returncode:
            raise LayoutError(f"{self._program} could not lay the graph out: {done.stderr.strip()}")
        return done.stdout

    def close(self) -> None:
        """Nothing runs between layouts."""


def open_engine(name: str = "bundled") -> Engine:
    """The Graphviz engine of this name: ``bundled`` or ``system``."""
    if name not in ("bundled", "system"):
        raise LayoutError(f"Graphviz engine {name!r} is neither 'bundled' nor 'system'.")
    return Bundled() if name == "bundled" else System()


def _ask(process: subprocess.Popen[str], text: str, limit: float) -> dict[str, str]:
    """One question, one line; one answer, one line."""
    assert process.stdin is not None
    assert process.stdout is not None
    answers: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read_line, args=(process.stdout, answers), daemon=True).start()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps(text) + "\n")
        process.stdin.flush()
    try:
        line = answers.get(timeout=limit)
    except queue.Empty:
        raise LayoutTimeout(limit) from None
    if not line:
        raise LayoutError("The Graphviz worker stopped. Is pygraphviz 2.0 or later installed? pip install pygraphviz.")
    return dict(json.loads(line))


def _read_line(stream: IO[str], answers: queue.SimpleQueue[str]) -> None:
    try:
        answers.put(stream.readline())
    except ValueError:  # closed while waiting: the process was killed
        answers.put("")


@contextlib.contextmanager
def engine(name: str = "bundled") -> Iterator[Engine]:
    """An engine that is closed at the end."""
    opened = open_engine(name)
    try:
        yield opened
    finally:
        opened.close()


_engine_lock = threading.Lock()
_engines: list[Bundled] = []


def shared_engine() -> Engine:
    """The layout engine of this process; it remembers nothing of anybody's graph."""
    with _engine_lock:
        if not _engines:
            _engines.append(Bundled())
        return _engines[0]

"""The only door to the Graphviz engine. It runs in another process and has a time limit: the page never hangs.

By default the libraries that the ``pygraphviz`` wheel bundles are used, so no system package is needed; the system's
``dot`` is used when asked for.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from explorer.answerer import Answerer
from explorer.errors import LayoutError, LayoutTimeout

TIME_LIMIT = 5.0
"""Seconds that one level may take to compute."""

PATIENCE = 12 if hasattr(signal, "setitimer") else 1
"""How many times as long an answer is waited for, by the clock: a machine may be busy with others."""

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
        self._worker = Answerer(str(_WORKER))

    def warm(self) -> None:
        """Start the worker now, beside whatever else is starting."""
        self._worker.warm()

    def lay_out(self, text: str, limit: float = TIME_LIMIT) -> str:
        line = self._worker.ask(json.dumps([text, limit]), PATIENCE * limit)
        if line is None:
            raise LayoutTimeout(limit)
        if not line:
            install = "Is pygraphviz 2.0 or later installed? pip install pygraphviz."
            raise LayoutError(f"The Graphviz worker stopped. {install}")
        answer = json.loads(line)
        if "error" in answer:
            raise LayoutError(f"Graphviz could not lay the graph out: {answer['error']}")
        return str(answer["json"])

    def close(self) -> None:
        self._worker.close()


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

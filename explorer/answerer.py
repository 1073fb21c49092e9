"""A process of one's own that answers each line with a line. It lives on between questions, and has a time limit."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from typing import IO

TOO_LONG = -signal.SIGPROF if hasattr(signal, "SIGPROF") else None
"""How a process has ended that had the system limit how long it computes."""


class Answerer:
    """Started when it is first asked, and again after it ended; one question at a time, whoever asks."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        """Nothing runs yet.

        Args:
            *arguments: of Python.
            **environment: of the process, besides what it inherits.
        """
        self.process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._closed = 0
        self._arguments, self._environment = arguments, environment

    def warm(self) -> None:
        """Start it now, beside whatever else is starting."""
        with self._lock:
            self._running()

    def ask(self, text: str, limit: float) -> str | None:
        """Its answer to one line; an empty one if it ended, none if it took longer than ``limit`` seconds, or ended
        because it computed longer than it wanted to.
        """
        closed = self._closed
        with self._lock:
            if closed != self._closed:  # while others were answered
                return ""
            process = self._running()
            line: str | None = ""
            try:
                line = _asked(process, text, limit)
                if line == "" and _ended(process) == TOO_LONG:
                    line = None
            finally:  # whatever it is doing, its next answer would be to this question
                if not line:
                    self._stop()
            return line

    def close(self) -> None:
        """End it now; who waits for an answer gets none."""
        self._closed += 1
        if self.process is not None:
            self.process.kill()
        with self._lock:
            self._stop()

    def _running(self) -> subprocess.Popen[str]:
        if self.process is None or self.process.poll() is not None:
            self._stop()  # what is left of one that died
            self.process = subprocess.Popen(
                [sys.executable, *self._arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                env={**os.environ, **self._environment},
                process_group=0,  # Ctrl+C in the terminal is not meant for it: who started it ends it
            )
        return self.process

    def _stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdin, self.process.stdout):
                with contextlib.suppress(OSError):
                    stream.close() if stream else None
            self.process = None


def _asked(process: subprocess.Popen[str], text: str, limit: float) -> str | None:
    """One line out, one line back."""
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


def _ended(process: subprocess.Popen[str]) -> int:
    """How a process has ended that says nothing more; it is ended if it hasn't."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(1)
    process.kill()
    return process.wait()


def _read_line(stream: IO[str], answers: queue.SimpleQueue[str]) -> None:
    try:
        answers.put(stream.readline())
    except ValueError:  # closed while waiting: the process was killed
        answers.put("")

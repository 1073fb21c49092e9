"""Processes that train as one, started and watched: whatever becomes of one of them, people get a sentence.

JAX ends a process whose fellow has died with an abort and pages of C++. So each that trains (a worker) is the child of
one that only watches, this one, and writes what isn't for people into a log. On one machine all are children of the
same one; on a cluster every machine's own is watched where it runs.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import queue
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine import store
from explorer import options
from explorer.errors import ExplorerError

REFUSED, LOST, INTERRUPTED = 2, 75, 130
"""How a worker ends: what was asked can't be, and it said so; another one is gone; it was told to end."""

MET = "All processes have met."
"""What a worker logs when it has come so far."""

_SETTLE_SECONDS = 0.5
"""Where a process ended because another is gone, that one's own end is known so much later at most."""

_END_SECONDS = 5.0


class LaunchError(ExplorerError):
    """Processes can't be started so."""


@dataclasses.dataclass(frozen=True)
class Worker:
    """One of the processes, started here."""

    id: int
    """Its number; −1 where a cluster knows it."""
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def name(self) -> str:
        """How it is called to people."""
        return f"Process {self.id}" if self.id >= 0 else "This process"


@dataclasses.dataclass(frozen=True)
class End:
    """How several processes ended."""

    status: int
    said: str = ""
    """What happened, in one sentence; empty if nothing did, or it was said already."""
    trained: bool = True
    """Whether it had come so far that there may be something to go on from."""


def train(arguments: argparse.Namespace) -> int:
    """What ``train`` does where several processes do it: start those that are to be started here, and watch them.

    Args:
        arguments: of the command line.

    Raises:
        LaunchError: they can't be started so.
        SettingsError: what they would train can't be.
    """
    given = options.given(arguments)
    if not arguments.target and not arguments.open:
        options.settings(given)  # said once, and at once, not by each of them
    started, start = orders(arguments), store.read(arguments.open)[0]["step"] if arguments.open else 0
    end = watched(started)
    if end.said:
        print(f"backprop-explorer: {end.said}", file=sys.stderr)
    if end.said and end.trained:
        print(f"backprop-explorer: {_advice(arguments, start + arguments.steps)}", file=sys.stderr)
    return end.status


def orders(arguments: argparse.Namespace) -> list[tuple[int, list[str]]]:
    """Number and command line of each process that is started here.

    Args:
        arguments: of the command line.

    Raises:
        LaunchError: they contradict each other.
    """
    written, count, meeting = list(arguments.written), arguments.processes, arguments.coordinator
    if arguments.cluster:
        return [(-1, written)]
    if count < 1 or arguments.process_id >= count:
        raise LaunchError(
            f"--process-id is {arguments.process_id} of --processes {count}: processes are counted from 0, and each is "
            "given the number of all."
        )
    if meeting:
        host, _, port = meeting.rpartition(":")
        if not host or not port.isdecimal():
            raise LaunchError(f"--coordinator is {meeting!r}, and should be HOST:PORT, the same for all processes.")
        return [(arguments.process_id, written)]
    here = [*written, "--processes", str(count), "--coordinator", f"127.0.0.1:{free_port()}"]
    return [(id, [*here, "--process-id", str(id)]) for id in range(count)]


def _advice(arguments: argparse.Namespace, end: int) -> str:
    """How to go on from the last snapshot to the step that was asked for."""
    folder = arguments.save
    try:
        step = store.read(folder)[0]["step"] if folder else -1
    except store.StoreError:
        step = -1
    if step < 0:
        lacking = "no snapshot of it was complete yet." if folder else "--save FOLDER keeps snapshots on the way."
        return f"Nothing of the run was saved: {lacking}"
    fewer = ["--processes", str(arguments.processes - 1)] if arguments.processes > 2 else []
    folders = ["--open", folder, "--save", folder, "--steps", str(end - step)]
    again = shlex.join(["backprop-explorer", "train", *filter(None, [arguments.target]), *folders, *fewer])
    return f"The last snapshot is of step {step:,}. On fewer processes it goes on by: {again}"


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with contextlib.closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


# ---- watching ------------------------------------------------------------------------------------------------------


Start = Callable[[int, list[str], Path], subprocess.Popen[bytes]]


def worker(id: int, arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    """A process that trains; its input is closed when this one ends, however it does, and then it ends, too."""
    ours = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [ours, os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-P", "-c", "from explorer.cli import main; main()", *arguments, "--worker", str(log)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, env=os.environ | {"PYTHONPATH": path}, start_new_session=True
    )


def watched(orders: list[tuple[int, list[str]]], start: Start = worker) -> End:
    """Start processes, and wait for their end; where one fails, the others are ended.

    Args:
        orders: number and command line of each.
        start: starts one of them, with its number, its command line and the file of its log.
    """
    logs = Path(tempfile.mkdtemp(prefix="backprop-explorer-"))
    workers: list[Worker] = []
    with _forwarded(lambda number: _signal(workers, number)) as heard:
        try:
            for id, arguments in orders:
                log = logs / f"process-{max(id, 0)}.log"
                workers.append(Worker(id, start(id, arguments, log), log))
            end = _until_the_end(workers)
        finally:
            _stop(workers)
    if len(heard) > 1:  # the second time they were killed
        end = End(INTERRUPTED)
    if not end.said:
        shutil.rmtree(logs, ignore_errors=True)
    return end


def _until_the_end(workers: list[Worker]) -> End:
    ends: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    for worker in workers:
        threading.Thread(target=_await, args=(worker, ends), daemon=True).start()
    found = [ends.get()]
    while found[-1].process.returncode in (0, INTERRUPTED):
        if len(found) == len(workers):
            return End(max(worker.process.returncode for worker in found))
        found.append(ends.get())
    return _failed([found[-1], *_soon(ends)], workers)


def _await(worker: Worker, ends: queue.SimpleQueue[Worker]) -> None:
    worker.process.wait()
    ends.put(worker)


def _soon(ends: queue.SimpleQueue[Worker]) -> Iterator[Worker]:
    """Those that end in the next moment."""
    until = time.monotonic() + _SETTLE_SECONDS
    with contextlib.suppress(queue.Empty):
        while True:
            yield ends.get(timeout=max(until - time.monotonic(), 0))


def _failed(ended: list[Worker], workers: list[Worker]) -> End:
    """What happened, from those that have ended: where one ended because of another, that one's story."""
    cause = min(ended, key=_order)
    if _order(cause) == 0:
        return End(REFUSED)
    silent = [worker for worker in workers if worker.process.poll() is None]
    unheard = _followed(cause) and len(silent) == 1
    story = f"{silent[0].name} does not answer any more." if unheard else _story(cause)
    others = {1: "", 2: " The other was ended."}.get(len(workers), " The others were ended.")
    met = any(MET in _log(worker) for worker in workers)
    return End(1, f"{story}{others} The whole log is {cause.log}.", met)


def _order(worker: Worker) -> int:
    """Whose story is told: of one that has said why itself, of one with a cause of its own, of one that followed."""
    if worker.process.returncode == REFUSED and worker.id <= 0:
        return 0
    return 2 if _followed(worker) else 1


def _followed(worker: Worker) -> bool:
    """Whether a process ended because another one is gone."""
    return worker.process.returncode in (0, LOST, -signal.SIGABRT) and MET in _log(worker)


def _story(worker: Worker) -> str:
    status, last = worker.process.returncode, _last(worker)
    if _followed(worker):
        return f"{worker.name} has lost the others: one of them has died, or can't be reached any more."
    if MET not in _log(worker) and status in (LOST, -signal.SIGABRT, -signal.SIGSEGV):  # so JAX ends
        return (
            f"{worker.name} did not meet the others: all are given the number of processes and the address of "
            "process 0, with a port that is free there."
        )
    if status < 0:
        return f"{worker.name} was killed ({signal.Signals(-status).name})."
    return f"{worker.name} failed: {last}"


def _log(worker: Worker) -> str:
    return worker.log.read_text(encoding="utf-8", errors="replace") if worker.log.exists() else ""


def _last(worker: Worker) -> str:
    """The last line of a log that says something."""
    lines = [line.strip() for line in _log(worker).splitlines() if line.strip()]
    return lines[-1].removeprefix("backprop-explorer: ") if lines else "it said nothing."


# ---- ending --------------------------------------------------------------------------------------------------------


def _stop(workers: list[Worker]) -> None:
    for worker in workers:
        worker.process.kill()
    for worker in workers:
        worker.process.wait(_END_SECONDS)
        assert worker.process.stdin is not None
        worker.process.stdin.close()


def _signal(workers: list[Worker], number: int) -> None:
    for worker in workers:
        with contextlib.suppress(ProcessLookupError):
            worker.process.send_signal(number)


@contextlib.contextmanager
def _forwarded(send: Callable[[int], None]) -> Iterator[list[int]]:
    """Ctrl+C, or a cluster that wants its machine back, ends a run after the step in work; a second time, at once."""
    heard: list[int] = []

    def hear(number: int, frame: Any) -> None:
        heard.append(number)
        send(signal.SIGINT if len(heard) == 1 else signal.SIGKILL)

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield heard
    finally:
        for number, usual in before.items():
            signal.signal(number, usual)

"""One of several processes that train as one. What it says to people goes where it always goes, all else into a log.

The libraries that connect processes write to the outputs themselves, and JAX, where another process has died, ends this
one with pages of C++. The process that has started this one reads the log, and says it in a sentence.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable

from engine import cluster
from engine.errors import EngineError
from explorer.errors import ExplorerError
from explorer.launching import LOST, MET


def enter(log: str, place: cluster.Place) -> None:
    """Begin: meet the others.

    Args:
        log: a file.
        place: which of the processes this is.

    Raises:
        ClusterError: they can't meet.
    """
    threading.Thread(target=_end_with_starter, daemon=True).start()
    _part_outputs(log)
    cluster.meet(place)
    if not cluster.first():
        sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1, closefd=False)
    os.write(2, f"{MET}\n".encode())


def fellow(does: Callable[[], int]) -> int:
    """The exit status of what a worker does; where another one is gone, that says so."""
    try:
        return does()
    except (EngineError, ExplorerError):
        raise
    except Exception as error:  # noqa: BLE001 - the outermost edge of a worker: whoever watches it tells what came
        os.write(2, "".join(traceback.format_exception(error)).encode())
        return LOST if cluster.lost(error) else 1


def _end_with_starter() -> None:
    """Whoever started this process holds its input open, and is gone when that ends."""
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGKILL)


def _part_outputs(log: str) -> None:
    """Python's outputs stay what they are; file descriptors 1 and 2, which libraries write to, become a log."""
    sys.stdout.flush()
    sys.stderr.flush()
    sys.stdout, sys.stderr = (os.fdopen(os.dup(number), "w", buffering=1) for number in (1, 2))
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in (1, 2):
        os.dup2(file, number)
    os.close(file)

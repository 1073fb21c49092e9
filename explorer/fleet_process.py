"""The only door to the process that has several devices.

XLA makes virtual devices only before it starts, and with eight of them it divides a larger product among more threads
than with one: slower on two cores, and rounded otherwise. So the page's own process keeps its one device, and this one
is started when somebody first asks.
"""

from __future__ import annotations

import atexit
import json
from collections.abc import Mapping
from typing import Any

from explorer.answerer import Answerer
from explorer.errors import ExplorerError

TIME_LIMIT = 300.0
"""Seconds that one answer may take: on a busy machine the compiler needs most of it."""


class FleetError(ExplorerError):
    """The devices gave no answer."""


class FleetProcess:
    """Asks :class:`explorer.fleet.Fleet` in its own process."""

    def __init__(self) -> None:
        # beside the page's own process on the same accelerators, neither may take all of their memory
        self._worker = Answerer("-m", "explorer.fleet_worker", XLA_PYTHON_CLIENT_PREALLOCATE="false")

    def ask(self, question: Mapping[str, Any], limit: float = TIME_LIMIT) -> dict[str, Any]:
        """Its answer; what can't be has an ``error``.

        Raises:
            FleetError: the process ended, or took too long; the next question starts another one.
        """
        line = self._worker.ask(json.dumps(question), limit)
        if not line:
            reason = "ended unexpectedly" if line == "" else f"took more than {limit:g} seconds"
            raise FleetError(f"The process with the devices {reason}. Ask again: another one is started then.")
        return dict(json.loads(line))

    def close(self) -> None:
        """End the process; who waits for an answer gets none."""
        self._worker.close()


FLEET = FleetProcess()
"""That of this process: pages share it."""

atexit.register(FLEET.close)

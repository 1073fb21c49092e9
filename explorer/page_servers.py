"""The processes behind a front: each serves pages on a port of this machine alone, is started again if it ends, and
ends with the front, whatever ends that.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from typing import Any

from explorer.addresses import CONNECT_SECONDS
from explorer.errors import ExplorerError

AGAIN_SECONDS = 1.0


class Worker:
    """One process, and who is on it."""

    def __init__(self, order: dict[str, Any]) -> None:
        """Begin, with nothing started.

        Args:
            order: what the process is told at its input: see :mod:`explorer.page_server`.
        """
        self._order = order
        self._process: Any = None
        self._keeping: Any = None
        self.index: int = order["index"]
        self.port = 0
        """Zero while it isn't there."""
        self.ready = asyncio.Event()
        self.restarts = -1
        self.sockets = 0
        """Pages that are connected."""
        self._coming: deque[float] = deque()

    # ---- who is on it -----------------------------------------------------------------------------------------------

    @property
    def pages(self) -> int:
        """Pages that are on it, with those that are on their way."""
        while self._coming and self._coming[0] < time.monotonic() - CONNECT_SECONDS:
            self._coming.popleft()
        return self.sockets + len(self._coming)

    def hold(self) -> float:
        """Hold a place for a page that is on its way, until it has connected; the place."""
        self._coming.append(time.monotonic())
        return self._coming[-1]

    def release(self, place: float) -> None:
        """It comes to nothing."""
        if place in self._coming:
            self._coming.remove(place)

    def connected(self) -> None:
        """A page has connected; :meth:`gone` when it is gone."""
        self.sockets += 1
        if self._coming:
            self._coming.popleft()

    def gone(self) -> None:
        """A page is gone."""
        self.sockets -= 1

    # ---- the process ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start it, and again whenever it ends; done once it serves.

        Raises:
            ExplorerError: it ended before it did.
        """
        self._keeping = asyncio.ensure_future(self._keep())
        ready = asyncio.ensure_future(self.ready.wait())
        await asyncio.wait((self._keeping, ready), return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            raise ExplorerError("A process that should serve the page has ended at once; what it said stands above.")

    async def stop(self) -> None:
        """End it."""
        self._keeping.cancel()
        if self._process is not None and self._process.returncode is None:
            self._process.stdin.close()  # it ends by itself then
            try:
                await asyncio.wait_for(self._process.wait(), 5)
            except TimeoutError:
                self._process.kill()

    async def _keep(self) -> None:
        while True:
            self.restarts += 1
            await self._run()
            if not self.port and not self.restarts:
                return
            self.port = 0
            self.ready.clear()
            print(f"Process {self.index} has ended; starting it again.", file=sys.stderr, flush=True)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _run(self) -> None:
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", "explorer.page_server")
        self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        self._process.stdin.write(json.dumps(self._order).encode() + b"\n")
        async for line in self._process.stdout:
            words = line.decode().split()
            if words[:1] == ["port"]:
                self.port = int(words[1])
                self.ready.set()
        await self._process.wait()

"""Serving strangers: several processes behind one address, as :mod:`explorer.front` holds them together."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import secrets
import signal
from typing import Any

from explorer.addresses import free_port, own_address
from explorer.front import Front, Rules
from explorer.heads import LONGEST
from explorer.page_servers import Worker

MOST_PROCESSES = 16
MOST_PAGES = 40
"""Pages that may be open unless asked otherwise."""

SECRET = "BACKPROP_EXPLORER_SECRET"
"""Variable of the environment with the secret that tokens are signed with; without it each start makes one."""


@dataclasses.dataclass(frozen=True)
class Order:
    """What is to be served, and where."""

    target: str
    graphviz: str
    lesson: str
    address: str
    port: int
    processes: int
    rules: Rules


def processes() -> int:
    """How many there are unless asked otherwise: one for each core, four at most."""
    return max(1, min(os.cpu_count() or 1, 4))


def serve(order: Order) -> None:
    """Serve until interrupted; prints the addresses once it answers.

    Raises:
        ExplorerError: the address can't be listened on.
    """
    free = free_port(order.address, order.port)
    if free != order.port:
        print(f"Port {order.port} is in use; taking {free}.")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(order, free))
    print("Stopped.")


async def _serve(order: Order, port: int) -> None:
    workers = [Worker(told) for told in _orders(order)]
    front = Front(workers, order.rules)
    server = await asyncio.start_server(front.take, order.address, port, limit=LONGEST)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # elsewhere than on Unix
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
    interrupted = asyncio.ensure_future(ended.wait())
    starting = asyncio.gather(*(worker.start() for worker in workers))
    try:
        await asyncio.wait((starting, interrupted), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            print(_said(order, port), flush=True)
            await interrupted
    finally:
        starting.cancel()
        server.close()
        await asyncio.gather(*(worker.stop() for worker in workers))


def _orders(order: Order) -> list[dict[str, Any]]:
    """What each process is told."""
    secret = os.environ.get(SECRET) or secrets.token_hex(32)
    at_once = max(1, (os.cpu_count() or 1) // order.processes)
    shown = {"target": order.target, "graphviz": order.graphviz, "lesson": order.lesson}
    return [shown | {"index": index, "at_once": at_once, "secret": secret} for index in range(order.processes)]


def _said(order: Order, port: int) -> str:
    everywhere = order.address in ("", "0.0.0.0", "::")
    lines = [
        f"Backprop Explorer is at http://{'localhost' if everywhere else order.address}:{port}/   (Ctrl+C stops it)"
    ]
    if everywhere:
        lines.append(f"Others in this network reach it at http://{own_address()}:{port}/")
    count = "one process" if order.processes == 1 else f"{order.processes} processes"
    lines.append(f"{count.capitalize()} for {order.rules.most} pages at most; /health and /metrics say how they are.")
    return "\n".join(lines)

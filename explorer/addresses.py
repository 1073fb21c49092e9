"""Where a server can be reached: a port that is free, and this machine's address in its network."""

from __future__ import annotations

import errno
import socket

from explorer.errors import ExplorerError

TRIES = 20

CONNECT_SECONDS = 60.0
"""How long a page that was sent may take until its browser connects: its scripts come over a slow network, say, or the
machine is busy with a whole class that opens the page at once.
"""


def free_port(address: str, wanted: int) -> int:
    """The port asked for, or the next one that is free.

    Raises:
        ExplorerError: none of the next twenty is.
    """
    last = min(wanted + TRIES - 1, 65535)
    for port in range(wanted, last + 1):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise ExplorerError(f"Can't listen on {address}:{port}: {error.strerror}.") from error
                continue
            return port
    raise ExplorerError(f"Ports {wanted} to {last} are all in use; name another with --port.")


def own_address() -> str:
    """The address of this machine in its network; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])

"""A port that is free, and this machine's address."""

from __future__ import annotations

import errno
import socket

import pytest

from explorer import addresses
from explorer.addresses import TRIES, free_port, own_address
from explorer.errors import ExplorerError


@pytest.fixture
def taken():
    """Listens on a port, and on as many after it as the test asks for."""
    opened: list[socket.socket] = []

    def take(port: int = 0) -> int:
        opened.append(socket.socket())
        opened[-1].bind(("127.0.0.1", port))
        opened[-1].listen()
        return opened[-1].getsockname()[1]

    yield take
    for found in opened:
        found.close()


def test_a_free_port_is_taken_as_asked():
    with socket.socket() as briefly:
        briefly.bind(("127.0.0.1", 0))
        port = briefly.getsockname()[1]
    assert free_port("127.0.0.1", port) == port


def test_of_a_port_in_use_the_next_free_one_is_taken(taken):
    port = taken()
    found = free_port("127.0.0.1", port)
    assert port < found < port + TRIES


def test_no_free_port_is_one_sentence(taken, monkeypatch):
    monkeypatch.setattr(addresses, "TRIES", 1)
    port = taken()
    with pytest.raises(ExplorerError) as told:
        free_port("127.0.0.1", port)
    assert str(told.value) == f"Ports {port} to {port} are all in use; name another with --port."


def test_ports_end_at_65535(monkeypatch):
    class Busy(socket.socket):
        def bind(self, address):
            raise OSError(errno.EADDRINUSE, "in use")

    monkeypatch.setattr(socket, "socket", Busy)
    with pytest.raises(ExplorerError, match=r"^Ports 65530 to 65535 are all in use"):
        free_port("127.0.0.1", 65530)


def test_an_address_that_is_not_ours_is_one_sentence():
    with pytest.raises(ExplorerError, match=r"^Can't listen on 192\.0\.2\.1:5006: .+\.$"):
        free_port("192.0.2.1", 5006)


def test_this_machine_has_an_address():
    assert all(part.isdigit() for part in own_address().split("."))

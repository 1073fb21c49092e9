"""The process with the devices: it has eight where this one has fewer, says what can't be, and isn't waited for."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from explorer.addresses import free_port
from explorer.fleet_process import FleetError, FleetProcess
from scripts.driving import COMMAND
from scripts.tabs import Tab
from tests import sources
from tests.test_fleet import question

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def fleet():
    process = FleetProcess()
    yield process
    process.close()


@pytest.mark.once
def test_it_has_eight_devices(fleet, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    answer = fleet.ask(question(split={"devices": 8, "pieces": 1, "sharded": False}))
    assert len(answer["devices"]) == 8
    assert answer["proof"]["gradient"] < 1e-5


def test_what_can_not_be_is_an_error_and_it_lives_on(fleet):
    none = {"devices": 0, "pieces": 1, "sharded": False}
    assert fleet.ask(question(split=none))["error"] == "devices is 0, and must be 1 or more."


def test_who_waits_too_long_is_told(fleet):
    with pytest.raises(FleetError, match=r"took more than 0\.01 seconds\. Ask again"):
        fleet.ask(question(step=1), limit=0.01)


async def looked(url):
    """Open a page, and wait until its devices have answered."""
    tab = await Tab().open(f"{url}?task=gaussians&depth=0&devices=2")
    await tab.hear('"look"')
    tab.close()
    while not tab.closed:
        await asyncio.sleep(0.01)


@pytest.mark.once
def test_an_interrupt_ends_the_server_and_its_devices_and_says_so_in_one_line():
    words = [sys.executable, "-c", COMMAND, "serve", "--no-browser", "--port", str(free_port("127.0.0.1", 5230))]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(words, cwd=sources.ROOT, start_new_session=True, **pipes) as server:
        asyncio.run(looked(re.search(r"http://\S+", server.stdout.readline()).group()))
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        os.killpg(server.pid, signal.SIGINT)  # as a terminal does on Ctrl+C
        assert server.communicate(timeout=60)[0] == "Stopped.\n"
    assert server.returncode == 0
    assert [pid for pid in children if b"fleet_worker" in command(pid)] == []


def command(pid):
    path = Path(f"/proc/{pid}/cmdline")
    return path.read_bytes() if path.exists() else b""

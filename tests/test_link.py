"""From a loop to the process that shows it: sent in order, by a thread, and nobody waits."""

from __future__ import annotations

import time

import pytest

from explorer import link
from explorer.link import WAITING, Link

pytestmark = pytest.mark.once

ECHO = "import sys; print('said', sys.stdin.buffer.read().decode(), flush=True)"
DEAF = "import time; print('here', flush=True); time.sleep(60)"


class Ear:
    """Hears what a process says."""

    def __init__(self):
        self.lines = []

    def __call__(self, line):
        self.lines.append(line)

    def until(self, line):
        end = time.monotonic() + 30
        while line not in self.lines and time.monotonic() < end:
            time.sleep(0.01)
        assert line in self.lines


def linked(code, pieces=lambda item: [str(item).encode()]):
    ear = Ear()
    return Link(["-c", code], pieces, ear), ear


def test_what_is_offered_arrives_in_order():
    one, ear = linked(ECHO)
    for item in range(10):
        one.offer(item)
    one.close()
    ear.until("said 0123456789")
    assert one.process.returncode == 0


def test_a_process_that_has_died_is_heard_of_and_offering_goes_on():
    one, ear = linked(DEAF)
    ear.until("here")
    one.process.kill()
    ear.until("")
    one.offer(1)
    one.close()


def test_a_process_that_does_not_read_holds_nobody_up(monkeypatch):
    monkeypatch.setattr(link, "CLOSE_SECONDS", 0.5)
    one, ear = linked(DEAF, lambda item: [bytes(1 << 20)])
    ear.until("here")
    start = time.monotonic()
    for item in range(10 * WAITING):
        one.offer(item)
    assert time.monotonic() - start < 30  # it reads nothing for a minute
    one.close()
    assert one.process.returncode is not None

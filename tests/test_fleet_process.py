"""The process with the devices: it has eight where this one has fewer, says what can't be, and isn't waited for."""

from __future__ import annotations

import pytest

from explorer.fleet_process import FleetError, FleetProcess
from tests.test_fleet import question

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def fleet():
    process = FleetProcess()
    yield process
    process.close()


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

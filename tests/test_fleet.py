"""Questions to the devices: answers are plain data, of a run that really was divided, next to one that wasn't."""

from __future__ import annotations

import dataclasses
import json

import pytest

from engine.errors import EngineError
from engine.optimisers import controls
from engine.tasks import usual
from explorer.fleet import Fleet

SETTINGS = usual("gaussians", batch=24, depth=0)


def question(**changes):
    events = [{"step": 0, "controls": dataclasses.asdict(controls(SETTINGS))}]
    split = {"devices": 4, "pieces": 1, "sharded": False}
    settings = dataclasses.asdict(SETTINGS)
    return {"session": "1", "settings": settings, "events": events, "step": 0, "split": split, "of": "look"} | changes


@pytest.fixture(scope="module")
def fleet():
    return Fleet()


@pytest.fixture(scope="module")
def answer(fleet):
    return fleet.answer(question())


def test_an_answer_is_strict_json(answer):
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer


def test_the_devices_share_the_batch(answer):
    assert [len(own["examples"]) for own in answer["devices"]] == [6, 6, 6, 6]


def test_the_proof_is_rounding(answer):
    proof = answer["proof"]
    assert proof["replicas"] is True
    assert max(proof[name] for name in ("loss", "gradient", "update", "run")) < 1e-5


def test_the_array_that_is_shown_first_fits_on_a_screen(answer):
    assert answer["tensor"]["name"] == "params.layers.0.w"
    assert len(answer["tensor"]["mean"]) == 4


@pytest.mark.slow
def test_devices_that_left_are_remembered_and_change_nothing(fleet):
    fleet.answer(question(step=20, session="2"))
    fewer = {"devices": 3, "pieces": 1, "sharded": False}
    answer = fleet.answer(question(step=40, session="2", split=fewer))
    assert answer["history"] == [{"step": 0, "devices": 4}, {"step": 20, "devices": 3}]
    assert answer["proof"]["run"] < 1e-5


@pytest.mark.slow
def test_what_was_changed_on_the_way_holds_here_too(fleet):
    after = dataclasses.asdict(dataclasses.replace(controls(SETTINGS), rate=0.01))
    events = [*question()["events"], {"step": 10, "controls": after}]
    changed = fleet.answer(question(step=20, events=events))
    assert changed["loss"] > fleet.answer(question(step=20))["loss"]


def test_what_can_not_be_divided_is_said(fleet):
    settings = dataclasses.asdict(usual("gaussians", norm="batch"))
    with pytest.raises(EngineError, match="norm 'batch' takes its mean over the whole batch"):
        fleet.answer(question(settings=settings))

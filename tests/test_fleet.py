"""Questions to the devices: answers are plain data, of a run that really was divided, next to one that wasn't."""

from __future__ import annotations

import dataclasses
import json

import jax
import numpy as np
import pytest

from engine.errors import EngineError
from engine.optimisers import Controls, controls
from engine.runs import Run
from engine.tasks import problem, usual
from explorer.errors import ExplorerError
from explorer.fleet import Fleet, _event, carried
from explorer.room import own_problem
from explorer.target import load

pytestmark = [pytest.mark.once, pytest.mark.cpu]

SETTINGS = usual("gaussians", batch=24, depth=0)


def question(**changes):
    events = [{"step": 0, "controls": dataclasses.asdict(controls(SETTINGS))}]
    split = {"devices": 4, "pieces": 1, "sharded": False}
    settings = dataclasses.asdict(SETTINGS)
    given = {
        "session": "1",
        "settings": settings,
        "target": "",
        "start": "",
        "events": events,
        "step": 0,
        "split": split,
    }
    return given | {"of": "look"} | changes


@pytest.fixture(scope="module")
def fleet():
    return Fleet()


def arrived(fleet, step, **changes):
    """The answer once the runs have come that far."""
    while True:
        answer = fleet.answer(question(step=step, **changes))
        if answer["step"] == step:
            return answer


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
    arrived(fleet, 20, session="2")
    fewer = {"devices": 3, "pieces": 1, "sharded": False}
    answer = arrived(fleet, 40, session="2", split=fewer)
    assert answer["history"] == [{"step": 0, "devices": 4}, {"step": 20, "devices": 3}]
    assert answer["proof"]["run"] < 1e-5


@pytest.mark.slow
def test_what_is_changed_on_the_way_holds_here_too_and_nothing_begins_again(fleet):
    arrived(fleet, 10, session="3")
    after = dataclasses.asdict(dataclasses.replace(controls(SETTINGS), rate=0.01))
    events = [*question()["events"], {"step": 10, "controls": after}]
    run = next(reversed(fleet._pairs.values())).divided
    changed = arrived(fleet, 20, session="3", events=events)
    assert next(reversed(fleet._pairs.values())).divided is run
    assert changed["loss"] > arrived(fleet, 20, session="4")["loss"]


def test_who_is_far_ahead_is_met_with_a_state_of_its_own(fleet):
    chosen = controls(SETTINGS)
    run = Run(problem(SETTINGS), chosen)
    run.advance(300)
    answer = fleet.answer(question(step=300, session="9", begin=json.loads(json.dumps(carried(run.at(300))))))
    assert (answer["step"], answer["far"], answer["proof"]["began"], answer["proof"]["run"]) == (300, False, 300, 0)
    assert max(answer["proof"][name] for name in ("loss", "gradient", "update")) < 1e-5
    pair = next(reversed(fleet._pairs.values()))
    answer = arrived(fleet, 310, session="9")
    run.advance(10)
    assert (answer["proof"]["began"], next(reversed(fleet._pairs.values()))) == (300, pair)
    assert answer["proof"]["run"] < 1e-5
    for mine, theirs in zip(jax.tree.leaves(pair.single.state.params), jax.tree.leaves(run.state.params), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)


def test_who_goes_back_before_that_state_begins_anew(fleet):
    answer = arrived(fleet, 2, session="9")
    assert answer["proof"]["began"] == 0


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_a_state_is_carried_with_the_optimisers_memory(fleet, optimizer):
    chosen = Controls(optimizer=optimizer, rate=0.01)
    run = Run(problem(SETTINGS), chosen)
    run.advance(20)
    events = [{"step": 0, "controls": dataclasses.asdict(chosen)}]
    given = {"session": f"of {optimizer}", "events": events}
    fleet.answer(question(step=20, begin=carried(run.at(20)), **given))
    answer = arrived(fleet, 30, **given)
    run.advance(10)
    single = next(reversed(fleet._pairs.values())).single.state
    for mine, theirs in zip(jax.tree.leaves(single.optimiser), jax.tree.leaves(run.state.optimiser), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)
    assert answer["proof"]["run"] < 1e-5


def test_what_was_trained_by_other_controls_begins_again(fleet):
    arrived(fleet, 3, session="5")
    other = dataclasses.asdict(dataclasses.replace(controls(SETTINGS), rate=0.5))
    events = [{"step": 0, "controls": other}]
    assert not next(reversed(fleet._pairs.values())).goes_on([_event(event) for event in events], 3)


def test_who_asks_for_a_far_step_is_told_of_an_earlier_one_in_time(fleet, monkeypatch):
    monkeypatch.setattr("explorer.fleet.SECONDS", 0.0)
    assert fleet.answer(question(step=10_000))["step"] < 10_000


def test_ones_own_function_is_divided_as_well(fleet):
    start = own_problem(load("docs/my_model.py:loss")).start
    answer = arrived(fleet, 5, session="6", target="docs/my_model.py:loss", start=start)
    assert [len(own["examples"]) for own in answer["devices"]] == [4, 4, 4, 4]
    assert answer["names"] == ["params.first.b", "params.first.w", "params.second.b", "params.second.w"]
    assert max(answer["proof"][name] for name in ("loss", "gradient", "update", "run")) < 1e-5


def test_one_that_comes_out_otherwise_there_is_refused(fleet):
    with pytest.raises(ExplorerError, match=r"^loss comes out otherwise in the process that has the devices"):
        fleet.answer(question(session="7", target="docs/my_model.py:loss", start="another"))


def test_who_looks_back_is_not_far_ahead(fleet):
    arrived(fleet, 30, session="8")
    answers = [fleet.answer(question(step=step, session="8")) for step in (29, 20)]
    assert [(answer["step"], answer["far"], answer["proof"]["began"]) for answer in answers] == [
        (29, False, 0),
        (20, False, 0),
    ]


def test_what_is_compiled_first_is_not_taken_for_slow(fleet, monkeypatch):
    arrived(fleet, 10, session="10")
    monkeypatch.setattr("explorer.fleet._advanced", lambda run, step, until: run.advance(1))
    fewer = {"devices": 3, "pieces": 1, "sharded": False}
    far = [fleet.answer(question(step=60, session="10", split=split))["far"] for split in (fewer, fewer)]
    assert far == [False, True]


def test_what_can_not_be_divided_is_said(fleet):
    settings = dataclasses.asdict(usual("gaussians", norm="batch"))
    with pytest.raises(EngineError, match="norm 'batch' takes its mean over the whole batch"):
        fleet.answer(question(settings=settings))

"""The badges: of every gradient that is shown in a small graph, of the one that is looked at in a large one."""

from __future__ import annotations

import dataclasses
import operator

import jax
import pytest

from engine.tasks import Settings
from explorer import session as sessions
from explorer.session import Session
from tests.altered import with_arrays


@pytest.fixture(scope="module")
def shown() -> Session:
    found = Session(Settings(task="product", rate=0.05))
    found.step  # compiled here, for every test
    return found


def exact(badge):
    return float(badge["exact"].replace("−", "-"))


def test_a_small_graph_is_proved_whole(shown):
    assert shown.status()["proves_all"]
    assert {"x", "y", "z", "add", "mul"} == {shown.graph.node(shown._graded[box]).name for box in shown.proof()()}


def test_a_large_graph_is_proved_where_it_is_looked_at(shown, monkeypatch):
    monkeypatch.setattr(sessions, "MOST", 2)
    box = next(iter(shown._graded))
    assert not shown.status()["proves_all"]
    assert shown.proof()() == {}
    assert list(shown.proof(box)()) == [box]


def test_the_proof_of_one_is_the_proof_of_all(shown, monkeypatch):
    whole = shown.proof()()
    monkeypatch.setattr(sessions, "MOST", 2)
    assert {box: shown.proof(box)()[box]["ok"] for box in whole} == dict.fromkeys(whole, True)


def test_a_wrong_gradient_is_not_proved(shown):
    step = shown.step
    wrong = jax.tree.map(lambda array: 1.001 * array, step.reading.grads)
    badges = shown._proofs.badges(
        dataclasses.replace(step, reading=with_arrays(step.reading, grads=wrong)), shown._graded
    )
    assert not any(map(operator.itemgetter("ok"), badges.values()))
    assert min(map(exact, badges.values())) > 5e-4

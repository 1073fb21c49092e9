"""Who trains the same shares what is compiled for it; nobody shares a run."""

from __future__ import annotations

import dataclasses
import gc
import threading
import weakref

import numpy as np
import pytest

from engine.tasks import Problem, Settings, problem
from engine.tasks.settings import usual
from explorer import problems
from explorer.problems import Problems
from explorer.room import Room
from explorer.session import Session
from explorer.target import Target

pytestmark = pytest.mark.once

XOR = usual("xor", depth=1, width=2, batch=4)


def test_the_same_settings_are_the_same_problem():
    known = Problems()
    assert known.find(XOR) is known.find(dataclasses.replace(XOR))
    assert known.find(XOR) is not known.find(dataclasses.replace(XOR, seed=1))


def test_a_table_is_read_again(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("x,label\n" + "1,0\n2,1\n" * 5, encoding="utf-8")
    known, chosen = Problems(), usual("csv", csv=str(path))
    assert known.find(chosen) is not known.find(chosen)


def test_a_function_is_shared_by_who_was_given_the_same_one():
    known, args = Problems(), (np.float32(1.0),)
    one, other = (Target("square", lambda x: x * x, args) for _ in range(2))
    assert known.find(Settings(), one) is known.find(Settings(), one)
    assert known.find(Settings(), one) is not known.find(Settings(), other)


def test_what_nobody_trains_is_kept_for_a_while_only(monkeypatch):
    monkeypatch.setattr(problems, "RECENT", 1)
    known = Problems()
    first = weakref.ref(known.find(usual("product")))
    gc.collect()
    assert first() is not None
    for seed in range(problems.RECENT + 10):
        known.find(usual("shared", rate=0.1 + seed / 100))
    gc.collect()
    assert first() is None


def test_something_is_made_once_however_many_ask():
    shared, made = problem(XOR), []
    threads = [threading.Thread(target=shared.once, args=("key", lambda: made.append(1))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_a_changed_copy_shares_nothing():
    shared = problem(XOR)
    shared.once("key", lambda: "of the first")
    assert dataclasses.replace(shared, rate=2.0).once("key", lambda: "of the copy") == "of the copy"


def test_two_sessions_share_what_is_compiled_and_train_apart():
    one, other = Session(XOR), Session(XOR)
    assert one.trainer is other.trainer
    assert one.room.run.loop is other.room.run.loop
    one.advance(5)
    assert (one.room.step, other.room.step) == (5, 0)
    other.advance(5)
    assert one.room.run.at(5).params is not other.room.run.at(5).params
    for mine, yours in zip(*(s.room.history.loss().last for s in (one, other)), strict=True):
        assert mine == yours


def test_the_first_step_is_taken_once_for_all_who_begin():
    one, other = Session(XOR), Session(XOR)
    assert other.step is one.step
    other.choose(rate=one.settings.rate / 2)
    assert other.room.first is not one.room.first


def test_a_first_step_that_nobody_shows_is_let_go():
    session = Session(XOR)
    kept, step = session.problem, weakref.ref(session.step)
    del session
    gc.collect()
    assert isinstance(kept, Problem)
    assert step() is None


def test_ones_own_function_is_kept_for_who_comes_back():
    known, target = Problems(), Target("square", lambda x: x * x, (np.float32(1.0),))
    first = weakref.ref(known.find(Settings(), target))
    gc.collect()
    assert known.find(Settings(), target) is first()


def test_a_session_that_is_gone_leaves_nothing_of_its_run():
    session = Session(XOR)
    session.advance(3)
    session.catch_up()
    session.extras()
    kept = session.problem
    room = weakref.ref(session.room)
    del session
    gc.collect()
    assert isinstance(kept, Problem)
    assert room() is None


def test_rooms_of_one_problem_have_one_graph():
    shared = problem(XOR)
    assert Room(shared, XOR).graph is Room(shared, XOR).graph

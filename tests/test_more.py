"""What is read of a large program when somebody looks: the numbers that a full reading has, and no more memory."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine import more, trace
from engine.loop import TrainState
from engine.tasks.problem import Problem
from engine.training import trainer


def loss(params, x):
    hidden = jnp.tanh(x @ params["first"])
    return jnp.mean((hidden @ params["second"]).reshape(-1) ** 2)


PARAMS = {"first": np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4), "second": np.ones((4, 1), np.float32)}
X = np.linspace(0, 1, 15, dtype=np.float32).reshape(5, 3)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return Problem("loss", loss, (jax.tree.map(jnp.asarray, PARAMS),), (X,))


@pytest.fixture(scope="module")
def whole(problem):
    made = trainer(problem)
    return made.advance(made.start).reading


def test_arrays_are_those_of_the_full_step(problem, whole):
    read = more.More(problem).arrays(TrainState(problem.params, None), ["tanh"])
    np.testing.assert_array_equal(read.value("tanh"), whole.value("tanh"))
    np.testing.assert_allclose(read.grad("tanh"), whole.grad("tanh"), rtol=1e-6)


def test_statistics_are_those_of_the_full_step(problem, whole):
    read = more.More(problem).statistics(TrainState(problem.params, None), ["tanh"])
    assert read.stats("tanh")["grad"]["rms"] == pytest.approx(whole.stats("tanh")["grad"]["rms"], rel=1e-5)


def test_the_same_question_is_compiled_once(problem):
    asked, state = more.More(problem), TrainState(problem.params, None)
    for _ in range(2):
        asked.statistics(state, ["tanh"])
    assert len(asked._compiled) == 1


def test_old_programs_are_forgotten(problem, monkeypatch):
    monkeypatch.setattr(more, "PROGRAMS", 1)
    asked, state = more.More(problem), TrainState(problem.params, None)
    asked.statistics(state, ["tanh"])
    asked.statistics(state, ["params.first"])
    assert len(asked._compiled) == 1


def test_bytes_are_those_of_value_and_gradient():
    graph = trace(loss, PARAMS, X)
    assert more.nbytes(graph, ["params.first"]) == 2 * 12 * 4


def test_a_million_entries_too_many_make_a_program_large():
    big = jax.ShapeDtypeStruct((1 << 13, 1 << 13), "float32")
    assert more.is_large(trace(lambda w: (w * w).sum(), big))
    assert not more.is_large(trace(loss, PARAMS, X))


def test_around_a_node_lies_what_its_sentence_speaks_of():
    graph = trace(loss, PARAMS, X)
    named = {graph.node(id).name for id in more.around(graph, graph.node("tanh").id)}
    assert {"tanh", "params.second"} <= named  # its operand, and what stands beside it in the product that reads it
    assert "params.first" not in named


def test_what_does_not_fit_is_left_out_but_never_the_node_itself(monkeypatch):
    monkeypatch.setattr(more, "BYTES", 1)
    graph = trace(loss, PARAMS, X)
    assert more.around(graph, graph.node("tanh").id) == (graph.node("tanh").id,)

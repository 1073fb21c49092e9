"""The history of a run: its columns are the numbers of the steps."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine.errors import UnknownNodeError
from engine.history import history, measured, rows, watched
from engine.loop import Records
from engine.stats import ROW
from tests.programs import normal

SIZES, MOVES, GRADS = np.array([[10, 0], [20, 30], [40, 50]], np.float32)
W, X = normal(3, 4), normal(5, 3, seed=1)


def _loss(w, x):
    return jnp.mean(jnp.tanh(x @ w) ** 2)


def _records(start, count, reading=None, watched=()):
    steps = np.arange(start, start + count, dtype=np.float32)[:, None]
    return Records(
        start, steps[:, 0] / 10, steps + SIZES, steps + MOVES, steps + GRADS, np.array(watched, int), reading
    )


def _kept(*records):
    kept = history(("a", "b"), ())
    for given in records:
        kept.record(given)
    return kept


def test_each_number_is_found_under_its_name():
    kept = _kept(_records(0, 3), _records(3, 2))
    steps = np.arange(5.0)[:, None]
    np.testing.assert_allclose(kept.loss().last, np.arange(5) / 10, rtol=1e-6)
    np.testing.assert_array_equal(kept.weights().last, steps + SIZES)
    np.testing.assert_array_equal(kept.updates().last, steps + MOVES)
    np.testing.assert_array_equal(kept.gradients().last, steps + GRADS)
    np.testing.assert_allclose(kept.ratios().last[1:], (steps + MOVES)[1:] / (steps + SIZES)[1:], rtol=1e-6)
    assert kept.ratios().last[0].tolist() == [2.0, np.inf]
    assert kept.loss().first.tolist() == [0, 1, 2, 3, 4]


def test_steps_that_are_there_already_stay():
    kept = _kept(_records(0, 4))
    kept.record(_records(2, 4))
    assert kept.loss().first.tolist() == [0, 1, 2, 3, 4, 5]


def test_tests_are_kept_by_name_and_step():
    kept = history((), ())
    for step, found in ((0, [1, 2, 0.3, 0.4]), (100, [0.5, np.nan, 0.6, 0.7])):
        kept.record_test(step, found)
    np.testing.assert_allclose(kept.tested("test_loss").last, [2, np.nan])
    np.testing.assert_allclose(kept.tested("train_accuracy").last, [0.3, 0.6])
    assert kept.tested("train_loss").first.tolist() == [0, 100]


def test_truncating_keeps_the_test_at_the_step_itself():
    kept = _kept(_records(0, 201))
    for step in (0, 100, 200):
        kept.record_test(step, np.zeros(4))
    assert kept.truncate(100) == 100
    assert (kept.numbers.final, kept.tests.final) == (99, 100)


def test_statistics_of_nodes_are_those_of_the_arrays():
    _, _, reading = jax.jit(engine.value_and_grad(_loss, probe="stats"))(W, X)
    _, _, full = jax.jit(engine.value_and_grad(_loss))(W, X)
    (tanh,) = watched(reading.graph, ("tanh",))
    found = measured(reading, [tanh, "w"], 1)
    assert found.shape == (1, 2, 2, 7)
    value, grad = np.asarray(full.value(tanh)), np.asarray(full.grad("w"))
    np.testing.assert_allclose(found[0, 0, 0, ROW.index("rms")], np.sqrt((value**2).mean()), rtol=1e-5)
    np.testing.assert_allclose(found[0, 1, 1, ROW.index("max")], grad.max(), rtol=1e-5)


def test_what_has_no_statistics_is_nan():
    _, _, reading = jax.jit(engine.value_and_grad(_loss, probe=engine.Probe(("w",), ("value",), "stats")))(W, X)
    found = measured(reading, ["w", "x"], 1)
    assert np.isfinite(found[0, 0, 0]).all()
    assert np.isnan(found[0, 0, 1]).all()
    assert np.isnan(found[0, 1]).all()


def test_a_branch_that_wasnt_taken_is_nan():
    def branching(x):
        return jax.lax.cond(x > 0, jnp.sin, jnp.cos, x)

    _, _, reading = engine.value_and_grad(branching, probe="stats")(np.float32(2.0))
    cosine = next(node.id for node in reading.graph.nodes if node.op == "cos")
    sine = next(node.id for node in reading.graph.nodes if node.op == "sin")
    found = measured(reading, [cosine, sine], 1)
    assert np.isnan(found[0, 0]).all()
    np.testing.assert_allclose(found[0, 1, 0, 0], np.sin(2.0), rtol=1e-6)


def test_nodes_are_meant_by_id_name_and_scope_and_none_means_all():
    graph = engine.trace(_loss, W, X)
    assert watched(graph, None) == tuple(node.id for node in graph.nodes)
    assert watched(graph, ("x", "w")) == tuple(node.id for node in graph.nodes if node.name in ("w", "x"))
    with pytest.raises(UnknownNodeError):
        watched(graph, ("nothing",))


def test_a_row_is_the_loss_and_four_numbers_a_parameter():
    assert rows(_records(1, 2)).tolist()[0] == pytest.approx([0.1, 11, 1, 21, 31, 41, 51, 21 / 11, 31])

"""What a problem is made of: its loss and terms, its batches, its dropout, its answers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine.tasks import Problem, SettingsError, problem, usual
from engine.tasks.mlp import mlp
from engine.tasks.parts import Design
from engine.tasks.problem import rows

pytestmark = pytest.mark.once

SMALL = {"depth": 1, "width": 4, "batch": 8}


def loss_of(made, step=0):
    return jax.jit(made.fun)(*made.params, *made.batch(step))


@pytest.fixture(scope="module")
def noisy():
    return problem(usual("spiral", dropout=0.5, depth=2, width=16, batch=64))


# ---- batches -------------------------------------------------------------------------------------------------------


def test_each_epoch_goes_through_all_examples_once_in_another_order():
    taken = np.concatenate([rows(10, 4, seed=3)(step) for step in range(10)]).reshape(4, 10)
    for epoch in taken:
        assert sorted(epoch) == list(range(10))
    assert len({tuple(epoch) for epoch in taken}) == 4


def test_batches_follow_from_the_seed_and_the_step_whatever_was_asked_for_before():
    chosen = rows(10, 4, seed=3)
    wanted = [rows(10, 4, seed=3)(step).tolist() for step in range(30)]
    assert [chosen(step).tolist() for step in reversed(range(30))] == wanted[::-1]
    assert rows(10, 4, seed=4)(0).tolist() != wanted[0]


def test_the_first_batch_is_numpys_permutation():
    np.testing.assert_array_equal(rows(250, 32, seed=7)(0), np.random.default_rng((7, 0)).permutation(250)[:32])


def test_a_batch_is_the_rows_of_the_examples():
    made = problem(usual("iris", batch=16))
    x, y = made.batch(3)
    np.testing.assert_array_equal(x, made.examples[0][made.rows(3)])
    np.testing.assert_array_equal(y, made.examples[1][made.rows(3)])
    assert (x.shape, y.shape, made.note) == ((16, 4), (16, 3), "16 of 120 flowers")


def test_a_batch_is_no_larger_than_there_are_examples():
    made = problem(usual("iris", batch=512))
    assert (len(made.batch(0)[0]), made.note) == (120, "120 of 120 flowers")


def test_the_test_is_no_part_of_what_is_learned():
    made = problem(usual("digits"))
    learned, kept = ({row.tobytes() for row in part[0]} for part in (made.examples, made.held_out))
    assert (len(made.examples[0]), len(made.held_out[0])) == (1438, 359)
    assert not learned & kept


def test_a_function_of_ones_own_keeps_its_arguments():
    made = Problem("own", lambda w, x, name: w * x, (2.0,), (np.arange(3), "name"))
    x, name = made.batch(5)
    assert (x.tolist(), name, made.rows(5)) == ([0, 1, 2], "name", None)


# ---- the loss ------------------------------------------------------------------------------------------------------


def test_the_first_page_begins_where_it_always_did():
    made = problem(usual("digits"))
    rng = np.random.default_rng(0)
    for own, (n, m) in zip(made.params[0]["layers"], [(64, 16), (16, 16), (16, 10)], strict=True):
        np.testing.assert_array_equal(own["w"], rng.normal(size=(n, m), scale=n**-0.5).astype(np.float32))
    assert float(loss_of(made)) == pytest.approx(2.27175, abs=1e-5)
    assert (made.title, made.image, made.note) == ("Handwritten digits", (8, 8), "32 of 1,438 images")


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_a_penalty_is_a_term_of_the_loss(penalty):
    plain, penalised = (problem(usual("moons", **SMALL, **{penalty: weight})) for weight in (0.0, 0.25))
    sizes = [{"l1": np.abs(own["w"]), "l2": own["w"] ** 2 / 2}[penalty].sum() for own in plain.params[0]["layers"]]
    np.testing.assert_allclose(loss_of(penalised) - loss_of(plain), 0.25 * sum(sizes), rtol=1e-4)


def test_penalties_are_seen_in_the_graph():
    made = problem(usual("moons", **SMALL, l1=0.1, l2=0.1))
    graph = engine.trace(made.fun, *made.params, *made.batch(0))
    assert {"l1_penalty", "l2_penalty"} <= {scope.id for scope in graph.scopes}


def test_a_loss_that_does_not_fit_a_table_is_told(tmp_path):
    path = tmp_path / "values.csv"
    path.write_text("a,price\n" + "".join(f"{i},{i * i}\n" for i in range(50)))
    with pytest.raises(SettingsError) as caught:
        problem(usual("csv", csv=str(path)))
    assert str(caught.value) == "The answers are values, not classes: choose the loss mse, mae or huber."
    made = problem(usual("csv", csv=str(path), loss="huber"))
    assert (made.accuracy, made.classes) == (None, ())
    assert np.isfinite(loss_of(made))


# ---- dropout -------------------------------------------------------------------------------------------------------


def test_the_step_is_the_last_argument_of_a_noisy_loss(noisy):
    *_, step = noisy.batch(7)
    assert (noisy.noisy, step, step.dtype) == (True, 7, np.int32)
    assert engine.trace(noisy.fun, *noisy.params, *noisy.batch(0)).nodes[-1].shape == ()
    assert not problem(usual("spiral")).noisy


def test_another_step_drops_others_and_the_same_step_the_same(noisy):
    fun = jax.jit(noisy.fun)
    x, y, _ = noisy.batch(0)
    losses = [float(fun(*noisy.params, x, y, np.int32(step))) for step in (0, 1, 0)]
    assert losses[0] == losses[2] != losses[1]


def test_another_seed_drops_others():
    made = [problem(usual("digits", **SMALL, dropout=0.5, seed=seed)) for seed in (0, 1)]
    losses = [float(jax.jit(each.fun)(*made[0].params, *made[0].batch(0))) for each in made]
    assert losses[0] != losses[1]


def test_the_loss_with_dropout_is_near_the_loss_without(noisy):
    losses = jax.jit(jax.vmap(noisy.fun, in_axes=(None, None, None, 0)))
    found = losses(*noisy.params, *noisy.examples, jnp.arange(200))
    plain = problem(usual("spiral", depth=2, width=16))
    wanted = jax.jit(plain.fun)(*noisy.params, *noisy.examples)
    assert float(jnp.std(found)) > 0
    assert float(jnp.mean(found)) == pytest.approx(float(wanted), rel=0.2)


def test_nothing_is_dropped_from_a_prediction(noisy):
    design = Design((2,), 2, depth=2, width=16)
    wanted = mlp(noisy.params[0], noisy.held_out[0], design)
    np.testing.assert_allclose(noisy.predict(noisy.params, noisy.held_out[0]), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_watched_noisy_step_is_jaxs():
    made = problem(usual("spiral", dropout=0.3, **SMALL))
    loss, grads, _ = jax.jit(engine.value_and_grad(made.fun, probe="full"))(*made.params, *made.batch(3))
    wanted = jax.jit(jax.value_and_grad(made.fun))(*made.params, *made.batch(3))
    for mine, plain in zip(jax.tree.leaves((loss, grads)), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(mine, plain, rtol=1e-5, atol=1e-7)


# ---- answers -------------------------------------------------------------------------------------------------------


def test_accuracy_is_the_share_of_right_answers():
    made = problem(usual("iris"))
    x, y = made.held_out
    right = np.asarray(made.predict(made.params, x)).argmax(1) == y.argmax(1)
    assert float(made.accuracy(made.params, x, y)) == pytest.approx(right.mean())
    assert made.classes == ("setosa", "versicolor", "virginica")


def test_values_have_no_accuracy():
    made = problem(usual("regression"))
    assert made.accuracy is None
    assert made.predict(made.params, made.held_out[0]).shape == (250, 1)


def test_a_prediction_with_batch_normalisation_does_not_depend_on_what_else_is_asked():
    made = problem(usual("spiral", norm="batch"))
    predict = jax.jit(made.predict)
    x = made.held_out[0]
    together = predict(made.params, x)
    np.testing.assert_allclose(predict(made.params, x[:1]), together[:1], rtol=1e-4, atol=1e-5)
    assert together.shape == (250, 2)


def test_batch_normalisation_goes_by_the_examples_learned_from():
    """As many of them as there are here are the whole batch that a step with all of them normalises by."""
    made = problem(usual("spiral", norm="batch", batch=250))
    x, y = made.examples
    scores = made.predict(made.params, x)
    wanted = -np.mean(np.sum(y * np.asarray(jax.nn.log_softmax(scores)), axis=1))
    np.testing.assert_allclose(made.fun(*made.params, x, y), wanted, rtol=1e-5)

"""One training step, watched: the update is the optimiser's, and every number is that step's."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from engine.loop import Loop
from engine.optimisers import Controls
from engine.tasks import Settings, problem
from engine.tasks.catalogue import Problem
from engine.training import trainer

SMALL = Settings(task="spiral", depth=1, width=4, batch=16, rate=0.2)


@pytest.fixture(scope="module")
def made():
    return trainer(problem(SMALL))


@pytest.fixture(scope="module")
def step(made):
    return made.advance(made.start)


def test_a_step_returns_jaxs_loss_and_gradients(made, step):
    loss, grads = jax.value_and_grad(made.problem.fun)(*made.problem.params, *made.problem.batch(0))
    np.testing.assert_allclose(step.loss, loss, rtol=1e-6)
    for found, wanted in zip(jax.tree.leaves(step.grads[0]), jax.tree.leaves(grads), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


def test_plain_gradient_descent_moves_against_the_gradient(step):
    before, after = jax.tree.leaves(step.before.params), jax.tree.leaves(step.after.params)
    for old, new, grad in zip(before, after, jax.tree.leaves(step.grads), strict=True):
        np.testing.assert_allclose(new, np.asarray(old) - 0.2 * np.asarray(grad), rtol=1e-6, atol=1e-7)


def test_the_reading_is_that_steps(step):
    np.testing.assert_array_equal(step.reading.grad("params.layers.0.w"), step.grads[0]["layers"][0]["w"])
    assert float(step.reading.value(step.reading.graph.outputs[0])) == float(step.loss)


def test_the_loss_after_is_on_the_same_batch_with_the_new_parameters(made, step):
    wanted = made.problem.fun(*step.after.params, *made.problem.batch(0))
    np.testing.assert_allclose(step.loss_after, wanted, rtol=1e-6)
    assert step.loss_after < step.loss


def test_the_state_before_is_kept_and_the_next_one_counts_on(made, step):
    assert (step.before.step, step.after.step) == (0, 1)
    assert step.before is made.start
    assert made.advance(step.after).after.step == 2


def test_a_step_from_the_same_state_is_the_same_step(made, step):
    again = made.advance(made.start)
    for found, wanted in zip(jax.tree.leaves(again.after.params), jax.tree.leaves(step.after.params), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_any_optimiser_of_optax_will_do():
    made = trainer(problem(Settings(task="spiral", depth=0, batch=8)), optax.adam(0.01), probe="stats")
    first = made.advance(made.start)
    sizes = [
        np.abs(np.asarray(new) - np.asarray(old)).max()
        for old, new in zip(jax.tree.leaves(first.before.params), jax.tree.leaves(first.after.params), strict=True)
    ]
    np.testing.assert_allclose(sizes, 0.01, rtol=1e-2)
    assert first.reading.plan.how == "stats"


def test_a_step_by_controls_is_that_of_the_loop():
    given, adam = problem(SMALL), Controls(optimizer="adam", rate=0.01, schedule="warmup")
    loop = Loop(given)
    state, _ = loop.advance(loop.start(adam), adam, 20)
    after, records = loop.advance(state, adam, 1)
    taken = trainer(given, adam, probe="stats").advance(state)
    np.testing.assert_allclose(taken.loss, records.loss[0], rtol=1e-6)
    for found, wanted in zip(jax.tree.leaves(taken.after.params), jax.tree.leaves(after.params), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


def test_controls_can_be_other_ones_for_a_step():
    made = trainer(problem(SMALL), Controls(rate=0.2), probe="stats")
    taken = made.advance(made.start, Controls(rate=0.0, frozen=("params.layers.0",)))
    for found, wanted in zip(jax.tree.leaves(taken.after.params), jax.tree.leaves(made.start.params), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_the_loss_falls():
    made = trainer(problem(Settings(task="product", rate=0.05)))
    state, losses = made.start, []
    for _ in range(5):
        taken = made.advance(state)
        losses.append(float(taken.loss))
        state = taken.after
    assert losses[0] == -12.0
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) == 5


def test_a_step_moves_complex_parameters_down():
    given = Problem("plane", lambda z: jnp.sum(jnp.abs(z) ** 2), (np.array(1j, np.complex64),))
    own = trainer(given)
    step = own.advance(own.start)
    np.testing.assert_allclose(step.grads[0], -2j, rtol=1e-6)
    np.testing.assert_allclose(step.after.params[0], 0.8j, rtol=1e-6)
    assert step.update_norms == pytest.approx((0.2,))

"""The compiled loop: the optimiser's steps on the problem's batches, the same bits however they are divided."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from engine.loop import Loop, TrainState, parameter_names
from engine.optimisers import Controls
from engine.tasks import Settings, problem
from engine.tasks.catalogue import Problem
from tests.programs import normal

SPIRAL = problem(Settings(task="spiral", depth=1, width=4, batch=10, rate=0.3))
ADAM = Controls(optimizer="adam", rate=0.01, schedule="step", decay=0.01, clip="norm", clip_at=0.5)


def same(found, wanted) -> None:
    for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(theirs))


def state_of(state: TrainState):
    return state.params, state.optimiser


def by_hand(given: Problem, optimiser, steps: int):
    """Losses, parameters and gradients of a loop in Python, without the engine."""
    params, memory, found = given.params, optimiser.init(given.params), []
    gradient = jax.jit(jax.value_and_grad(given.fun, argnums=tuple(range(len(params)))))
    for step in range(steps):
        loss, grads = gradient(*params, *given.batch(step))
        updates, memory = optimiser.update(grads, memory, params)
        after = optax.apply_updates(params, updates)
        found.append((loss, params, after, grads))
        params = after
    return found


def divided(loop: Loop, controls: Controls, *counts: int, every: int = 1):
    state, records = loop.start(controls), []
    for count in counts:
        state, made = loop.advance(state, controls, count, every)
        records.append(made)
    return state, records


@pytest.fixture(scope="module")
def bare():
    return Loop(SPIRAL)


@pytest.fixture(scope="module")
def watching():
    return Loop(SPIRAL, None)


@pytest.fixture(scope="module")
def found():
    """Forty steps by hand of what :data:`ADAM` asks for."""
    parts = optax.clip_by_global_norm(0.5), optax.add_decayed_weights(0.01), optax.adam(0.01)
    return by_hand(SPIRAL, optax.chain(*parts), 40)


def test_steps_are_those_of_a_loop_by_hand(bare, found):
    state, (records,) = divided(bare, ADAM, 40)
    for mine, wanted in zip(jax.tree.leaves(state.params), jax.tree.leaves(found[-1][2]), strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(records.loss, [loss for loss, *_ in found], rtol=1e-5)


def test_norms_are_those_of_each_step(bare, found):
    _, (records,) = divided(bare, ADAM, 40)
    length = lambda tree: [np.linalg.norm(np.asarray(leaf, np.float64)) for leaf in jax.tree.leaves(tree)]
    moved = [jax.tree.map(lambda a, b: np.float64(a) - np.float64(b), after, before) for _, before, after, _ in found]
    np.testing.assert_allclose(records.weights, [length(before) for _, before, _, _ in found], rtol=1e-5)
    np.testing.assert_allclose(records.gradients, [length(grads) for *_, grads in found], rtol=1e-4)
    np.testing.assert_allclose(records.updates, list(map(length, moved)), rtol=1e-3)


@pytest.mark.exact
@pytest.mark.parametrize("counts", [(1,) * 60, (7, 53), (59, 1), (20, 40)])
def test_parameters_are_the_same_bits_however_steps_are_divided(watching, counts):
    whole, (record,) = divided(watching, ADAM, 60, every=7)
    state, records = divided(watching, ADAM, *counts, every=7)
    same(state_of(state), state_of(whole))
    same(np.concatenate([made.loss for made in records]), record.loss)
    same(np.concatenate([made.updates for made in records]), record.updates)
    assert np.concatenate([made.watched for made in records]).tolist() == [0, 7, 14, 21, 28, 35, 42, 49, 56]


@pytest.mark.exact
def test_watching_changes_no_bit_of_training(watching, bare):
    same(state_of(divided(watching, ADAM, 60)[0]), state_of(divided(bare, ADAM, 60)[0]))


@pytest.mark.exact
def test_how_often_one_looks_changes_no_bit(watching):
    same(state_of(divided(watching, ADAM, 60, every=60)[0]), state_of(divided(watching, ADAM, 60)[0]))


def test_statistics_are_those_of_the_watched_steps(watching, found):
    _, (records,) = divided(watching, ADAM, 7, every=3)
    reading = records.reading
    grads = [found[step][3][0]["layers"][1]["w"] for step in (0, 3, 6)]
    losses = [found[step][0] for step in (0, 3, 6)]
    name = parameter_names(SPIRAL)[3]
    assert name == "params.layers.1.w"
    np.testing.assert_allclose(reading.stats(name)["grad"]["rms"], [np.sqrt(np.mean(g**2)) for g in grads], rtol=1e-4)
    np.testing.assert_allclose(reading.stats(name)["grad"]["min"], [g.min() for g in grads], rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(reading.stats(reading.graph.outputs[0])["value"]["mean"], losses, rtol=1e-5)


def test_a_call_in_which_nothing_is_watched_has_no_reading(watching):
    state, _ = watching.advance(watching.start(ADAM), ADAM, 1)
    assert watching.advance(state, ADAM, 5, every=100)[1].reading is None


def test_only_another_method_is_compiled():
    traced = []

    def loss(w, x):
        traced.append(1)
        return jnp.sum((w - x) ** 2)

    loop = Loop(_own(loss, (np.ones(3, np.float32),), (np.zeros(3, np.float32),)))
    state = loop.start(Controls())
    state, _ = loop.advance(state, Controls(), 1)
    first = len(traced)
    for turned in (Controls(rate=0.2), Controls(decay=0.1, schedule="cosine"), Controls(clip_at=3.0, frozen=("w",))):
        state, _ = loop.advance(state, turned, 9, every=2)
    assert len(traced) == first
    loop.advance(loop.start(Controls(clip="value")), Controls(clip="value"), 1)
    assert len(traced) > first


def test_a_frozen_layer_stays_while_the_others_learn(bare):
    held = dataclasses.replace(ADAM, frozen=("params.layers.1",))
    state, _ = divided(bare, ADAM, 5)
    after, records = bare.advance(state, held, 10)
    (old,), (new,) = state.params, after.params
    same(new["layers"][1], old["layers"][1])
    assert not np.array_equal(new["layers"][0]["w"], old["layers"][0]["w"])
    place = parameter_names(SPIRAL).index("params.layers.1.w")
    assert (records.updates[:, place].max(), records.gradients[:, place].min() > 0) == (0, True)


def test_the_state_that_was_given_is_left(bare):
    start = bare.start(ADAM)
    kept = jax.tree.map(np.array, start.params)
    bare.advance(start, ADAM, 3)
    same(start.params, kept)


def test_losses_that_arent_finite_travel_and_nothing_masks_them():
    given = _own(lambda w: jnp.log(w) * w, (np.float32(1.0),), ())
    state, (records,) = divided(Loop(given), Controls(rate=3.0), 4)
    wanted, w = [], np.float32(1.0)
    with np.errstate(all="ignore"):
        for _ in range(4):
            wanted.append(np.log(w) * w)
            w = w - np.float32(3.0) * (np.log(w) + np.float32(1.0))
    np.testing.assert_array_equal(records.loss, np.array(wanted, np.float32))
    assert np.isnan(state.params[0])


def test_a_noisy_loss_is_given_the_number_of_its_step():
    given = dataclasses.replace(
        _own(lambda w, x, step: w * step + x, (np.float32(2.0),), (np.float32(1.0),)), noisy=True
    )
    _, (first, second) = divided(Loop(given), Controls(rate=0.0), 3, 2)
    assert (*first.loss, *second.loss) == (1, 3, 5, 7, 9)


def test_what_is_no_array_reaches_the_loss_as_it_is():
    def loss(w, how):
        return {"square": w * w}[how["name"]] * how["factor"]

    given = _own(loss, (np.float32(3.0),), ({"name": "square", "factor": np.float32(2.0)},))
    assert divided(Loop(given, None), Controls(rate=0.0), 2)[1][0].loss.tolist() == [18, 18]


def test_parameters_given_as_numbers_of_python_are_trained():
    given = _own(lambda a, b: a * a + b, (3.0, 1.0), ())
    state, _ = divided(Loop(given), Controls(rate=0.5), 1)
    assert [float(leaf) for leaf in state.params] == [0.0, 0.5]


@pytest.mark.slow
def test_a_recurrent_net_is_watched_time_step_by_time_step():
    def loss(w, xs):
        return jnp.mean(jax.lax.scan(lambda h, x: (jnp.tanh(h @ w + x), h), jnp.zeros((2, 3)), xs)[0] ** 2)

    loop = Loop(_own(loss, (normal(3, 3),), (normal(5, 2, 3, seed=1),)), None)
    _, (records,) = divided(loop, Controls(rate=0.1), 3)
    tanh = next(node for node in records.reading.graph.nodes if node.op == "tanh")
    assert records.reading.stats(tanh.id)["grad"]["rms"].shape == (3,)


def test_a_large_reading_leaves_room_for_fewer_steps():
    wide = Loop(_own(_chain, (normal(8),), ()), None)
    assert 8 <= wide.room < Loop(_own(_chain, (normal(8),), ())).room == 256


def _chain(w):
    def step(h, _):
        for _ in range(4):
            h = jnp.tanh(h * w)
        return h, None

    return jnp.sum(jax.lax.scan(step, w, None, length=400)[0])


def _own(fun, params, examples):
    return Problem("own", fun, params, examples, lambda step: None)


def test_complex_parameters_go_down():
    given = Problem("plane", lambda z: jnp.sum(jnp.abs(z) ** 2), (np.array([1j, 3 - 2j], np.complex64),))
    loop = Loop(given)
    state, records = divided(loop, Controls(rate=0.1), 3)
    np.testing.assert_allclose(records[0].loss, 14 * 0.64 ** np.arange(3), rtol=1e-5)
    np.testing.assert_allclose(state.params[0], 0.8**3 * given.params[0], rtol=1e-5)

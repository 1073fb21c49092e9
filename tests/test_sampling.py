"""A loop of one's own, sampled: the same training, and what was read of it."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from engine import sampling
from engine.errors import EngineError
from engine.grad import Asked
from engine.sampling import Sampler, SamplingError
from tests.programs import normal

X, Y = normal(16, 3), normal(16, 1, seed=1)


def loss(params, x, y):
    hidden = jnp.tanh(x @ params["first"])
    return jnp.mean((hidden @ params["second"] - y) ** 2)


def start():
    return {"first": jnp.asarray(normal(3, 4, seed=2)), "second": jnp.asarray(normal(4, 1, seed=3))}


class Watched:
    """A sampler and what it took."""

    def __init__(self, fun=loss, every=5, **asked):
        self.samples = []
        self.asked = Asked(**asked)
        self.sampler = Sampler(fun, self.asked, every, self.samples.append)

    def value_and_grad(self, *args, **kwargs):
        return self.sampler.value_and_grad(self.asked, args, kwargs)

    def jit(self, fun, by=jax.jit, **options):
        return self.sampler.jit(fun, by, options)

    @property
    def steps(self):
        return [sample.step for sample in self.samples]


def step_of(value_and_grad, optimiser=optax.adam(0.05)):
    def step(params, memory, x, y):
        value, grads = value_and_grad(params, x, y)
        updates, memory = optimiser.update(grads, memory, params)
        return optax.apply_updates(params, updates), memory, value

    return step, optimiser.init(start())


def train(step, memory, count=12):
    """Parameters before each step and after the last, and the losses."""
    params, seen, losses = start(), [], []
    for _ in range(count):
        seen.append(jax.tree.map(np.array, params))
        params, memory, value = step(params, memory, X, Y)
        losses.append(float(value))
    jax.effects_barrier()
    return [*seen, jax.tree.map(np.array, params)], losses


def plain():
    step, memory = step_of(jax.value_and_grad(loss))
    return train(jax.jit(step), memory)


def assert_same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.fixture(scope="module")
def unwatched():
    return plain()


def watched_run(by=None, every=5, **options):
    watched = Watched(every=every)
    step, memory = step_of(watched.value_and_grad)
    found = train(by(step) if by else watched.jit(step, **options), memory)
    return watched, found


@pytest.mark.exact
def test_a_sampled_loop_trains_to_the_last_bit_as_without(unwatched):
    assert_same(watched_run()[1], unwatched)


def test_every_kth_step_is_sampled():
    watched, _ = watched_run()
    watched.sampler.flush()
    assert watched.steps == [0, 5, 10]


def test_a_sample_has_the_loss_of_its_step(unwatched):
    watched, _ = watched_run()
    assert [float(sample.loss) for sample in watched.samples] == [unwatched[1][0], unwatched[1][5], unwatched[1][10]]


def test_a_sample_tells_of_layers_and_parameters():
    reading = watched_run()[0].samples[0].reading
    found = [node.name for node in reading.graph.nodes if node.id in reading.plan.values]
    assert {"params.first", "params.second", "tanh"} <= set(found)


@pytest.mark.parametrize("donated", [(), (0, 1)])
def test_a_sample_tells_how_far_the_step_moved_each_parameter(unwatched, donated):
    watched, _ = watched_run(donate_argnums=donated)
    sample = next(sample for sample in watched.samples if sample.step == 5)
    before, after = unwatched[0][5], unwatched[0][6]
    wanted = [np.linalg.norm(after[name] - before[name]) for name in ("first", "second")]
    np.testing.assert_allclose(sample.moved, wanted, rtol=1e-5)


@pytest.mark.exact
def test_a_full_reading_comes_when_it_is_asked_for(unwatched):
    watched = Watched()
    watched.sampler.full = True
    step, memory = step_of(watched.value_and_grad)
    found = train(watched.jit(step), memory)
    assert [sample.reading.plan.how for sample in watched.samples] == ["full", "stats", "stats"]
    assert_same(found, unwatched)


@pytest.mark.exact
def test_a_full_reading_brings_the_parameters_after_its_update(unwatched):
    watched = Watched()
    watched.sampler.full = True
    step, memory = step_of(watched.value_and_grad)
    train(watched.jit(step), memory, count=2)
    first = watched.samples[0]
    assert_same(first.after, jax.tree.leaves(unwatched[0][1]))
    assert_same(first.reading.value("params.first"), unwatched[0][0]["first"])


@pytest.mark.exact
def test_a_step_compiled_by_jax_alone_is_sampled_too(unwatched):
    watched, found = watched_run(by=jax.jit)
    assert_same(found, unwatched)
    assert len(watched.steps) >= 2
    assert [float(sample.loss) for sample in watched.samples] == [found[1][step] for step in watched.steps]


@pytest.mark.exact
def test_a_step_that_nobody_compiles_is_sampled_too():
    step, memory = step_of(jax.value_and_grad(loss))
    wanted = train(step, memory)
    watched, found = watched_run(by=lambda step: step)
    assert_same(found, wanted)
    assert watched.steps == [0, 5, 10]


def test_a_loss_inside_a_loop_of_the_step_is_read():
    watched = Watched()

    @watched.jit
    def step(params, x, y):
        each = lambda part: watched.value_and_grad(params, *part)
        values, grads = lax.map(each, (x.reshape(4, 4, 3), y.reshape(4, 4, 1)))
        return jax.tree.map(lambda leaf, grad: leaf - 0.1 * grad.mean(0), params, grads), values

    _, values = step(start(), X, Y)
    jax.effects_barrier()
    assert sorted(float(sample.loss) for sample in watched.samples) == sorted(map(float, values))


def test_it_returns_what_jax_returns():
    fun = lambda x, params, scale=1.0: (scale * loss(params, x, Y), x.shape)
    watched = Watched(fun, argnums=(1, 0), has_aux=True)
    mine = watched.jit(lambda *args: watched.value_and_grad(*args, scale=2.0)[0][0])(X, start())
    wanted = jax.value_and_grad(fun, argnums=(1, 0), has_aux=True)(X, start(), scale=2.0)
    assert float(mine) == pytest.approx(float(wanted[0][0]))
    (_, aux), grads = watched.value_and_grad(X, start(), scale=2.0)
    assert aux == (16, 3)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), grads, wanted[1])


def test_nobody_listens_any_more():
    watched = Watched()
    step, memory = step_of(watched.value_and_grad)
    watched.sampler.stop()
    train(watched.jit(step), memory)
    assert watched.samples == []


@pytest.mark.exact
def test_a_loss_that_cannot_be_read_is_trained_all_the_same(unwatched, monkeypatch):
    def refuse(*args):
        raise EngineError("It can't be read.")

    monkeypatch.setattr(sampling, "run", refuse)
    watched, found = watched_run()
    assert_same(found, unwatched)
    assert (watched.samples, watched.sampler.trouble) == ([], "It can't be read.")


def test_steps_that_come_too_fast_are_not_all_sampled(monkeypatch):
    monkeypatch.setattr(sampling, "AT_ONCE", 2)
    monkeypatch.setattr(sampling, "A_SECOND", 0)
    watched, _ = watched_run(every=1)
    watched.sampler.flush()
    assert watched.steps == [0, 1]


def test_of_a_large_program_the_largest_arrays_stay_away(monkeypatch):
    monkeypatch.setattr(sampling, "ENTRIES", 100)
    watched = Watched()
    watched.sampler.full = True
    step, memory = step_of(watched.value_and_grad)
    train(watched.jit(step), memory, count=2)
    reading = watched.samples[0].reading
    held = {node.name for node in reading.graph.nodes if node.id in reading.plan.values}
    assert {"params.first", "params.second"} <= held
    assert "tanh" not in held


def test_every_must_be_a_count():
    with pytest.raises(SamplingError, match="give 1 or more"):
        Watched(every=0)

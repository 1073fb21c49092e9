"""What a training in another process tells of itself, taken up here: columns, whole passes, findings."""

from __future__ import annotations

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine import wire
from engine.grad import Asked, value_and_grad
from engine.sampling import Sample, Sampler
from explorer.followed import EVERY_SECONDS, Feed
from tests.programs import normal

X, Y = normal(16, 3), normal(16, 1, seed=1)
EVERY, STEPS = 4, 13


def loss(x, params, y):
    hidden = jnp.tanh(x @ params["first"])
    return jnp.mean((hidden @ params["second"] - y) ** 2)


def start():
    return {"first": jnp.asarray(normal(3, 4, seed=2)), "second": jnp.asarray(normal(4, 1, seed=3))}


def train(rate, full=range(STEPS)):
    """The samples of a loop, and its parameters and losses step by step."""
    samples = []
    sampler = Sampler(loss, Asked(argnums=1), EVERY, samples.append)

    def step(params):
        value, grads = sampler.value_and_grad(sampler.asked, (X, params, Y), {})
        return jax.tree.map(lambda leaf, grad: leaf - rate * grad, params, grads), value, grads

    step = sampler.jit(step, jax.jit, {})
    params, seen = start(), []
    for number in range(STEPS):
        sampler.full = number in full
        after, value, grads = step(params)
        seen.append((params, float(value), grads))
        params = after
    sampler.flush()
    return samples, seen


def as_bytes(samples):
    writer = wire.Writer(EVERY)
    return b"".join(bytes(piece) for sample in samples for piece in writer.pieces(sample))


def taken(samples):
    feed = Feed(lambda word: None)
    feed.receive(io.BytesIO(as_bytes(samples)))
    return feed


@pytest.fixture(scope="module")
def trained():
    return train(0.05, full=(0, 8))


@pytest.fixture(scope="module")
def feed(trained):
    return taken(trained[0])


def norms(trees):
    return [[np.linalg.norm(leaf) for leaf in jax.tree.leaves(tree)] for tree in trees]


def test_it_knows_whose_training_it_is(feed):
    followed = feed.followed
    assert (followed.title, followed.every, followed.step) == ("loss", EVERY, STEPS)
    assert [followed.graph.node(id).name for id in followed.parameters] == ["params.first", "params.second"]


def test_columns_are_those_of_the_steps_that_were_sampled(feed, trained):
    found = feed.followed.history
    assert found.loss().final.tolist() == [0, 4, 8, 12]
    np.testing.assert_allclose(found.loss().last, [trained[1][step][1] for step in (0, 4, 8, 12)], rtol=1e-6)


def test_norms_are_those_of_the_loop(feed, trained):
    found, seen = feed.followed.history, trained[1]
    np.testing.assert_allclose(found.weights().last, norms(seen[step][0] for step in (0, 4, 8, 12)), rtol=1e-5)
    np.testing.assert_allclose(found.gradients().last, norms(seen[step][2] for step in (0, 4, 8, 12)), rtol=1e-5)
    np.testing.assert_allclose(found.updates().last[:3], 0.05 * found.gradients().last[:3], rtol=1e-4)


def test_an_update_that_was_not_seen_is_not_known(feed):
    assert np.isnan(feed.followed.history.updates().last[3]).all()


def test_full_readings_are_kept_as_whole_passes(feed, trained):
    first, second = feed.followed.passes
    assert (first.before.step, second.before.step) == (0, 8)
    for mine, wanted in zip(second.after.params, jax.tree.leaves(trained[1][9][0]), strict=True):
        np.testing.assert_array_equal(mine, wanted)
    for mine, wanted in zip(second.grads, jax.tree.leaves(trained[1][8][2]), strict=True):
        np.testing.assert_array_equal(mine, wanted)


def test_the_pass_at_a_step_is_the_last_one_before_it(feed):
    steps = [feed.followed.pass_at(step).before.step for step in (0, 7, 8, 100)]
    assert steps == [0, 0, 8, 8]


def test_a_loss_that_is_lost_is_found():
    findings = taken(train(1e25)[0]).followed.findings()
    assert [finding.kind for finding in findings] == ["nonfinite"]


def test_a_reading_of_another_program_is_not_taken(trained):
    other = Sample(20, jnp.float32(1), value_and_grad(lambda w: w**2)(1.0)[2], ("%0",))
    feed = taken([*trained[0], other])
    assert feed.followed.step == STEPS


def test_who_listens_is_told_and_told_of_the_end(trained):
    feed, heard = Feed(lambda word: None), []
    feed.listeners.append(lambda: heard.append(feed.ended))
    feed.receive(io.BytesIO(as_bytes(trained[0])))
    assert heard[:-1] == [False] * (len(heard) - 1)
    assert heard[-1]


def test_a_full_reading_is_asked_for_now_and_then(monkeypatch):
    asked, clock = [], [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    feed = Feed(asked.append)
    for wait in (0, EVERY_SECONDS / 2, EVERY_SECONDS / 2):
        clock[0] += wait
        feed.want()
    assert asked == ["full", "full"]

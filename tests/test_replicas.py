"""A step from the inside: what each device has, that the mean is the gradient, and what comes of not waiting."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from engine.optimisers import controls
from engine.parallel import ParallelLoop
from engine.replicas import Replicas, distance
from engine.shares import Split
from engine.tasks import problem, usual

pytestmark = pytest.mark.cpu

SETTINGS = usual("gaussians", batch=24, depth=0, optimizer="momentum")
CONTROLS = controls(SETTINGS)
leaves = jax.tree.leaves


@pytest.fixture(scope="module")
def replicas():
    return Replicas(ParallelLoop(problem(SETTINGS), (), Split(4)))


@pytest.fixture(scope="module")
def start(replicas):
    return replicas.loop.start(CONTROLS)


@pytest.fixture(scope="module")
def look(replicas, start):
    return replicas.look(start, CONTROLS)


@pytest.fixture(scope="module")
def single(replicas, start):
    return replicas.single(start, CONTROLS)


def test_each_device_has_the_gradient_of_its_own_examples(look, replicas, start):
    given = replicas.loop.problem
    for device, rows in enumerate(look.rows):
        own = (array[rows] for array in given.examples)
        loss, grads = jax.value_and_grad(given.fun)(*start.params, *own)
        assert look.losses[device] == pytest.approx(float(loss), rel=1e-5)
        assert distance([leaf[device] for leaf in leaves(look.grads)], leaves(grads)) < 1e-5


def test_their_mean_is_the_gradient_of_the_whole_batch(look, single):
    assert distance(leaves(look.mean), leaves(single[1])) < 1e-6
    assert look.loss == pytest.approx(float(single[0]), rel=1e-6)


def test_all_devices_make_the_update_of_one(look, single):
    for device in range(4):
        assert distance([leaf[device] for leaf in leaves(look.after)], leaves(single[2])) < 1e-6


def test_all_devices_have_the_same_bits_after_it(look):
    for leaf in leaves(look.after):
        np.testing.assert_array_equal(leaf, np.broadcast_to(leaf[0], leaf.shape))


def test_the_parts_add_up_to_the_mean(look):
    assert distance([part.sum(0) for part in leaves(look.parts)], leaves(look.mean)) < 1e-6


def test_without_one_device_the_gradient_is_that_of_the_other_examples(look, replicas, start):
    given = replicas.loop.problem
    rest = np.concatenate(look.rows[1:])
    grads = jax.grad(given.fun)(*start.params, *(array[rest] for array in given.examples))
    assert look.without(0)[0] == pytest.approx(distance(leaves(grads), leaves(look.mean)), rel=1e-3)


@pytest.mark.slow
def test_a_divided_memory_takes_a_share_of_the_bytes(start):
    divided = Replicas(ParallelLoop(problem(SETTINGS), (), Split(4, sharded=True)))
    own, whole = divided.look(start, CONTROLS).bytes
    assert whole == 4 * 6
    assert own == 4 * (1 + 1)  # of four weights and of two biases


@pytest.mark.slow
def test_replicas_that_never_meet_drift_apart(replicas, start):
    drift = replicas.drift(start, CONTROLS, 30)
    assert drift.spread.min() > 1e-3


@pytest.mark.slow
def test_replicas_that_meet_are_equal_again(replicas, start):
    drift = replicas.drift(start, CONTROLS, 30, meet=10)
    for leaf in leaves(drift.params):
        np.testing.assert_array_equal(leaf, np.broadcast_to(leaf[0], leaf.shape))


@pytest.mark.slow
def test_all_wait_for_the_slow_one(replicas, start):
    stamps = replicas.straggle(start, CONTROLS, slow=2, seconds=0.15)
    waited = stamps[..., 2] - stamps[..., 1]
    assert np.all(stamps[:, 2, 1] - stamps[:, 2, 0] >= 0.14)
    assert np.all(waited[:, [0, 1, 3]].sum(0) >= 0.2)

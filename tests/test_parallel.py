"""Training on several devices is that on one: the same parameters, memory, losses, norms and statistics."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from functools import cache

import jax
import numpy as np
import pytest

from engine import optimisers, profile
from engine.errors import UnknownNodeError
from engine.history import measured
from engine.loop import Loop
from engine.optimisers import controls
from engine.parallel import ParallelLoop
from engine.replicas import Replicas
from engine.runs import Run
from engine.saving import open_run, save
from engine.shares import WHOLE, ParallelError, Split
from engine.tasks import problem, usual
from engine.trace import trace
from tests import sources

pytestmark = pytest.mark.cpu

PLAIN = usual("gaussians", batch=24, depth=1, width=3)
RICH = usual(
    "gaussians", batch=24, width=3, dropout=0.3, l2=0.01, optimizer="adam", rate=0.01, clip="norm", clip_at=0.1
)
STEPS = 100


def nodes(given):
    graph = trace(given.fun, *given.params, *given.batch(0))
    return profile.told(graph, graph.inputs[: len(jax.tree.leaves(given.params))], 128)


@cache
def trained(settings, split=WHOLE, watching=False):
    """The state after 100 steps, and what was recorded of them."""
    given = problem(settings)
    watched = nodes(given) if watching else ()
    loop = Loop(given, watched) if split == WHOLE else ParallelLoop(given, watched, split)
    chosen = controls(settings)
    return loop.advance(loop.start(chosen), chosen, STEPS, 10)


def close(found, wanted, rtol=2e-5):
    for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        scale = max(float(np.abs(theirs).max(initial=0)), 1e-6)
        np.testing.assert_allclose(np.asarray(mine) / scale, np.asarray(theirs) / scale, atol=rtol)


def same_run(settings, split):
    state, records = trained(settings, split)
    wanted, recorded = trained(settings)
    close((state.params, state.optimiser), (wanted.params, wanted.optimiser))
    close((records.loss, records.gradients, records.updates), (recorded.loss, recorded.gradients, recorded.updates))


@pytest.mark.slow
@pytest.mark.parametrize("devices", [2, 3, 4])
def test_any_number_of_devices_trains_the_same(devices):
    same_run(PLAIN, Split(devices))


@pytest.mark.slow
@pytest.mark.once
def test_what_is_dropped_depends_neither_on_devices_nor_on_micro_batches():
    same_run(RICH, Split(2, pieces=3))


@pytest.mark.slow
def test_a_divided_memory_is_the_same_memory():
    same_run(RICH, Split(3, sharded=True))


@cache
def overflowing(kind, scaling, sharded):
    """The loop of a problem of which the last device's gradients, and no other's, are too large for float16 once they
    are scaled, and what each device has after a step of it.
    """
    settings = dataclasses.replace(PLAIN, depth=0, precision=kind, scaling=scaling, optimizer="adam")
    given = problem(settings)
    x, answers = (np.array(array) for array in given.examples)
    last = given.rows(0)[-2:]
    x[last], answers[last] = 1e4, np.eye(2)  # one point with both answers: one of them is wrong, whatever is answered
    loop = ParallelLoop(dataclasses.replace(given, examples=(x, answers)), (), Split(4, sharded=sharded))
    chosen = controls(settings)
    begin = loop.start(chosen)
    after, _ = Loop.advance(loop, loop.place(begin, chosen.method), chosen, 1)
    return loop, chosen, begin, after


def on_each(leaf):
    return np.array([shard.data for shard in leaf.addressable_shards])


@pytest.mark.slow
@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.once
def test_a_step_that_overflows_on_one_device_is_left_out_on_all(sharded):
    loop, chosen, begin, after = overflowing("float16", "dynamic", sharded)
    grads = jax.tree.leaves(Replicas(loop).look(begin, chosen).grads)
    fine = np.all([np.isfinite(leaf).reshape(4, -1).all(1) for leaf in grads], axis=0)
    assert fine.tolist() == [True, True, True, False]
    assert on_each(after.optimiser.skipped).tolist() == [1] * 4
    assert on_each(after.optimiser.factor).tolist() == [optimisers.FIRST / 2] * 4
    for leaf, like in zip(jax.tree.leaves(after.params), jax.tree.leaves(begin.params), strict=True):
        np.testing.assert_array_equal(on_each(leaf), np.broadcast_to(like, (4, *like.shape)))


@pytest.mark.slow
@pytest.mark.parametrize("sharded", [False, True])
def test_what_bfloat16_holds_is_trained_on_by_all(sharded):
    _, _, begin, after = overflowing("bfloat16", "static", sharded)
    assert on_each(after.optimiser.skipped).tolist() == [0] * 4
    assert on_each(after.optimiser.factor).tolist() == [optimisers.STATIC] * 4
    for leaf, like in zip(jax.tree.leaves(after.params), jax.tree.leaves(begin.params), strict=True):
        devices = on_each(leaf)
        np.testing.assert_array_equal(devices, np.broadcast_to(devices[0], devices.shape))
        assert not np.array_equal(devices[0], like)


@pytest.mark.slow
@pytest.mark.parametrize("sharded", [False, True])
def test_a_scaled_run_is_scaled_alike_on_any_devices(sharded):
    """Twenty steps of float16: the same steps are left out, by the same factors."""
    loop, chosen, state, _ = overflowing("float16", "dynamic", sharded)
    single, alone = Loop(loop.problem), state
    for _ in range(20):
        state, alone = loop.advance(state, chosen, 1)[0], single.advance(alone, chosen, 1)[0]
        assert (state.optimiser.skipped, state.optimiser.factor) == (alone.optimiser.skipped, alone.optimiser.factor)
    assert 0 < int(state.optimiser.skipped) < 20
    close(state.params, alone.params, 1e-2)


@pytest.mark.slow
def test_each_device_holds_its_slice_of_the_memory_only():
    loop, chosen = ParallelLoop(problem(RICH), (), Split(4, sharded=True)), controls(RICH)
    whole = loop.start(chosen)
    held = loop.place(whole, chosen.method).optimiser
    for leaf, like in zip(jax.tree.leaves(held), jax.tree.leaves(whole.optimiser), strict=True):
        assert leaf.addressable_data(1).size == (-(-like.size // 4) if like.ndim else 1)


@pytest.mark.slow
def test_statistics_of_the_whole_batch_come_out_of_its_parts():
    known = nodes(problem(PLAIN))
    found, wanted = (
        measured(records.reading, known, len(records.watched))
        for records in (trained(PLAIN, Split(4), True)[1], trained(PLAIN, WHOLE, True)[1])
    )
    assert not np.isnan(found).any()
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-6)


def test_of_a_parameter_no_device_knows_statistics():
    given = problem(PLAIN)
    loop, chosen = ParallelLoop(given, ("params.layers.1.w",), Split(2)), controls(PLAIN)
    reading = loop.advance(loop.start(chosen), chosen, 1)[1].reading
    with pytest.raises(UnknownNodeError, match=r"^params\.layers\.1\.w has no row for each example"):
        reading.stats("params.layers.1.w")


@pytest.mark.parametrize("split", [Split(3), Split(2, pieces=3)])
def test_each_device_is_told_apart(split):
    given = problem(PLAIN)
    hidden = nodes(given)[0]
    loop, chosen = ParallelLoop(given, (hidden,), split), controls(PLAIN)
    state = loop.start(chosen)
    read = loop.advance(state, chosen, 1)[1].reading
    batch = given.batch(0)
    losses = [given.fun(*state.params, *(leaf[loop.shares.of(own)] for leaf in batch)) for own in range(split.devices)]
    np.testing.assert_allclose(read.apart(given.graph.outputs[0])["value"][-1, :, 1], losses, rtol=1e-5)
    shares = loop.shares.weight.sum(1)
    apart, whole = read.apart(hidden)["grad"][-1], read.stats(hidden)["grad"]
    np.testing.assert_allclose(np.sqrt(np.sum(shares * apart[:, 0] ** 2)), whole["rms"][-1], rtol=1e-5)
    assert np.ptp(apart[:, 0]) > 0


@pytest.mark.slow
def test_devices_come_and_go_while_it_trains():
    run = Run(problem(PLAIN), controls(PLAIN))
    for devices in (1, 2, 4, 3):
        run.divide(dataclasses.replace(WHOLE, devices=devices))
        run.advance(STEPS // 4)
    close(run.state.params, trained(PLAIN)[0].params)
    assert [event.text for event in run.events] == ["", "devices 1 → 2", "devices 2 → 4", "devices 4 → 3"]


@pytest.mark.slow
def test_steps_on_several_devices_are_taken_again_bit_for_bit():
    run = Run(problem(PLAIN), controls(PLAIN))
    run.advance(10)
    run.divide(Split(4))
    run.advance(30)
    there = jax.device_get(run.state.params)
    run.advance(30)
    run.rewind(40)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(run.state.params), there)


def test_a_saved_run_knows_its_devices(tmp_path):
    run = Run(problem(PLAIN), controls(PLAIN))
    run.divide(Split(4, sharded=True))
    save(run, tmp_path, PLAIN)
    assert open_run(tmp_path).run.events[-1].split == Split(4, sharded=True)


def test_what_has_no_examples_is_not_divided():
    with pytest.raises(ParallelError, match="has no batch of examples to be divided"):
        ParallelLoop(problem(usual("chain")), (), Split(2))


@pytest.mark.slow
@pytest.mark.once
def test_eight_devices_from_the_command_line():
    code = "from explorer.cli import main; main()"
    words = f"train --task gaussians --depth 1 --width 3 --batch 24 --steps {STEPS} --devices 8 --json"
    flags = {**os.environ, "XLA_FLAGS": ""}
    done = subprocess.run(
        [sys.executable, "-c", code, *words.split()],
        capture_output=True,
        text=True,
        check=True,
        cwd=sources.ROOT,
        env=flags,
    )
    shown = json.loads(done.stdout)
    assert shown["devices"] == 8
    np.testing.assert_allclose(shown["loss"], trained(PLAIN)[1].loss, rtol=1e-4)

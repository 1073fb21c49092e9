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

from engine import profile
from engine.errors import UnknownNodeError
from engine.history import measured
from engine.loop import Loop
from engine.optimisers import controls
from engine.parallel import ParallelLoop
from engine.runs import Run
from engine.saving import open_run, save
from engine.shares import WHOLE, ParallelError, Split
from engine.tasks import problem, usual
from engine.trace import trace
from tests import sources

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
def test_what_is_dropped_depends_neither_on_devices_nor_on_micro_batches():
    same_run(RICH, Split(2, pieces=3))


@pytest.mark.slow
def test_a_divided_memory_is_the_same_memory():
    same_run(RICH, Split(3, sharded=True))


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

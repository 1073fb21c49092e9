"""A run: what is changed on the way, and the way back to any step, bit for bit."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from engine.optimisers import Controls, ControlsError
from engine.runs import Run, RunError
from engine.tasks import Settings, problem
from engine.tasks.catalogue import Problem
from engine.track import FIELDS

SPIRAL = problem(Settings(task="spiral", depth=2, width=4, batch=10, rate=0.3))
ADAM = Controls(optimizer="adam", rate=0.01)
CHANGES = {
    150: {"rate": 0.02},
    250: {"optimizer": "momentum", "clip": "norm"},
    330: {"frozen": ("params.layers.0",)},
    400: {"schedule": "cosine", "frozen": ()},
}
LENGTH = 1000


def same(found, wanted) -> None:
    for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(theirs))


def same_state(found, wanted) -> None:
    assert found.step == wanted.step
    same((found.params, found.optimiser), (wanted.params, wanted.optimiser))


def same_history(found, wanted) -> None:
    for mine, theirs in zip(found.tracks.values(), wanted.tracks.values(), strict=True):
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(mine.columns, name), getattr(theirs.columns, name))


def quadratic(scale=1.0):
    return Problem("quadratic", lambda w: scale * w * w, (np.float32(4.0),), (), lambda step: None)


@pytest.fixture(scope="module")
def compiled():
    return Run(SPIRAL, ADAM, nodes=("params.layers.1.w", "params.layers.2.b"), every=7).loop


@pytest.fixture
def fresh(compiled):
    """A new run, with the program that was compiled already."""
    run = Run(SPIRAL, ADAM, nodes=compiled.nodes, every=7)
    run.loop = compiled
    return run


def trained(run, end, *stops):
    for stop in sorted({*stops, *(step for step in CHANGES if step <= end), end}):
        run.advance(stop - run.state.step)
        if stop in CHANGES:
            run.change(**CHANGES[stop])
    return run


@pytest.fixture(scope="module")
def stopped(compiled):
    """For some steps the state of a run that was stopped there, one step at a time, for others in uneven pieces."""
    run, found = Run(SPIRAL, ADAM, nodes=compiled.nodes, every=7), {}
    run.loop = compiled
    for step in (0, 1, 2, 64, 77, 149, 150, 151, 250, 251, 331, 400, 512, 777, 999, 1000):
        found[step] = trained(run, step).state
    return found


def test_any_step_of_a_long_run_is_that_of_a_run_stopped_there(fresh, stopped):
    trained(fresh, LENGTH)
    for step, state in stopped.items():
        same_state(fresh.at(step), state)
    assert fresh.state.step == LENGTH


@pytest.mark.parametrize("step", [0, 77, 250, 777])
def test_a_rewound_run_is_the_run_stopped_there_and_goes_on_the_same(fresh, stopped, step):
    whole = trained(fresh, LENGTH)
    wanted, history, controls = whole.state, whole.history, whole.controls
    columns = {name: track.columns for name, track in history.tracks.items()}
    whole.rewind(step)
    same_state(whole.state, stopped[step])
    assert whole.history.loss().final[-1:].tolist() == ([step - 1] if step else [])
    assert whole.controls == (ADAM if step == 77 else whole.events[-1].controls)
    for stop in sorted({*(at for at in CHANGES if at > step), LENGTH}):
        whole.advance(stop - whole.state.step)
        if stop in CHANGES:
            whole.change(**CHANGES[stop])
    same_state(whole.state, wanted)
    assert whole.controls == controls
    for name, track in whole.history.tracks.items():
        for field in FIELDS:
            np.testing.assert_array_equal(getattr(track.columns, field), getattr(columns[name], field))


def test_history_and_state_dont_depend_on_how_steps_were_divided(fresh, compiled):
    other = Run(SPIRAL, ADAM, nodes=compiled.nodes, every=7)
    other.loop = compiled
    trained(fresh, LENGTH)
    trained(other, LENGTH, 1, 2, 3, 99, 101, 640, 641, 900)
    same_state(fresh.state, other.state)
    same_history(fresh.history, other.history)


def test_the_loss_that_is_kept_is_that_of_the_state(fresh):
    fresh.advance(30)
    loss = SPIRAL.fun(*fresh.at(20).params, *SPIRAL.batch(20))
    np.testing.assert_allclose(fresh.history.loss().last[20], loss, rtol=1e-5)


def test_watched_nodes_are_kept_at_their_steps(fresh):
    fresh.advance(20)
    assert fresh.history.measures.columns.first.tolist() == [0, 7, 14]
    grads = jax.grad(SPIRAL.fun)(*fresh.at(14).params, *SPIRAL.batch(14))
    found = fresh.history.measured("grad", "rms").last[-1, 0]
    np.testing.assert_allclose(found, np.sqrt(np.mean(grads["layers"][1]["w"] ** 2)), rtol=1e-4)


def test_the_test_set_is_looked_at_every_hundred_steps(fresh):
    fresh.advance(250)
    kept = fresh.history.tested("train_accuracy")
    assert kept.first.tolist() == [0, 100, 200]
    x, y = SPIRAL.examples
    wanted = [SPIRAL.accuracy(fresh.at(step).params, x, y) for step in (0, 100, 200)]
    np.testing.assert_allclose(kept.last, wanted, atol=1e-6)


def test_how_often_one_looks_can_change_and_is_part_of_the_way_back(fresh, stopped):
    fresh.advance(77)
    fresh.watch(10)
    fresh.advance(50)
    assert fresh.history.measures.columns.first.tolist()[-7:] == [63, 70, 80, 90, 100, 110, 120]
    same_state(fresh.at(77), stopped[77])
    fresh.rewind(100)
    assert fresh.history.measures.final == 90


def test_another_optimiser_begins_with_an_empty_memory_and_says_so():
    run = Run(quadratic(), ADAM)
    run.advance(3)
    event = run.change(optimizer="momentum", rate=0.5)
    assert (event.step, "memory starts empty" in event.text) == (3, True)
    before = float(run.state.params[0])
    run.advance()
    assert float(run.state.params[0]) == pytest.approx(before - 0.5 * 2 * before, abs=1e-6)


def test_another_rate_keeps_the_memory():
    run = Run(quadratic(), Controls(optimizer="momentum", rate=0.1))
    run.advance()
    run.change(rate=0.05)
    run.advance()
    assert float(run.state.params[0]) == pytest.approx(3.2 - 0.05 * (0.9 * 8 + 6.4))


def test_a_change_that_cant_be_changes_nothing():
    run = Run(quadratic())
    for change in ({"rate": -1.0}, {"optimizer": "no"}, {"frozen": ("v",)}, {"rat": 0.1}):
        with pytest.raises(ControlsError):
            run.change(**change)
    with pytest.raises(RunError, match="every 0 steps"):
        run.watch(0)
    assert (len(run.events), run.controls) == (1, Controls(rate=0.1))


def test_a_change_to_what_is_already_is_no_event():
    run = Run(quadratic())
    run.change(rate=0.1)
    assert len(run.events) == 1


def test_freezing_and_letting_go():
    run = Run(quadratic(), Controls(rate=0.25))
    run.freeze("w")
    run.advance(2)
    assert float(run.state.params[0]) == 4.0
    run.unfreeze("w")
    run.advance()
    assert float(run.state.params[0]) == 2.0


@pytest.mark.parametrize("step", [-1, 4])
def test_a_step_that_isnt_there_is_refused_and_nothing_forgotten(step):
    run = Run(quadratic())
    run.advance(3)
    for ask in (run.at, run.rewind):
        with pytest.raises(RunError, match=f"Step {step} isn't in this run; it has steps 0 to 3"):
            ask(step)
    assert run.history.numbers.final == 2


def test_reset_is_a_new_run_with_the_controls_of_now():
    run = Run(quadratic(), Controls(rate=0.25))
    run.advance(2)
    run.change(rate=0.125)
    run.reset()
    assert (run.state.step, float(run.state.params[0]), len(run.history.loss()), len(run.events)) == (0, 4.0, 0, 1)
    run.advance()
    assert float(run.state.params[0]) == 3.0


def test_after_each_piece_the_run_is_whole():
    run = Run(quadratic(), Controls(rate=0.001))
    seen = []
    for records in run.advancing(1000):
        seen.append((run.state.step, run.history.numbers.final, len(records.loss)))
        if run.state.step >= 300:
            break
    assert seen == [(100, 99, 100), (200, 199, 100), (300, 299, 100)]


def test_a_run_that_breaks_down_keeps_its_losses():
    run = Run(quadratic(1e30), Controls(rate=1e6))
    run.advance(5)
    assert np.isfinite(run.history.loss().last).tolist() == [True, False, False, False, False]


def test_memory_stays_bounded():
    run = Run(quadratic(), Controls(rate=1e-4))
    run.advance(20_000)
    assert run.nbytes < 500_000
    assert len(run.snapshots.states) <= 32
    same_state(run.at(19_999), run.at(19_999))
    assert run.history.loss().count.sum() == 20_000

"""States kept to begin again from: bounded, the first one always there, none far from any step."""

from __future__ import annotations

import jax.numpy as jnp
import pytest

from engine import snapshots
from engine.loop import TrainState
from engine.snapshots import GAP, MOST, Snapshots, nbytes

SIZES = {size: jnp.zeros(size) for size in (1, 200)}


def _state(step, size=1):
    return TrainState((SIZES[size],), (), step)


def _offered(steps, size=1):
    kept = Snapshots([_state(0, size)])
    for step in steps:
        kept.offer(_state(step, size))
    return kept


def test_a_long_run_keeps_few_and_none_far_from_any_step():
    kept = _offered(range(1, 100_001))
    steps = [state.step for state in kept.states]
    assert (steps[0], len(steps) <= MOST) == (0, True)
    gaps = [b - a for a, b in zip(steps, [*steps[1:], 100_001], strict=True)]
    assert max(gaps) <= 2 * 100_000 / MOST


def test_the_first_ones_are_a_gap_apart():
    assert [state.step for state in _offered(range(1, 3 * GAP)).states] == [0, GAP, 2 * GAP]


@pytest.mark.parametrize(("step", "found"), [(0, 0), (63, 0), (64, 64), (100, 64), (10**9, 128)])
def test_the_last_one_at_or_before_a_step_is_found(step, found):
    assert _offered([64, 128]).before(step).step == found


def test_later_ones_can_be_forgotten():
    kept = _offered([64, 128, 192])
    kept.truncate(128)
    assert [state.step for state in kept.states] == [0, 64, 128]


def test_large_states_are_fewer(monkeypatch):
    monkeypatch.setattr(snapshots, "BYTES", 4000)
    kept = _offered(range(64, 10_000, 64), size=200)
    assert nbytes(kept.states[0]) == 800
    assert kept.nbytes <= 4000
    assert kept.states[0].step == 0


def test_two_are_kept_however_large(monkeypatch):
    monkeypatch.setattr(snapshots, "BYTES", 1)
    assert _offered(range(64, 1000, 64)).states[0].step == 0
    assert len(_offered([64, 128, 192]).states) == 2

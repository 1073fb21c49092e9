"""The two sides of a valley, and what kind of place it is, on losses written in NumPy: no JAX computes them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.differences import STEPS, Bracket, Samples, differences, settled, sides, verdict


def samples(loss, slope, at=0.0, dtype="float64"):
    """A loss of one number, computed in a precision."""
    x, h = np.dtype(dtype).type(at), STEPS.astype(dtype)
    values = (np.asarray(loss(point)).astype(np.float64) for point in (x, x + h, x - h))
    value, ahead, back = values
    return Samples(dtype, STEPS, float(value), slope, ahead, back)


@pytest.fixture(scope="module")
def smooth():
    return samples(np.exp, np.e, 1.0)


def test_errors_are_relative_to_the_larger_slope(smooth):
    found = differences(smooth.central, smooth)
    at = np.searchsorted(STEPS, 0.1)
    wanted = math.sinh(STEPS[at]) / STEPS[at] - 1
    assert found.errors[at] == pytest.approx(wanted / (1 + wanted), rel=1e-6)


def test_truncation_of_central_differences_grows_as_the_square(smooth):
    assert differences(smooth.central, smooth).truncation == pytest.approx(2, abs=0.02)


def test_truncation_of_forward_differences_grows_as_the_step(smooth):
    assert differences(smooth.forward, smooth).truncation == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_grows_as_one_over_the_step(dtype):
    found = samples(np.exp, np.e, 1.0, dtype)
    assert differences(found.central, found).rounding == pytest.approx(-1, abs=0.2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kind", "power"), [("central", 1 / 3), ("forward", 1 / 2)])
def test_the_valley_lies_where_theory_has_it(dtype, kind, power):
    found = samples(np.exp, np.e, 1.0, dtype)
    best = differences(getattr(found, kind), found)
    assert abs(math.log10(best.best_step / np.finfo(dtype).eps ** power)) < 0.7
    assert best.best_error < 100 * np.finfo(dtype).eps ** (1 - power)


def test_a_single_lucky_error_is_no_valley(smooth):
    lucky = smooth.central.copy()
    lucky[20] = smooth.slope
    assert differences(lucky, smooth).errors[20] == 0
    assert differences(lucky, smooth).best_step == differences(smooth.central, smooth).best_step


def test_a_straight_line_has_nothing_to_cut_off():
    line = samples(lambda x: 3 * x + 0.1, 3.0, 0.3)
    assert differences(line.central, line).truncation is None
    assert differences(line.central, line).best_step > 0.1


def test_steps_that_are_lost_in_rounding_are_no_best_ones():
    found = samples(lambda x: np.float32(1) + np.maximum(x, 0), 0.0, dtype="float32")
    best = differences(found.central, found)
    assert best.errors[0] == 0
    assert best.best_step > 5e-8
    assert best.best_error == 1.0


def test_where_the_loss_is_nan_there_is_no_error():
    found = samples(lambda x: np.sqrt(np.where(x < -0.5, np.nan, x + 0.5)), 0.5**0.5 / 1.0)
    assert np.isnan(differences(found.central, found).errors[-1])
    assert differences(found.central, found).best_error < 1e-8


KINDS = {
    "agrees": (np.exp, np.e, 1.0),
    "agrees on a minimum": (lambda x: 1 + x**2, 0.0, 0.0),
    "agrees beside a kink": (lambda x: np.maximum(x, 0) + np.sin(x), 2.0, 1e-2),
    "agrees where it lies flat": (lambda x: x**2, 0.0, 0.0),
    "agrees but for a hundredth": (lambda x: 100 * x + 0.1 * np.abs(x), 100.0, 0.0),
    "kink": (lambda x: np.maximum(x, 0), 0.0, 0.0),
    "kink in a curve": (lambda x: np.abs(x) + np.exp(x), 1.0, 0.0),
    "kink of a large loss": (lambda x: 1e4 * np.maximum(x, 0) + 1e4, 0.0, 0.0),
    "jump": (lambda x: np.where(x > 0, 2.0, 0.0) + np.cos(x), 0.0, 0.0),
    "differs": (np.exp, 2.0, 1.0),
    "flat": (lambda x: np.where(x > 0, 2.0, 0.0), 0.0, 0.3),
    "unresolved": (lambda x: 1e9 + 1e-5 * x, 2e-5, 0.3),
    "nonfinite": (lambda x: np.where(x == 0, -np.inf, np.abs(x)), np.inf, 0.0),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_of_place(kind, dtype):
    assert verdict(samples(*KINDS[kind], dtype=dtype))[0] == kind.split()[0]


@pytest.mark.parametrize("at", [0.1, 0.3, 0.7, 1.1])
@pytest.mark.parametrize("height", [1e2, 1e3, 1e4])
def test_rounding_is_no_kink(at, height):
    assert verdict(samples(lambda x: height + 1e-4 * np.sin(x), 1e-4 * np.cos(at), at))[0] == "agrees"


def test_a_kink_is_said_with_both_slopes():
    found = verdict(samples(lambda x: np.where(x > 0, 3 * x, x), 1.0))
    assert found == (
        "kink",
        "the loss has a kink here: its slope is 1 from the left and 3 from the right; central differences say 2, "
        "backpropagation says 1. There is no one slope to agree on.",
    )


def test_a_jump_is_said_with_its_height():
    assert verdict(samples(lambda x: np.where(x > 0, 3.0, 0.0), 0.0))[1] == (
        "the loss jumps here by 3, however small the step, so differences grow without end; backpropagation says 0, "
        "which tells nothing of the jump."
    )


def test_one_sided_slopes():
    found = sides(samples(lambda x: np.where(x > 0, 3 * x, x), 1.0))
    assert (found.left, found.right) == (pytest.approx(1), pytest.approx(3))
    assert (found.bends, found.jumps, found.still) == (True, False, False)


# ---- whether they may accuse -----------------------------------------------------------------------------------------


def halved(loss, at, first=0.1, count=6):
    steps = first / 2.0 ** np.arange(count)
    return [Bracket(step, *(float(loss(at + move)) for move in (-step, 0, step))) for step in steps]


def test_a_bracket_has_a_slope_and_a_bend():
    found = Bracket(0.5, 1.0, 2.0, 5.0)
    assert (found.slope, found.bend) == (4.0, 4.0)


@pytest.mark.parametrize("wrong", [0.0, 0.9, 1.1, 2.0, -1.0])
def test_a_wrong_slope_of_a_smooth_loss_is_told(wrong):
    assert settled(halved(np.exp, 1.0), wrong * np.e, 0.05)


@pytest.mark.parametrize("away", [0.0, 1e-4, 1e-3, 4e-3, 1e-2, 3e-2])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_kink_that_is_near_accuses_nobody(away, side):
    def loss(x):
        return np.exp(x) + np.maximum(side * x - away, 0)

    assert not settled(halved(loss, 0.0), 1.0, 0.05)


def test_a_jump_accuses_nobody():
    assert not settled(halved(lambda x: x + (x > 1e-3), 0.0), 1.0, 0.05)


def test_a_right_slope_is_not_told_wrong():
    assert not settled(halved(np.exp, 1.0), np.e, 0.05)


def test_two_steps_are_too_few():
    assert not settled(halved(np.exp, 1.0, count=2), 0.0, 0.05)

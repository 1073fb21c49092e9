"""What differences say of a slope: their errors by the size of the step, and what kind of place it is."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from engine.numbers import short

Array = np.ndarray

STEPS = np.logspace(-12, 0, 97)
"""Eight sizes in each decade."""

SATURATED = 0.3
"""An error above which a difference says nothing any more; it is left out of the fits."""

AGREEMENT = 0.01
"""The relative error, at the bottom of the valley, up to which a gradient counts as checked."""


@dataclasses.dataclass(frozen=True, eq=False)
class Samples:
    """A loss along a direction, computed in one precision."""

    dtype: str
    steps: Array
    value: float
    """At the place itself."""
    slope: float
    """What backpropagation says."""
    ahead: Array
    """A step further, for each size."""
    back: Array

    @property
    def epsilon(self) -> float:
        """The machine's, in this precision."""
        return float(jnp.finfo(self.dtype).eps)

    @property
    def central(self) -> Array:
        """Slopes by central differences."""
        return (self.ahead - self.back) / (2 * self.steps)

    @property
    def forward(self) -> Array:
        """Slopes by forward differences."""
        return (self.ahead - self.value) / self.steps

    @property
    def backward(self) -> Array:
        """Slopes by backward differences."""
        return (self.value - self.back) / self.steps

    @property
    def noise(self) -> float:
        """How far rounding may move a difference of two losses."""
        sizes = np.abs([self.value, *self.ahead[: len(self.ahead) // 2]])
        return 20 * self.epsilon * float(np.max(sizes, where=np.isfinite(sizes), initial=0.0))

    @property
    def moved(self) -> Array:
        """For each size whether the loss moved at all; a step may be lost in rounding."""
        return (self.ahead != self.value) | (self.back != self.value)


@dataclasses.dataclass(frozen=True, eq=False)
class Differences:
    """The valley of one kind of difference."""

    errors: Array
    """For each step the error relative to the larger of the two slopes, so from 0 to 2; NaN where the loss was."""
    best_step: float
    """Where the valley is deepest. A single error may be small by luck, so its neighbours count too."""
    best_error: float
    """The largest error near that step; infinite where no step gives one."""
    rounding: float | None
    """Slope of log error over log step left of the valley: −1 where rounding makes it. ``None``: too few points."""
    truncation: float | None
    """The same right of it: 2 for central differences, 1 for forward ones; ``None``: nothing is cut off, or too few."""


def differences(numeric: Array, samples: Samples) -> Differences:
    """The errors of numeric slopes, and what the two sides of their valley look like."""
    steps, errors = samples.steps, _relative(numeric, samples.slope)
    around = _highest_near(errors)
    seen = np.where(samples.moved, around, np.inf) if samples.moved.any() else around
    best = int(np.argmin(seen))
    step = float(steps[best])
    left = _fitted(steps, around, steps < step / 3)
    right = _fitted(steps, errors, steps > step * 3)
    return Differences(errors, step, float(seen[best]), left, right)


def _relative(numeric: Array, slope: float) -> Array:
    larger = np.maximum(np.abs(numeric), abs(slope))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(larger == 0, 0.0, np.abs(numeric - slope) / larger)


def _highest_near(errors: Array, reach: int = 2) -> Array:
    """For each step the largest error of its neighbours; infinite where one of them is NaN."""
    padded = np.pad(np.nan_to_num(errors, nan=np.inf), reach, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(-1)


def _fitted(steps: Array, errors: Array, side: Array) -> float | None:
    """The median of the slopes between pairs of points (Theil–Sen), for rounding makes errors that lie far off; within
    three decades of the valley, for further out it may meet a kink.
    """
    near = np.flatnonzero(side)
    near = near[:24] if side[-1:].all() else near[-24:]
    usable = near[np.isfinite(errors[near]) & (errors[near] > 0) & (errors[near] < SATURATED)]
    x, y = np.log10(steps[usable]), np.log10(errors[usable])
    if len(x) < 6 or np.ptp(y) < 1:
        return None
    i, j = np.triu_indices(len(x), 4)
    return float(np.median((y[j] - y[i]) / (x[j] - x[i])))


# ---- what kind of place --------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Sides:
    """One-sided slopes at a small step, and how they change with a step a hundred times as large."""

    left: float
    right: float
    rise: float
    """How far the loss is from one side to the other, at the small step."""
    jumps: bool
    """Whether that doesn't shrink with the step."""
    bends: bool
    """Whether the difference of the one-sided slopes doesn't shrink with the step."""
    still: bool
    """Whether the loss moves by no bit at either step."""
    noise: float
    """How far rounding may move a one-sided slope."""


def sides(samples: Samples) -> Sides:
    """What the loss does to the left and to the right, where one-sided differences are best: near √epsilon."""
    step = samples.epsilon**0.5
    near, far = (_within(samples.steps, step * scale) for scale in (1, 100))
    rise = np.maximum(np.abs(samples.ahead - samples.value), np.abs(samples.back - samples.value))
    bend = np.abs(samples.forward - samples.backward)
    left, right = float(np.median(samples.backward[near])), float(np.median(samples.forward[near]))
    noise = samples.noise / step * 3
    gap, wider = float(np.median(bend[near])), float(np.median(bend[far]))
    height, higher = float(np.median(rise[near])), float(np.median(rise[far]))
    bends = gap > max(0.3 * wider, noise, AGREEMENT * max(abs(left), abs(right)))
    still = not samples.moved[near | far].any()
    return Sides(left, right, height, height > max(0.3 * higher, samples.noise), bends, still, noise)


def _within(steps: Array, middle: float) -> Array:
    near = np.abs(np.log10(steps / middle)) <= 0.5
    return near if near.any() else np.abs(np.log10(steps / middle)) == np.abs(np.log10(steps / middle)).min()


def verdict(samples: Samples) -> tuple[str, str]:
    """What kind of place it is, and a sentence that says so.

    Returns:
        The kind, ``agrees kink jump differs flat unresolved nonfinite``, and the sentence.
    """
    found, slope = sides(samples), samples.slope
    central = differences(samples.central, samples)
    says = f"backpropagation says {short(slope)}"
    if not np.isfinite([samples.value, slope, found.left, found.right]).all():
        return "nonfinite", f"the loss here is {short(samples.value)} and {says}: nothing to compare."
    if found.jumps:
        return "jump", (
            f"the loss jumps here by {short(found.rise)}, however small the step, so differences grow without end; "
            f"{says}, which tells nothing of the jump."
        )
    if found.bends:
        middle = (found.left + found.right) / 2
        return "kink", (
            f"the loss has a kink here: its slope is {short(found.left)} from the left and {short(found.right)} from "
            f"the right; central differences say {short(middle)}, {says}. There is no one slope to agree on."
        )
    if found.still and not slope:
        return "flat", "the loss does not change with it near here: backpropagation and differences both say 0."
    if central.best_error <= AGREEMENT:
        return "agrees", (
            f"{says}, and central differences agree to {short(central.best_error)} at a step of "
            f"{short(central.best_step)} (in {samples.dtype})."
        )
    if max(abs(slope), abs(found.left), abs(found.right)) <= found.noise:
        return "unresolved", f"{says}, less than differences of the loss can resolve in {samples.dtype}."
    return "differs", (
        f"{says}, differences say {short(found.right)} from both sides: a stop_gradient, or a derivative rule of its "
        "own, stands between."
    )


# ---- whether they may accuse -----------------------------------------------------------------------------------------

STEADY = 0.1
"""By what part of itself an error may change, over three steps, each half the one before, and count as one error."""


@dataclasses.dataclass(frozen=True)
class Bracket:
    """A loss at a place and a step to either side of it."""

    step: float
    below: float
    here: float
    above: float

    @property
    def slope(self) -> float:
        """By the central difference."""
        return (self.above - self.below) / (2 * self.step)

    @property
    def bend(self) -> float:
        """The forward difference less the backward one: with half the step it halves, unless there is a kink."""
        return (self.above - 2 * self.here + self.below) / self.step


def settled(halved: Sequence[Bracket], slope: float, tolerance: float) -> bool:
    """Whether differences settle on another slope than this.

    What a wrong slope is off by stays, however small the step; what a kink within the step adds shrinks with the step,
    unless the kink lies at the very place: then the bend stays.

    Args:
        halved: the loss around one place, each step half the one before.
        slope: what backpropagation says.
        tolerance: how far off it may be, relative.
    """
    least = tolerance * abs(slope)
    return any(_steady(halved[at : at + 3], slope, least) for at in range(len(halved) - 2))


def _steady(three: Sequence[Bracket], slope: float, least: float) -> bool:
    errors = [bracket.slope - slope for bracket in three]
    left_over = [2 * small.bend - large.bend for large, small in itertools.pairwise(three)]
    error = min(map(abs, errors))
    return error > least and max(np.ptp(errors), *map(abs, left_over)) <= STEADY * error

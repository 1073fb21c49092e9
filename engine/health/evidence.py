"""What a diagnosis is made from: a few full readings of a run, one update, and the losses so far."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import jax
import numpy as np

from engine import profile
from engine.graph import Graph
from engine.layers import Layer, Structure, structure
from engine.numbers import Numbers
from engine.profile import Factor, Row, Through, Update
from engine.reading import Reading
from engine.trace import is_array

Array = Any

LEARNED = 0.1
"""A loss below this share of where it began has been learned: nothing that is found is in the way."""

PROGRESS = 0.02
"""A loss that fell by less than a fiftieth went nowhere: a bias that learns how often each class comes does as much."""

WORTH = 0.01
"""A loss that falls by a hundredth still falls."""

PATIENCE = 50
"""Fewer steps than this say nothing about where a loss is going."""


@dataclasses.dataclass(frozen=True)
class Course:
    """The losses of a run: one a step, or fewer of a long one, the first steps' among them."""

    losses: tuple[float, ...]
    steps: int = 0
    """How many steps were taken, if more than there are losses."""

    @property
    def start(self) -> float:
        """Where it began: the mean of five steps, or a tenth of them, as batches differ; the first alone if the next
        ones made it more than twice as large.
        """
        return statistics.fmean(self.losses[: self.began]) if self.losses else math.nan

    @property
    def began(self) -> int:
        """Over how many steps that is the mean."""
        count = max(1, min(5, len(self.losses) // 10))
        return count if statistics.fmean(self.losses[:count]) <= 2 * abs(self.losses[0]) else 1

    @property
    def now(self) -> float:
        """Where it is: the median of the last tenth of the steps, and of 50 at the most."""
        return statistics.median(self._last) if self.losses else math.nan

    @property
    def lately(self) -> int:
        """Over how many steps that is the median."""
        return max(1, round(len(self._last) * max(self.steps, len(self.losses)) / max(len(self.losses), 1)))

    @property
    def _last(self) -> tuple[float, ...]:
        return self.losses[-max(1, min(50, len(self.losses) // 10)) :]

    @property
    def progress(self) -> float:
        """Share of the loss at the start that is gone; negative where it grew."""
        return (self.start - self.now) / abs(self.start) if self.start else 0.0

    @property
    def long(self) -> bool:
        """Whether there are enough steps to say where it is going."""
        return len(self.losses) >= PATIENCE

    @property
    def stuck(self) -> bool:
        """Whether it is where it began, and not falling either by more than batches differ."""
        return self.long and self.progress < PROGRESS and not self.falling

    @property
    def rests(self) -> bool:
        """Whether its second half is stuck: it may have fallen at first, and does no more."""
        return Course(self.losses[len(self.losses) // 2 :]).stuck

    @property
    def settled(self) -> bool:
        """Whether its second half is long enough to say so, and falls no more; batches may differ as they like."""
        half = Course(self.losses[len(self.losses) // 2 :])
        return half.long and not half.falling

    @property
    def falling(self) -> bool:
        """Whether a straight line through all but the first tenth falls: by more than two standard errors of its slope,
        and by more than a hundredth of the start, which is what as many steps again could win.
        """
        values = np.array(self.losses[len(self.losses) // 10 :])
        if len(values) < 3:
            return False
        times = np.arange(len(values)) - (len(values) - 1) / 2
        slope = float(times @ values / (times @ times))
        rest = values - values.mean() - slope * times
        error = math.sqrt(float(rest @ rest) / (len(values) - 2) / float(times @ times))
        return slope < -2 * error and -slope * len(values) > WORTH * abs(self.start)

    @property
    def learned(self) -> bool:
        """Whether what there was to learn has been learned."""
        return bool(self.losses) and self.progress > 1 - LEARNED


@dataclasses.dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of a run."""

    readings: tuple[Reading, ...]
    """Full readings of single steps with their contributions, the oldest first; best the first step's and the latest,
    and, of a run that is no longer finite, that of the step at which it broke (:func:`breaking_step`)."""
    parameters: tuple[str, ...]
    """Ids of the leaves that are trained."""
    before: Mapping[str, Array]
    """The parameters before the latest reading's update, by id; empty if unknown."""
    after: Mapping[str, Array]
    """And after it."""
    losses: tuple[float, ...] = ()
    """One for each step; of a long run one for every so many, the first steps' among them."""
    steps: int = 0
    """How many steps were taken, if more than there are losses."""
    settings: Any = None
    """The run's settings, as attributes or items; of a function of one's own those of its optimiser, or ``None``."""
    wide: Reading | None = None
    """The gradients of the latest reading's step in float32, where that was taken in mixed precision."""
    skipped: int = 0
    """How many steps were left out, because a gradient of the scaled loss overflowed."""

    @property
    def graph(self) -> Graph:
        """The traced function."""
        return self.readings[-1].graph

    @cached_property
    def latest(self) -> Numbers:
        """The latest reading."""
        return Numbers(self.readings[-1])

    @cached_property
    def at_start(self) -> Evidence:
        """What was known at the first reading alone."""
        return dataclasses.replace(self, readings=self.readings[:1], before={}, after={}, losses=(), steps=0)

    @property
    def narrowest(self) -> str:
        """The type of floating-point numbers in the function that reaches least far."""
        there = {node.dtype for node in self.graph.nodes}
        return next((kind for kind in ("float16", "bfloat16") if kind in there), "float32")

    @property
    def structure(self) -> Structure:
        """The layers of the function."""
        return structure(self.graph, self.parameters)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The latest gradient profile."""
        return profile.rows(self.latest, self.parameters)

    @property
    def first_rows(self) -> tuple[Row, ...]:
        """The first gradient profile."""
        return self.at_start.rows if len(self.readings) > 1 else self.rows

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """The factors of the latest profile, the last layer first."""
        return profile.factors(self.latest, self.parameters)

    @cached_property
    def through(self) -> tuple[Through, ...]:
        """The latest gradients through time."""
        return profile.through(self.readings[-1])

    @cached_property
    def updates(self) -> tuple[Update, ...]:
        """The latest update of each layer's weights."""
        weights = dict.fromkeys(weight for layer in self.structure.layers for weight in layer.weights)
        chosen = [id for id in weights or self.parameters if id in self.before and id in self.after]
        before, after = ({id: values[id] for id in chosen} for values in (self.before, self.after))
        return profile.updates(self.graph, before, after)

    @cached_property
    def course(self) -> Course:
        """The losses."""
        return Course(self.losses, max(self.steps, len(self.losses)))

    def awakes(self, layer: Layer) -> bool:
        """Whether a layer's weights are zero, and the latest update changes that: a last layer often begins so."""
        pairs = [(self.latest.value(weight), self.latest.grad(weight)) for weight in layer.weights]
        return any(not np.any(value) and np.any(gradient) for value, gradient in pairs)

    @property
    def own(self) -> bool:
        """Whether the function is one's own: what it is made of is no setting, and can only be advised."""
        return self.setting("model") is None

    def setting(self, name: str, default: Any = None) -> Any:
        """One of the run's settings; the default where there are none."""
        if isinstance(self.settings, Mapping):
            return self.settings.get(name, default)
        return getattr(self.settings, name, default)


def gather(
    readings: Sequence[Reading],
    before: tuple[Any, ...],
    after: tuple[Any, ...] | None = None,
    losses: Sequence[float] = (),
    settings: Any = None,
    steps: int = 0,
) -> Evidence:
    """Evidence from what a training loop has at hand.

    Args:
        readings: full readings, the oldest first, of a function whose first arguments are the parameters.
        before: those arguments (pytrees) before the latest reading's update.
        after: and after it, if known.
        losses: one for each step, or fewer of a long run.
        settings: the run's settings; of a function of one's own those of its optimiser, if known.
        steps: how many steps were taken, if more than that.
    """
    graph = readings[-1].graph
    leaves = [[leaf for leaf in jax.tree.leaves(tree) if is_array(leaf)] for tree in (before, after or ())]
    ids = graph.inputs[: len(leaves[0])]
    old, new = (dict(zip(ids, values, strict=False)) for values in leaves)
    return Evidence(tuple(readings), ids, old, new, tuple(map(float, losses)), steps, settings)


def breaking_step(losses: Sequence[float]) -> int | None:
    """The first step whose loss is not finite; ``None`` if all are. Read it, or the one before if its parameters are
    not finite either.
    """
    return next((step for step, loss in enumerate(losses) if not math.isfinite(loss)), None)

"""Steps of a wrong length, and losses that don't move."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.health import remedies
from engine.health.evidence import PROGRESS, Course, Evidence
from engine.health.finding import Finding, Place, Remedy
from engine.numbers import short
from engine.profile import Update

Array = Any

TOO_FAR = 0.1
"""An update of a tenth of the weights' size: ten steps replace them all, and a gradient says little that far away."""

TOO_SHORT = 1e-5
"""An update so small that a hundred thousand steps go by before the weights are others; float32 resolves 1e-7."""


GUESSING = 0.95
"""A loss above this share of what guessing gets is no better than that: batches differ."""


def update_too_large(evidence: Evidence) -> Finding | None:
    """Steps that replace the weights, while the loss doesn't fall."""
    course, moved = evidence.course, _moved(evidence)
    if not course.long or course.progress > PROGRESS or not moved:
        return None
    worst = max(moved, key=lambda update: update.ratio)
    if worst.ratio < TOO_FAR or not worst.size:
        return None
    told = (
        f"A step moves {_name(evidence, worst)} by {short(worst.ratio)} of its size, and the loss was "
        f"{_course(course)}: each overshoots what the one before aimed at."
    )
    given = remedies.effective(evidence, remedies.lower_rate(evidence), remedies.clip())
    place = (Place(worst.parameter, _name(evidence, worst)),)
    brief = f"updates of {short(worst.ratio)} of the weights' size"
    return Finding("update_too_large", "learning rate too large", place, told, brief, given)


def update_too_small(evidence: Evidence) -> Finding | None:
    """Steps that leave all weights where they are, though there is much to learn."""
    course, moved = evidence.course, _moved(evidence)
    if not moved or (course.long and course.progress > PROGRESS):
        return None
    fastest = max(moved, key=lambda update: update.ratio)
    if fastest.ratio >= TOO_SHORT:
        return None
    told = (
        f"The largest update, that of {_name(evidence, fastest)}, is {short(fastest.ratio)} of the weights' size: "
        f"{_steps(fastest)} steps like it would be needed to replace them."
    )
    given = remedies.effective(evidence, remedies.rate(evidence, "Learn faster"))
    place = (Place(fastest.parameter, _name(evidence, fastest)),)
    brief = f"updates of {short(fastest.ratio)} of the weights' size"
    return Finding("update_too_small", "learning rate too small", place, told, brief, given)


def _course(course: Course) -> str:
    """Where the loss was and where it is, each with the steps over which that is told."""
    return (
        f"{short(course.start)} in the first {course.began} of {course.steps:,} steps (mean) and "
        f"{short(course.now)} in the last {course.lately:,} (median)"
    )


def _moved(evidence: Evidence) -> list[Update]:
    return [update for update in evidence.updates if math.isfinite(update.ratio)]


def _steps(update: Update) -> str:
    return short(1 / update.ratio) if update.ratio else "any number of"


def _name(evidence: Evidence, update: Update) -> str:
    return evidence.graph.node(update.parameter).name


def plateau(evidence: Evidence) -> Finding | None:
    """A loss that is where it began; or, of a linear model, that fell to what guessing gets and rests there."""
    course = evidence.course
    straight = evidence.setting("activation") == "linear" or evidence.setting("depth") == 0
    if course.stuck:
        so = (
            "though gradients and updates have sizes that let one learn: the model may be too simple, or the way is "
            "flat here."
        )
    elif straight and course.settled and course.now > GUESSING * (guessed := _guessed(evidence)):
        so = (
            f"and rests: whoever only knows how often each class comes gets about {short(guessed)}. A linear model "
            "can't tell these classes apart."
        )
    else:
        return None
    told = f"The loss was {_course(course)}, {so}"
    cause = "a linear model" if straight else "flat surface"
    bent = Remedy("Two hidden layers of tanh", {"depth": 2, "activation": "tanh"})
    adam = Remedy("Adam at rate 0.01", {"optimizer": "adam", "rate": 0.01})
    given = [bent] if straight else [adam, bent]
    if evidence.own:
        given = [adam, Remedy("A wider model", {})]
    brief = (
        f"loss {short(course.now)} in the last {course.lately:,} of {course.steps:,} steps (median), "
        f"{short(course.start)} in the first {course.began} (mean)"
    )
    return Finding("plateau", cause, (), told, brief, remedies.effective(evidence, *given))


def _guessed(evidence: Evidence) -> float:
    """The cross-entropy for one who only knows how often each class comes: the entropy of the labels that were read, a
    one among zeros for each example. NaN where that isn't the loss.
    """
    if evidence.setting("loss") != "cross_entropy":
        return math.nan
    data = [id for id in evidence.graph.inputs if id not in evidence.parameters]
    read = [[np.asarray(reading.value(id)) for reading in evidence.readings] for id in data]
    labels = [np.concatenate(arrays) for arrays in read if all(map(_is_one_hot, arrays))]
    if len(labels) != 1:
        return math.nan
    shares = labels[0].mean(axis=0)
    return -float(np.sum(shares * np.log(shares, where=shares > 0, out=np.zeros_like(shares))))


def _is_one_hot(array: Array) -> bool:
    return array.ndim == 2 and bool(np.all((array == 0) | (array == 1)) and np.all(array.sum(axis=1) == 1))

"""Steps of a wrong length, and losses that don't move."""

from __future__ import annotations

import math

from engine.health import remedies
from engine.health.evidence import PROGRESS, Evidence
from engine.health.finding import Finding, Place, Remedy
from engine.numbers import short
from engine.profile import Update

TOO_FAR = 0.1
"""An update of a tenth of the weights' size: ten steps replace them all, and a gradient says little that far away."""

TOO_SHORT = 1e-5
"""An update so small that a hundred thousand steps go by before the weights are others; float32 resolves 1e-7."""


def update_too_large(evidence: Evidence) -> Finding | None:
    """Steps that replace the weights, while the loss doesn't fall."""
    course, moved = evidence.course, _moved(evidence)
    if not course.long or course.progress > PROGRESS or not moved:
        return None
    worst = max(moved, key=lambda update: update.ratio)
    if worst.ratio < TOO_FAR or not worst.size:
        return None
    told = (
        f"A step moves {_name(evidence, worst)} by {short(worst.ratio)} of its size, and the loss went from "
        f"{short(course.start)} to {short(course.now)} in {len(course.losses)} steps: each overshoots what the one "
        "before aimed at."
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


def _moved(evidence: Evidence) -> list[Update]:
    return [update for update in evidence.updates if math.isfinite(update.ratio)]


def _steps(update: Update) -> str:
    return short(1 / update.ratio) if update.ratio else "any number of"


def _name(evidence: Evidence, update: Update) -> str:
    return evidence.graph.node(update.parameter).name


def plateau(evidence: Evidence) -> Finding | None:
    """A loss that is where it began."""
    course = evidence.course
    if not course.stuck:
        return None
    told = (
        f"The loss went from {short(course.start)} to {short(course.now)} in {len(course.losses)} steps, though "
        "gradients and updates have sizes that let one learn: the model may be too simple, or the way is flat here."
    )
    straight = evidence.setting("activation") == "linear" or evidence.setting("depth") == 0
    cause = "a linear model" if straight else "flat surface"
    bent = Remedy("Two hidden layers of tanh", {"depth": 2, "activation": "tanh"})
    adam = Remedy("Adam at rate 0.01", {"optimizer": "adam", "rate": 0.01})
    given = [bent, adam] if straight else [adam, bent]
    if evidence.settings is None:
        given = [Remedy("Try Adam, or a wider model", {})]
    brief = f"loss {short(course.now)} after {len(course.losses)} steps, {short(course.start)} at the start"
    return Finding("plateau", cause, (), told, brief, remedies.effective(evidence, *given))

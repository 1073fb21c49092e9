"""From evidence to one cause."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from engine.health import broken, motion, reach, scale, units
from engine.health.evidence import Evidence
from engine.health.finding import KINDS, Finding

Check = Callable[[Evidence], Finding | None]

CHECKS: dict[str, Check] = {
    "nonfinite": lambda evidence: broken.nonfinite(evidence) or reach.overflow(evidence),
    "cut": broken.cut,
    "symmetry": units.symmetry,
    "dead": units.dead,
    "exploding": scale.exploding,
    "vanishing": lambda evidence: reach.underflow(evidence) or scale.vanishing(evidence),
    "saturated": units.saturated,
    "update_too_large": motion.update_too_large,
    "update_too_small": motion.update_too_small,
    "plateau": motion.plateau,
}


def diagnose(evidence: Evidence) -> tuple[Finding, ...]:
    """What is wrong with a run.

    Args:
        evidence: at least one full reading (see :func:`engine.health.gather`).

    Returns:
        Nothing for a healthy run; else one finding, the root, with what else was found as its effects.
    """
    found = _found(evidence)
    if not found:
        return ()
    kinds = [finding.kind for finding in found]
    begun = [] if kinds[0] in ("cut", "symmetry") else _begun(evidence, nonfinite=kinds[0] == "nonfinite")
    root, *others = [*begun, *(finding for finding in found if finding.kind not in [own.kind for own in begun])]
    effects = tuple(f"{other.kind.replace('_', ' ')}: {other.brief}" for other in others)
    return (dataclasses.replace(root, effects=effects),)


def _found(evidence: Evidence) -> list[Finding]:
    """Everything that is wrong by now, in the order of :data:`KINDS`."""
    broken_run = CHECKS["nonfinite"](evidence)
    if broken_run is not None:  # there is nothing to measure in what isn't a number
        return [finding for kind in ("cut", "symmetry") if (finding := CHECKS[kind](evidence))] + [broken_run]
    return [finding for kind in KINDS if (finding := CHECKS[kind](evidence))]


def _begun(evidence: Evidence, nonfinite: bool) -> list[Finding]:
    """What was wrong with the gradients at the first step: the root of what went wrong later."""
    start = evidence.at_start
    if len(evidence.readings) < 2 or CHECKS["nonfinite"](start):
        return []
    kinds = ("exploding",) if nonfinite else ("exploding", "vanishing")  # nothing breaks for being too small
    return [finding for kind in kinds if (finding := CHECKS[kind](start))]

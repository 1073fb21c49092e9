"""Numbers of sixteen bits reach less far: what falls below them is zero, and what rises above them infinite."""

from __future__ import annotations

from engine import underflow as underflows
from engine.health import remedies
from engine.health.evidence import Evidence
from engine.health.finding import Finding, Place, Remedy
from engine.numbers import short
from engine.underflow import Lost

MUCH = 0.1
"""A tenth of a gradient's entries lost: fewer are the smallest of it, and change its direction little."""


def underflow(evidence: Evidence) -> Finding | None:
    """A layer's gradient, at its output or at its weights, much of which is zero in sixteen bits alone."""
    if evidence.wide is None or evidence.course.learned:
        return None
    names = {id: layer.name for layer in evidence.structure.layers for id in (layer.output, *layer.weights)}
    found = underflows.lost(evidence.readings[-1], evidence.wide, names)
    much = {id: own for id, own in found.items() if own.share >= MUCH}
    if not much:
        return None
    worst = max(much, key=lambda own: much[own].share)
    told = (
        f"{short(100 * much[worst].share)} % of the gradient's entries at {_called(evidence, worst, names)} are zero, "
        f"and not in a float32 pass of the same step: they lie below {short(much[worst].smallest)}, the smallest "
        f"number of {much[worst].kind}. So in {_layers(len({names[id] for id in much}))}."
    )
    places = tuple(Place(id, names[id]) for id in much)
    given = (remedies.scaling(), remedies.bfloat16(), remedies.float32())
    cause = f"underflow in {much[worst].kind}"
    brief = f"gradients underflow in {much[worst].kind}"
    return Finding("vanishing", cause, places, told, brief, remedies.effective(evidence, *given))


def _called(evidence: Evidence, id: str, names: dict[str, str]) -> str:
    return evidence.graph.node(id).name if id in evidence.parameters else names[id]


def _layers(count: int) -> str:
    return f"{count} layer" + ("s" if count != 1 else "")


def overflow(evidence: Evidence) -> Finding | None:
    """Steps left out one after the other, as the loss is scaled by more than its gradients bear."""
    factor, skipped = evidence.readings[-1].factor, evidence.skipped
    if factor is None or evidence.setting("scaling") != "static" or not skipped:
        return None
    told = (
        f"{skipped} of {evidence.course.steps:,} steps were left out: scaled by {float(factor):,.0f}, a "
        f"gradient grew beyond the largest number of {evidence.narrowest}."
    )
    given: tuple[Remedy, ...] = (remedies.scaling(), remedies.bfloat16())
    cause = f"scaled gradients too large for {evidence.narrowest}"
    brief = f"{skipped} steps left out"
    return Finding("nonfinite", cause, (), told, brief, remedies.effective(evidence, *given))


def words(lost: Lost) -> str:
    """The same of one gradient, for the page: what its zeros are."""
    return (
        f"{short(100 * lost.share)} % of its entries underflowed: they are zero here and not in a float32 pass of the "
        f"same step, as {lost.kind} holds nothing below {short(lost.smallest)}."
    )

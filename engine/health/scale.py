"""Gradients that grow or shrink from layer to layer, or from step to step through time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

from engine import profile
from engine.health import remedies
from engine.health.evidence import Evidence
from engine.health.finding import Finding, Place, Remedy
from engine.numbers import short
from engine.profile import Factor, Row, Through

EXPLODED = 1e3
"""The first layer's gradient over the last one's, from which on it has exploded: the rate that the first layer bears
leaves the last where it is. Healthy nets, twenty layers deep or trained to the end, lie between 1e-3 and 50."""

VANISHED = 1e-4
"""And from which on it has vanished: at one rate for all, the last layer is done before the first has begun."""

STUCK = 1e-3
"""The same where the loss doesn't fall, so that there is something to explain."""

ROUNDING = 1e-6
"""The same through time while the loss falls. Gradients of all steps are added up in float32: what is smaller than this
beside the others is lost in rounding, so that no training can tell it from nothing."""

_ORTHOGONAL = Remedy("Orthogonal recurrent weights", {"init": "orthogonal"})


@dataclasses.dataclass(frozen=True)
class _Size:
    """How gradients change along a way."""

    ratio: float
    passages: int
    factors: tuple[Factor, ...]
    first: Place
    time: bool = False

    @property
    def each(self) -> float:
        """The mean ratio of one passage."""
        return self.ratio ** (1 / self.passages) if self.ratio > 0 else 0.0

    def mean(self, name: str) -> float:
        """Geometric mean of one factor."""
        return math.exp(sum(math.log(getattr(factor, name)) for factor in self.factors) / max(len(self.factors), 1))


def exploding(evidence: Evidence) -> Finding | None:
    """Gradients that grow a thousandfold on the way back."""
    clipped = evidence.setting("clip", "none") != "none"
    sizes = [*([] if clipped else _time(evidence)), *_depth(evidence)]  # clipping bounds the one step of shared weights
    found = next((size for size in sizes if size.ratio > EXPLODED), None)
    return None if found is None else _exploding(evidence, found)


def vanishing(evidence: Evidence) -> Finding | None:
    """Gradients that shrink a thousandfold on the way back."""
    if evidence.course.learned:
        return None
    stuck = evidence.course.stuck
    long_ago = VANISHED if evidence.course.rests else ROUNDING
    sizes = [(size, VANISHED) for size in _depth(evidence)] + [(size, long_ago) for size in _time(evidence)]
    found = next((size for size, lost in sizes if size.ratio < (STUCK if stuck else lost)), None)
    return None if found is None else _vanishing(evidence, found)


def _depth(evidence: Evidence) -> list[_Size]:
    """From the last layer of the trunk to the first."""
    rows = {row.layer: row for row in evidence.rows}
    trunk = [rows[layer] for layer in evidence.structure.trunk if layer in rows]
    if len(trunk) < 2 or not _usable(trunk):
        return []
    first, passages = trunk[0], len(trunk) - 1
    ratio = first.gradient / trunk[-1].gradient
    if len(evidence.factors) == passages:  # what time does is told apart
        ratio = math.prod(factor.measured / factor.time for factor in evidence.factors)
    if ratio == 0 and any(map(evidence.awakes, evidence.structure.trunk)):
        return []  # one step, and gradients pass
    return [_Size(ratio, passages, evidence.factors, Place(first.layer.output, first.layer.name))]


def _usable(trunk: Sequence[Row]) -> bool:
    return trunk[-1].gradient > 0 and all(math.isfinite(row.gradient) for row in trunk)


def _time(evidence: Evidence) -> list[_Size]:
    """From the last step of each loop to the first."""
    return [_through(evidence, each) for each in evidence.through if len(each.gradient) > 1 and _known(each)]


def _known(each: Through) -> bool:
    return each.gradient[-1] > 0 and all(map(math.isfinite, each.gradient))


def _through(evidence: Evidence, each: Through) -> _Size:
    owner = evidence.graph.node(each.entries[0]).places[-1].owner
    links = [link for link in evidence.structure.recurrent if _owner(evidence, link.lower.output) == owner]
    factors = profile.factors(evidence.latest, evidence.parameters, links)
    return _Size(each.ratio, len(each.gradient) - 1, factors, Place(each.entries[0], each.loop), time=True)


def _owner(evidence: Evidence, id: str) -> str:
    return evidence.graph.node(id).places[-1].owner


# ---- what is said --------------------------------------------------------------------------------------------------

_WORDS = {
    "activation_slope": "mean {activation} slope",
    "weight_gain": "weight gain",
    "norm": "normalisation",
    "residual": "residual",
    "time": "loop",
    "other": "other",
    "alignment": "alignment",
}


def _product(size: _Size) -> str:
    """``mean sigmoid slope 0.21 × weight gain 0.62``; factors that change nothing are left out."""
    if not size.factors:
        return "no factor could be measured"
    activation = next((factor.activation for factor in size.factors if factor.activation), "activation")
    shown = []
    for name, words in _WORDS.items():
        value = size.mean(name)
        if name in ("activation_slope", "weight_gain") or abs(value - 1) > 0.02:
            shown.append(f"{words.format(activation=activation)} {short(value)}")
    return " × ".join(shown)


def _told(size: _Size, verb: str) -> str:
    if size.time:
        return (
            f"Gradients {verb} to {short(size.each)} times their size at each of {size.passages} steps back through "
            f"{size.first.name}: {_product(size)}; the first step receives {short(size.ratio)} of what the last does."
        )
    return (
        f"Gradients {verb} to {short(size.each)} times their size at each of {size.passages} layers: {_product(size)}; "
        f"{size.first.name} receives {short(size.ratio)} of what the last layer does."
    )


def _exploding(evidence: Evidence, size: _Size) -> Finding:
    early = len(evidence.readings) == 1
    begun = [remedies.fresh(evidence), remedies.norm()]
    slower = [remedies.lower_rate(evidence), remedies.clip()]
    cause = "initialisation too large" if early else "learning rate too large"
    given: Iterable[Remedy] = [*begun, remedies.clip()] if early else slower
    if size.time:
        cause = "recurrent weights too large"
        given = [remedies.clip(), _ORTHOGONAL]
    return _finding(evidence, "exploding", cause, size, given)


def _vanishing(evidence: Evidence, size: _Size) -> Finding:
    if size.time:
        gated = Remedy("A memory with gates: LSTM", {"model": "lstm"})
        return _finding(evidence, "vanishing", "recurrent gain below 1", size, [gated, _ORTHOGONAL])
    flat = bool(size.factors) and size.mean("activation_slope") < 0.5
    weak = bool(size.factors) and size.mean("weight_gain") < 0.9
    cause = " and ".join(
        [*(["saturating activation"] if flat else []), *(["initialisation too small"] if weak or not flat else [])]
    )
    fresh = remedies.fresh(evidence, bent="relu" if flat else "")
    given = [fresh, remedies.residual(), remedies.norm()]
    return _finding(evidence, "vanishing", cause, size, given)


def _finding(evidence: Evidence, kind: str, cause: str, size: _Size, given: Iterable[Remedy]) -> Finding:
    verb = {"exploding": "grow", "vanishing": "shrink"}[kind]
    brief = f"gradients {verb} to {short(size.ratio)} of the last {'step' if size.time else 'layer'}'s"
    chosen = remedies.effective(evidence, *given)
    return Finding(kind, cause, (size.first,), _told(size, verb), brief, chosen, size.factors)

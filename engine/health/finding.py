"""What a diagnosis says: a kind, a cause, the numbers behind it, and what to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from engine.profile import Factor

KINDS = (
    *("cut", "symmetry", "nonfinite", "dead", "update_too_large", "saturated"),
    *("exploding", "vanishing", "update_too_small", "plateau"),
)
"""In the order of cause and effect: of several that are found in one run, the first is the root of the others. What is
cut off or alike can't learn whatever its size; a number that isn't finite spoils all others; dead units send nothing
back; too large steps drive activations into their flat parts; these let gradients vanish; and that ends in a plateau.
"""


@dataclasses.dataclass(frozen=True)
class Remedy:
    """One thing to do about a finding."""

    label: str
    change: Mapping[str, Any]
    """Settings to change, by name; empty where it is advice about one's own code."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a finding is."""

    id: str
    """Of a node."""
    name: str
    """What a reader calls it: a layer's name, an operation's."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is wrong, with everything that follows from it."""

    kind: str
    """One of :data:`KINDS`."""
    cause: str
    """A few words: ``saturating activation``."""
    where: tuple[Place, ...]
    sentence: str
    """Plain words, with the numbers measured on this run."""
    brief: str
    """The same in a few words, for a list of effects."""
    remedies: tuple[Remedy, ...] = ()
    factors: tuple[Factor, ...] = ()
    """For gradients that grow or shrink: why, layer by layer, the last layer first."""
    effects: tuple[str, ...] = ()
    """What else was found, and follows from it."""

    @property
    def lesson(self) -> str:
        """The lesson that explains this kind."""
        return self.kind.replace("_", "-")

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "kind": self.kind,
            "where": [dataclasses.asdict(place) for place in self.where],
            "cause": self.cause,
            "factors": [{**dataclasses.asdict(factor), "product": factor.product} for factor in self.factors],
            "remedies": [{"label": remedy.label, "change": dict(remedy.change)} for remedy in self.remedies],
            "sentence": self.sentence,
            "effects": list(self.effects),
            "lesson": self.lesson,
        }

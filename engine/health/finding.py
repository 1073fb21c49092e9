"""What a diagnosis says: a kind, a cause, the numbers behind it, and what to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from engine.profile import Factor
from engine.text import listed, paragraph, short, table

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

    def __repr__(self) -> str:
        return f"Finding({self.kind}: {self.cause}; {self.brief})"

    def _repr_html_(self) -> str:
        """What is wrong, why, and what to do, for a notebook."""
        title = f"{self.kind.replace('_', ' ').capitalize()}: {self.cause}"
        parts = [paragraph(title, strong=True), paragraph(self.sentence)]
        if self.factors:
            head, *rows = factor_table(self.plain()["factors"])
            parts.append(table("Why, layer by layer", head, rows))
        for said, texts in (
            ("What follows from it", self.effects),
            ("What to do", [one.label for one in self.remedies]),
        ):
            parts += [paragraph(said, strong=True), listed(texts)] if texts else []
        return "".join(parts)

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


_FACTORS = {
    "activation_slope": "slope",
    "weight_gain": "weights",
    "norm": "norm",
    "residual": "residual",
    "time": "time",
    "other": "other",
    "alignment": "alignment",
}
_ALWAYS = ("activation_slope", "weight_gain")


def factor_table(factors: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The factors of each ratio as texts, a head first; those that are 1 for every layer are left out.

    Args:
        factors: as :meth:`Finding.plain` has them; ``None`` is a number that isn't known.
    """
    named = {key: title for key, title in _FACTORS.items() if key in _ALWAYS or any(row[key] != 1 for row in factors)}
    head = ["back to", "through", *named.values(), "product", "measured"]
    keys = (*named, "product", "measured")
    numbers = [["—" if row[key] is None else short(float(row[key])) for key in keys] for row in factors]
    return [head, *([row["layer"], row["activation"] or "—", *own] for row, own in zip(factors, numbers, strict=True))]

"""What is known of a training as one follows it, whoever trains: its layers, its history, the passes looked at."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from engine import profile
from engine.graph import Graph
from engine.health import Finding
from engine.history import History
from engine.layers import Layer, structure
from engine.numbers import Numbers
from engine.runs import Event
from engine.training import Step
from explorer.lessons.course import lesson_of


@dataclasses.dataclass(frozen=True, eq=False)
class Look:
    """What one full pass told, beyond what every step records."""

    step: int
    rows: tuple[profile.Row, ...]
    spreads: Mapping[str, Any]
    """How its entries spread over magnitudes (:func:`explorer.extras.spreads`)."""


LOOKS = 128
"""Passes that are remembered; of more, those stay that lie most evenly."""


class Seen:
    """A training as the charts know it."""

    graph: Graph
    known_first: Step | None = None
    """The pass at step 0, once somebody took it."""

    large = False
    """Whether passes are read by statistics, and of few nodes: those that are seen, and those of the layers."""

    gaps = False
    """Whether it isn't known of each step how far it moved the parameters."""

    def __init__(self) -> None:
        self.looks: list[Look] = []

    @property
    def parameters(self) -> tuple[str, ...]:
        """Ids of the leaves that are trained."""
        raise NotImplementedError

    def passes_at(self, most: int) -> list[int]:
        """Steps whose full pass can be shown, from the first to the latest, at most so many."""
        raise NotImplementedError

    @property
    def history(self) -> History:
        """What was recorded."""
        raise NotImplementedError

    @property
    def events(self) -> list[Event]:
        """What was changed on the way."""
        return []

    @property
    def frozen(self) -> tuple[str, ...]:
        """Names of the parameters that stay as they are."""
        return ()

    @property
    def step(self) -> int:
        """How many steps were taken."""
        raise NotImplementedError

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, in program order."""
        return structure(self.graph, self.parameters).layers

    @cached_property
    def ends(self) -> tuple[str, ...]:
        """For each layer the node that it hands on: its activation, or its output where it has none."""
        return profile.ends(self.graph, self.parameters)

    def look(self, at: Step, spreads: Mapping[str, Any]) -> None:
        """Remember what a full pass tells of each layer."""
        rows = profile.rows(Numbers(at.reading), self.parameters)
        others = [look for look in self.looks if look.step != at.before.step]
        self.looks = sorted([*others, Look(at.before.step, rows, spreads)], key=lambda look: look.step)
        while len(self.looks) > LOOKS:
            steps = np.array([look.step for look in self.looks])
            del self.looks[1 + int(np.argmin(steps[2:] - steps[:-2]))]  # its neighbours are the closest

    @property
    def reach(self) -> int:
        """How many steps around it a pass stands for that was looked at: half-way to its neighbours, unless these are
        several times as far away as is usual.
        """
        gaps = np.diff([look.step for look in self.looks])
        return int(2 * np.median(gaps)) if len(gaps) else 0


def told(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Findings as plain data, for the list on the page."""
    plain = [finding.plain() for finding in findings]
    return [
        finding | {"where": [place["name"] for place in finding["where"]], "lesson": lesson_of(finding["kind"])}
        for finding in plain
    ]

"""A lesson as data: beats with a few sentences each, where they point, what is shown, and what is asked first."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from explorer.errors import ExplorerError
from explorer.lessons.vocabulary import Reading

PLACES = ("node", "chart", "inspector", "track", "setup", "page")
"""What a beat can point at; of a node or a chart the name follows."""

CHARTS = (
    *("controls", "loss", "accuracy", "findings", "profile", "plane", "layers"),
    *("spread", "time", "surface", "parameters", "devices"),
)
"""Parts of the training room; a lesson shows those that it names, and none if it names none."""

PHASES = ("Start", "Forward", "Loss", "Backward", "Update", "End")

ASKED = ("number", "sign", "node", "choice")
"""What a beat can ask for."""

EXTREMES = ("largest", "smallest")
"""An answer that is computed: the option whose number is the largest, or the smallest."""


class LessonError(ExplorerError):
    """A lesson's file can't be read, or speaks of what isn't there; the message names the file and the beat."""


@dataclasses.dataclass(frozen=True)
class Place:
    """What on the page a beat speaks of."""

    kind: str = "page"
    """One of :data:`PLACES`."""
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Position:
    """What is seen at a beat, in full: from it alone the page is as the beat wants it, wherever one was before."""

    settings: Mapping[str, Any]
    """All that aren't as the task has them, ``task`` among them."""
    steps: int = 0
    """How many training steps were taken."""
    compare: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Settings of a second run from the same seed; none without."""
    title: str = ""
    """What the second run has done differently."""
    devices: int = 1
    """Over how many the data-parallel room divides a step."""
    granularity: str = "layer"
    open: tuple[str, ...] = ()
    """Scopes that are open besides."""
    phase: str = "Start"
    """Of the playhead, one of :data:`PHASES`."""
    node: str = ""
    """At which node of the phase the playhead stands; at the phase's end without."""
    select: str = ""
    """The node in the inspector; the one at which the playhead stands without."""
    entry: tuple[int, ...] = ()
    """The entry that the inspector's sentence is about; the one with the largest gradient without."""


@dataclasses.dataclass(frozen=True)
class Hint:
    """What to say of a mistake."""

    when: str
    """The number, sign or option that gives the mistake away; a name of a number stands for what it is in this run."""
    says: str


@dataclasses.dataclass(frozen=True)
class Ask:
    """What is to be predicted before it is shown."""

    kind: str
    """One of :data:`ASKED`."""
    question: str
    answer: str
    """Name of a number (for ``number`` and ``sign``), an option, or one of :data:`EXTREMES`."""
    otherwise: str
    """The hint for what no other hint is about."""
    hints: tuple[Hint, ...] = ()
    options: tuple[str, ...] = ()
    """What can be chosen; of ``node`` names of nodes."""
    of: tuple[str, ...] = ()
    """Names of the numbers of the options, where the answer is one of the extremes."""
    tolerance: float = 0.05
    """How far a number may be off, as a share of the right one."""
    then: str = ""
    """What is said once it is answered or shown."""
    position: Position | None = None
    """What is seen then; what the beat shows without."""
    at: Place | None = None
    """Where that is, if elsewhere."""


@dataclasses.dataclass(frozen=True)
class Beat:
    """One moment of a lesson."""

    prose: str
    at: Place
    position: Position
    ask: Ask | None = None


@dataclasses.dataclass(frozen=True)
class Lesson:
    """A lesson, as its file says."""

    name: str
    title: str
    goal: str
    """What one can say or do after it, for the teacher's guide."""
    misconception: str
    """The wrong idea that it is against, for the same."""
    minutes: int
    beats: tuple[Beat, ...]
    numbers: Mapping[str, Reading]
    """What stands in ``{braces}`` in its texts: read from the run at each beat."""
    controls: tuple[str, ...] = ()
    """Settings that may be turned; the set-up is hidden without."""
    charts: tuple[str, ...] = ()
    """Parts of the training room that are shown, some of :data:`CHARTS`."""
    charts_from: int = 1
    """The beat, counted from 1, from which on they are: what is asked before needn't stand there as a number."""
    file: str = ""
    """Where it was read from, for messages."""

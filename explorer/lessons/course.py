"""The course: which lessons there are, in which order, and which of them explains what is wrong with a run."""

from __future__ import annotations

import dataclasses
from functools import cache
from importlib.resources import as_file, files
from typing import Any

from explorer.lessons.lesson import Lesson, LessonError
from explorer.lessons.load import load
from explorer.lessons.vocabulary import suggestion

COURSE: dict[str, tuple[str, ...]] = {
    "One gradient": ("gradient", "chain-rule", "fan-out", "reuse", "checking"),
    "Learning": ("descent", "early-layers", "initialisation"),
    "When gradients go wrong": ("vanishing", "exploding", "remedies", "not-smooth", "dead-units"),
    "Through time and text": ("through-time", "attention"),
    "What it costs": ("memory", "costs", "many-devices"),
}
"""For each group its lessons, in order; each is a file of the folder ``course``."""

LESSON_OF: dict[str, str] = {
    "vanishing": "vanishing",
    "exploding": "exploding",
    "nonfinite": "exploding",
    "dead": "dead-units",
    "symmetry": "initialisation",
    "cut": "not-smooth",
    "saturated": "vanishing",
    "update_too_large": "exploding",
    "update_too_small": "descent",
    "plateau": "remedies",
}
"""For each kind of finding the lesson that explains it."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One line of the course."""

    group: str
    lesson: Lesson

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        own = self.lesson
        return {
            "name": own.name,
            "title": own.title,
            "group": self.group,
            "minutes": own.minutes,
            "beats": len(own.beats),
            "questions": sum(beat.ask is not None for beat in own.beats),
            "goal": own.goal,
            "misconception": own.misconception,
        }


def names() -> tuple[str, ...]:
    """The names of the course's lessons, in order."""
    return tuple(name for group in COURSE.values() for name in group)


@cache
def find(name: str) -> Lesson:
    """A lesson of the course.

    Raises:
        LessonError: there is none of this name.
    """
    if name not in names():
        raise LessonError(f"There is no lesson {name!r}; {suggestion(name, names())}")
    with as_file(files(__package__).joinpath("course", f"{name}.toml")) as path:
        return dataclasses.replace(load(path), file=f"{name}.toml")


def named(text: str) -> Lesson:
    """A lesson of the course by its name, or one's own by the path of its file.

    Raises:
        LessonError: there is no such lesson, or its file can't be read.
    """
    return load(text) if text.endswith(".toml") else find(text)


def entries() -> tuple[Entry, ...]:
    """The whole course, in order."""
    return tuple(Entry(group, find(name)) for group, inside in COURSE.items() for name in inside)


def lesson_of(kind: str) -> str:
    """The name of the lesson that explains a kind of finding; empty if there is none."""
    return LESSON_OF.get(kind, "")

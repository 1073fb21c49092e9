"""Where the examples of each task come from, and what a choice of settings becomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.tasks import data, plane, sequences
from engine.tasks.data import Data
from engine.tasks.problem import Problem, learning
from engine.tasks.settings import TASKS, Settings
from engine.tasks.small import SMALL
from engine.tasks.table import table

Array = Any


def _points(shape: Callable[..., Array]) -> Callable[[Settings], Data]:
    return lambda settings: plane.points(shape, settings.noise, settings.seed)


DATA: dict[str, Callable[[Settings], Data]] = {
    "digits": lambda settings: data.digits(),
    "spiral": _points(plane.spiral),
    "circles": _points(plane.circles),
    "moons": _points(plane.moons),
    "xor": _points(plane.xor),
    "gaussians": _points(plane.gaussians),
    "regression": lambda settings: plane.curve(settings.noise, settings.seed),
    "iris": lambda settings: data.iris(),
    "cancer": lambda settings: data.cancer(),
    "text": lambda settings: sequences.text(settings.length),
    "adding": lambda settings: sequences.adding(settings.length, settings.seed),
    "csv": lambda settings: table(settings.csv),
}
"""For each task that learns from examples, those that the settings ask for."""


def _small(settings: Settings) -> Problem:
    own = SMALL[settings.task]
    title = TASKS[settings.task].title
    return Problem(title, own.fun, own.params, own.examples, rate=settings.rate, note=own.note, measure=own.measure)


def problem(settings: Settings) -> Problem:
    """The training problem that the settings describe.

    Raises:
        SettingsError: a setting can't be, or not together with another, or a table can't be learned from.
    """
    task = TASKS[settings.checked().task]
    if settings.task not in DATA:
        return _small(settings)
    return learning(settings, DATA[settings.task](settings), task.title, task.things)

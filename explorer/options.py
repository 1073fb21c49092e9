"""The settings as options of the command line, made from their tables: ``--depth 20``, ``--residual``."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from typing import Any

from engine.tasks.settings import CHOICES, LIMITS, TASKS, Settings, SettingsError, usual
from explorer.form import LABELS, typed
from explorer.room import DIALS

_FIELDS = {field.name: field.default for field in dataclasses.fields(Settings)}


def add(parser: argparse.ArgumentParser) -> None:
    """Give a command an option for each setting; what isn't given is ``None``."""
    group = parser.add_argument_group("settings", "what isn't given is as the page has it on coming to the task")
    for name, default in _FIELDS.items():
        words = f"{LABELS.get(name, 'Task')}{_possible(name)}"
        if isinstance(default, bool):
            group.add_argument(flag(name), action=argparse.BooleanOptionalAction, help=words)
        else:
            group.add_argument(flag(name), metavar=_metavar(name, default), help=words)


def flag(name: str) -> str:
    """How a setting is called on the command line."""
    return "--" + name.replace("_", "-")


def written(change: Mapping[str, Any]) -> str:
    """Settings as one writes them on the command line."""
    return " ".join(_written(name, value) for name, value in change.items())


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given, as values.

    Raises:
        SettingsError: one of them is no number and should be.
    """
    found = {name: getattr(arguments, name) for name in _FIELDS}
    return {name: _value(name, text) for name, text in found.items() if text is not None}


def settings(chosen: Mapping[str, Any]) -> Settings:
    """All settings: those that were chosen, and for the others what the task and the model bring.

    Raises:
        SettingsError: one of them can't be, not together with another, or doesn't matter to the task.
    """
    given = {"task": "csv", **chosen} if "csv" in chosen else {"task": _FIELDS["task"], **chosen}
    task = given.pop("task")
    found = usual(task, **given)
    matter = {*TASKS[task].uses, *DIALS, *(["csv"] if task == "csv" else [])}
    for name in given:
        if name not in matter:
            raise SettingsError(f"{name} doesn't matter to the task {task!r}: leave {flag(name)} out.")
    return found


def only_dials(chosen: Mapping[str, Any], why: str) -> dict[str, Any]:
    """The chosen settings, all of which must be such as can change while training runs.

    Raises:
        SettingsError: one of them can't be, or belongs to a task.
    """
    for name in chosen:
        if name not in DIALS:
            raise SettingsError(f"{flag(name)} can't be given here: {why} Only {_dials()} can be.")
    dataclasses.replace(Settings(), **chosen).checked()
    return dict(chosen)


def _dials() -> str:
    *others, last = map(flag, DIALS)
    return f"{', '.join(others)} and {last}"


def _metavar(name: str, default: object) -> str:
    return "NAME" if name in CHOICES else "FILE" if isinstance(default, str) else "N" if type(default) is int else "X"


def _possible(name: str) -> str:
    if name in CHOICES:
        return f": {', '.join(CHOICES[name])}"
    return f", {LIMITS[name][0]:g} to {LIMITS[name][1]:.10g}" if name in LIMITS else ""


def _value(name: str, text: Any) -> Any:
    return typed(name, text)[name] if isinstance(_FIELDS[name], int | float) and isinstance(text, str) else text


def _written(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return flag(name) if value else flag(f"no_{name}")
    return f"{flag(name)} {value}"

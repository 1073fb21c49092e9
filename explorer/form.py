"""The settings as a form: which fields there are, and what becomes of what is typed into one."""

from __future__ import annotations

import dataclasses
from typing import Any

from engine.graph import closest
from engine.tasks import TASKS, Settings
from engine.tasks.catalogue import LIMITS, SettingsError
from engine.tasks.models import ACTIVATIONS

LABELS = {
    "depth": "Hidden layers",
    "width": "Units in each",
    "activation": "Activation",
    "rate": "Learning rate",
    "batch": "Examples in a step",
    "seed": "Seed",
}


def fields(settings: Settings, own: str = "") -> dict[str, Any]:
    """The settings as plain data: those that matter to the task.

    Args:
        settings: what is chosen.
        own: name of one's own function, where that is what is trained.
    """
    task = TASKS[settings.task]
    tasks = [("own", own)] if own else []
    tasks += [(name, other.title) for name, other in TASKS.items()]
    chosen = "own" if own else settings.task
    found: list[dict[str, Any]] = [{"name": "task", "label": "Task", "value": chosen, "options": tasks}]
    found += [_field(name, getattr(settings, name)) for name in (("rate",) if own else task.uses)]
    words = "Your own loss function, on its example arguments." if own else task.words
    return {"fields": found, "words": words, "error": ""}


def typed(name: str, value: str) -> dict[str, Any]:
    """The settings that change when this text is given for one of them: a task brings its defaults.

    Raises:
        SettingsError: there is no such setting, or the text is no value for it.
    """
    kinds: dict[str, Any] = {key: type(default) for key, default in dataclasses.asdict(Settings()).items()}
    if name not in kinds:
        raise SettingsError(f"There is no setting {name!r}.{closest(name, kinds)}")
    try:
        found = kinds[name](value)
    except ValueError:
        raise SettingsError(f"{name} must be a number, and is {value!r}.") from None
    defaults = dict(TASKS[value].defaults) if name == "task" and value in TASKS else {}
    return {name: found, **defaults}


def _field(name: str, value: Any) -> dict[str, Any]:
    """One setting as a field."""
    if name == "activation":
        return {"name": name, "label": LABELS[name], "value": value, "options": [(key, key) for key in ACTIVATIONS]}
    low, high = LIMITS[name]
    step = "any" if isinstance(value, float) else 1
    return {"name": name, "label": LABELS[name], "value": value, "low": low, "high": high, "step": step}

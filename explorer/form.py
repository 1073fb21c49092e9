"""The settings as a form: which fields there are, and what becomes of what is typed into one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from engine import devices
from engine.graph import closest
from engine.tasks.settings import CHOICES, LIMITS, TASKS, Settings, SettingsError, brought
from explorer.room import DIALS
from explorer.uploads import shown

LABELS = {
    "csv": "Or a table of your own, a CSV file",
    "noise": "Noise",
    "length": "Moments in an example",
    "model": "Model",
    "depth": "Hidden layers",
    "width": "Units in each",
    "activation": "Activation",
    "init": "Initial weights",
    "norm": "Normalisation",
    "residual": "Residual connections",
    "dropout": "Dropout",
    "remat": "Recompute on the way back",
    "loss": "Loss",
    "optimizer": "Optimiser",
    "rate": "Learning rate",
    "schedule": "Rate over time",
    "clip": "Gradient clipping",
    "clip_at": "Clipped at",
    "decay": "Weight decay",
    "l1": "L1 penalty",
    "l2": "L2 penalty",
    "precision": "Precision",
    "scaling": "Loss scaling",
    "batch": "Examples in a step",
    "seed": "Seed",
}
SWITCH = {"off": False, "on": True}
DEVICES = (1, 2, 4, 8)
"""Over how many devices a step can be divided."""

_DEVICES = [(str(count), str(count)) for count in DEVICES]
_READY = [name for name in TASKS if name != "csv"]
"""A table is chosen by naming its file, which brings the task."""


def fields(
    settings: Settings, own: str = "", highest: Mapping[str, int] = MappingProxyType({}), divided: int = 1
) -> dict[str, Any]:
    """The settings as plain data: those that matter to the task.

    Args:
        settings: what is chosen.
        own: name of one's own function, where that is what is trained.
        highest: values of some settings, where they are lower than usual.
        divided: over how many devices the data-parallel room divides a step.
    """
    task = TASKS[settings.task]
    tasks = [("own", own)] if own else []
    tasks += [(name, other.title) for name, other in TASKS.items() if name in (settings.task, *_READY)]
    chosen = "own" if own else settings.task
    found: list[dict[str, Any]] = [{"name": "task", "label": "Task", "value": chosen, "options": tasks}]
    found += [_field(name, settings, highest) for name in (DIALS if own else ("csv", *task.uses))]
    if (task.models or own) and not highest:  # on a page for many, nobody has several devices
        found += [{"name": "devices", "label": "Devices", "value": str(divided), "options": _DEVICES}]
    found += [{"name": "run", "label": "Open a saved run, its folder", "value": "", "text": True}]
    words = "Your own loss function, on its example arguments." if own else task.words
    return {"fields": found, "words": words, "error": "", "device": devices.sentence()}


def typed(name: str, value: str) -> dict[str, Any]:
    """The settings that change when this text is given for one of them: a task brings its defaults.

    Raises:
        SettingsError: there is no such setting, or the text is no value for it.
    """
    kinds: dict[str, Any] = {key: type(default) for key, default in dataclasses.asdict(Settings()).items()}
    if name not in kinds:
        raise SettingsError(f"There is no setting {name!r}.{closest(name, kinds)}")
    if kinds[name] is str:
        return brought(name, value)
    try:
        return {name: SWITCH[value] if kinds[name] is bool else kinds[name](value)}
    except KeyError:
        raise SettingsError(f"{name} must be on or off, and is {value!r}.") from None
    except ValueError:
        raise SettingsError(f"{name} must be a number, and is {value!r}.") from None


def count(value: str) -> int:
    """The number of devices that a text names.

    Raises:
        SettingsError: it names none.
    """
    if value not in map(str, range(1, max(DEVICES) + 1)):
        raise SettingsError(f"devices must be a whole number from 1 to {max(DEVICES)}, and is {value!r}.")
    return int(value)


def _field(name: str, settings: Settings, highest: Mapping[str, int]) -> dict[str, Any]:
    """One setting as a field."""
    value: Any = getattr(settings, name)
    found: dict[str, Any] = {"name": name, "label": LABELS[name], "value": value}
    if isinstance(value, bool):
        return {**found, "value": "on" if value else "off", "options": [(key, key) for key in SWITCH]}
    if name in CHOICES:
        return {**found, "options": [(key, key.replace("_", " ")) for key in _fitting(name, settings)]}
    if isinstance(value, str):
        return {**found, "value": shown(value), "text": True}
    low, high = LIMITS[name]
    return {**found, "low": low, "high": highest.get(name, high), "step": "any" if isinstance(value, float) else 1}


def _fitting(name: str, settings: Settings) -> tuple[str, ...]:
    """The choices that fit the task."""
    task = TASKS[settings.task]
    return {"model": task.models, "loss": task.losses}.get(name, CHOICES[name])

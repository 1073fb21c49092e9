"""Frozen data as plain data: what JSON can say, for a browser."""

from __future__ import annotations

import dataclasses
from typing import Any

_NAMES: dict[type, tuple[str, ...]] = {}
"""Of the types met so far the names of their fields; none of what is no dataclass."""


def _names(kind: type) -> tuple[str, ...]:
    if kind not in _NAMES:
        fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
        _NAMES[kind] = tuple(field.name for field in fields)
    return _NAMES[kind]


def plain(value: Any) -> Any:
    """A dataclass as a dictionary, and so whatever is in it, in tuples and dictionaries too.

    As :func:`dataclasses.asdict`, which copies every number, and takes three times as long.
    """
    if names := _names(type(value)):
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return {key: plain(each) for key, each in value.items()} if isinstance(value, dict) else value

"""Readings with other arrays than a step computed: what a proof must notice."""

from __future__ import annotations

import dataclasses
from typing import Any

from engine.reading import Reading

_KINDS = {"values": "value", "grads": "grad", "uses": "use"}


def with_arrays(reading: Reading, **parts: Any) -> Reading:
    """The reading with all of its values, gradients or contributions replaced; or its graph."""
    given = {part: parts.get(part, getattr(reading, part)) for part in _KINDS}
    whole = {(what, id): array for part, what in _KINDS.items() for id, array in given[part].items()}
    others = {name: part for name, part in parts.items() if name not in _KINDS}
    return dataclasses.replace(reading, whole=whole, packed={}, layout=(), **others)

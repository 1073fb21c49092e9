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
    outline = dataclasses.replace(reading.outline, layout=(), graph=parts.get("graph", reading.graph))
    return Reading(outline, reading.without("packed").parts | {"whole": whole})

"""What was recorded of a run -> its frame: plain data in columns of steps, for the charts of the room."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = Any

MOST = 256
"""Columns in a frame, at most."""


def encoded(array: Array) -> str:
    """An array of any shape as base64 of float32, little-endian, in C order."""
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode("ascii")


def computed(array: Array) -> Array:
    """The same numbers with NaN as minus infinity: in a frame NaN stands for what wasn't recorded."""
    found = np.asarray(array, np.float32)
    return np.where(np.isnan(found), -np.inf, found)


def of_losses(losses: Sequence[float], shown: int) -> dict[str, Any]:
    """The frame of a run of which nothing but its losses is known.

    Args:
        losses: one for each step, from the first.
        shown: the step whose pass the graph shows.
    """
    groups = np.array_split(np.arange(len(losses)), min(len(losses), MOST)) if losses else []
    values = np.asarray(losses, np.float64)
    return {
        "version": len(losses),
        "step": len(losses) - 1,
        "shown": shown,
        "starts": [int(group[0]) for group in groups],
        "ends": [int(group[-1]) for group in groups],
        "series": {"loss": band([values[group] for group in groups])},
        "rows": [],
        "what": {},
        "events": [],
    }


def band(groups: Sequence[Array]) -> dict[str, str]:
    """For each column the smallest, the largest and the last of its numbers.

    Args:
        groups: for each column what was computed in it, one number or more.
    """
    with np.errstate(invalid="ignore"):
        low, high = ([_ignoring(found, group) for group in groups] for found in (np.min, np.max))
    ends = {"low": low, "high": high, "last": [group[-1] for group in groups]}
    return {name: encoded(computed(numbers)) for name, numbers in ends.items()}


def _ignoring(found: Any, group: Array) -> float:
    """Of those that are numbers; NaN only where none is."""
    known = group[~np.isnan(group)]
    return float(found(known)) if known.size else float("nan")

"""Colours, and the one scale that every number is drawn on.

The scale is fixed and logarithmic: the same colour means the same magnitude in every view, at every step, in every run.
Zero, not reached, not executed and not finite are no magnitudes and look like none.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = Any

LOW, HIGH = -8, 2
"""Powers of ten at the ends of the scale; what is beyond is drawn like the end."""

LEVELS = 50
"""Steps from one end to the other, for each sign."""

ZERO, NAN, PLUS_INFINITY, MINUS_INFINITY, NOT_RUN = 0, 2 * LEVELS + 1, 2 * LEVELS + 2, 2 * LEVELS + 3, 2 * LEVELS + 4
"""Codes that aren't magnitudes. 1 to 50 is positive from weak to strong, 51 to 100 negative."""


def level(magnitude: float) -> float:
    """Where a magnitude lies on the scale, from 0 (1e-8 and less) to 1 (100 and more)."""
    if not magnitude > 0:
        return 0.0
    return min(max((math.log10(magnitude) - LOW) / (HIGH - LOW), 0.0), 1.0) if math.isfinite(magnitude) else 1.0


def codes(array: Array) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """For each entry its colour, as a code. Complex numbers are drawn by magnitude."""
    masked = np.ma.getmaskarray(array) if np.ma.isMaskedArray(array) else None
    plain = np.asarray(array)
    values = np.abs(plain) if np.iscomplexobj(plain) else plain.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        height = (np.log10(np.abs(values)) - LOW) / (HIGH - LOW)
        step = np.clip(np.nan_to_num(np.floor(height * LEVELS), nan=0, posinf=0, neginf=0), 0, LEVELS - 1).astype(int)
    found = np.where(values > 0, 1 + step, 1 + LEVELS + step)
    found = np.where(values == 0, ZERO, found)
    found = np.where(np.isnan(values), NAN, found)
    found = np.where(np.isinf(values), np.where(values > 0, PLUS_INFINITY, MINUS_INFINITY), found)
    if masked is not None:
        found = np.where(masked, NOT_RUN, found)
    return found.astype(np.uint8)


def _mix(a: str, b: str, t: float) -> str:
    pairs = [(int(a[i : i + 2], 16), int(b[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(x + (y - x) * t):02x}" for x, y in pairs)


def _ramp(*stops: str) -> list[str]:
    found = []
    for index in range(LEVELS):
        place = index / (LEVELS - 1) * (len(stops) - 1)
        first = min(int(place), len(stops) - 2)
        found.append(_mix(stops[first], stops[first + 1], place - first))
    return found


PALETTES: dict[str, list[str]] = {
    # red and blue, from ColorBrewer's RdBu: apart for every kind of colour blindness
    "light": [
        "#ffffff",
        *_ramp("#e3edf6", "#6aacd0", "#2268ad", "#06305f"),
        *_ramp("#fbe6da", "#ee8f6c", "#b51c2d", "#650319"),
        "#c800b4",
        "#f2b705",
        "#a36f00",
        "#d9dce1",
    ],
    "dark": [
        "#14171c",
        *_ramp("#1d2a38", "#28608f", "#58a6dc", "#d3ebff"),
        *_ramp("#3a241f", "#93402f", "#f08a68", "#ffe4d6"),
        "#ff5cf0",
        "#ffd54a",
        "#c99a1b",
        "#3a3f47",
    ],
}
"""For each theme a colour for each code."""

INK: dict[str, dict[str, str]] = {
    "light": {
        "page": "#f6f7f9",
        "panel": "#ffffff",
        "line": "#d5dae1",
        "text": "#1a1f27",
        "quiet": "#5b6573",
        "pale": "#b4bcc8",
        "forward": "#0b7285",
        "backward": "#8a1f9c",
        "update": "#8a5a00",
        "accent": "#1c5fb0",
        "warn": "#a33a00",
        "changed": "#3f6f00",
        "cluster": "#eef1f5",
    },
    "dark": {
        "page": "#101318",
        "panel": "#181c22",
        "line": "#333a45",
        "text": "#e8ebf0",
        "quiet": "#a3adba",
        "pale": "#5a6472",
        "forward": "#3fc1d6",
        "backward": "#e08cf0",
        "update": "#f0b94a",
        "accent": "#78b4ff",
        "warn": "#ff9d6b",
        "changed": "#a9e34b",
        "cluster": "#1d222a",
    },
}
"""For each theme the colours that aren't numbers."""

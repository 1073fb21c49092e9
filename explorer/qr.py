"""A QR code as a path to draw."""

from __future__ import annotations

from typing import Any

import segno


def path(text: str) -> dict[str, Any]:
    """The code of a text: how many modules wide it is without its quiet zone, and its dark ones as an SVG path."""
    matrix = segno.make(text, error="m", micro=False).matrix
    dark = (f"M{x} {y}h1v1h-1z" for y, row in enumerate(matrix) for x, module in enumerate(row) if module)
    return {"size": len(matrix), "path": "".join(dark)}

"""Plain data as text. What a page shows is encoded once, by the worker that made it, and decoded by the browser's own
parser: taken apart in Python, value by value, it would keep the thread that answers clicks busy.
"""

from __future__ import annotations

import json
import math
from typing import Any


def as_json(value: Any) -> str:
    """Plain data as JSON, in which what no JSON number can be is ``{"~": "nan"}``."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(_spelled(value), separators=(",", ":"))


def _spelled(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {"~": str(value)}
    if isinstance(value, dict):
        return {key: _spelled(each) for key, each in value.items()}
    return [_spelled(each) for each in value] if isinstance(value, list | tuple) else value

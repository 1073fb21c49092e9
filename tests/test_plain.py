"""Plain data as text."""

from __future__ import annotations

import json
import math

from explorer.plain import as_json


def test_numbers_that_json_cannot_hold_come_through():
    text = as_json({"a": [1.5, math.nan, -math.inf], "b": (1, "NaN")})
    assert json.loads(text) == {"a": [1.5, {"~": "nan"}, {"~": "-inf"}], "b": [1, "NaN"]}

"""A QR code says what it is made of: its three corners are where a camera looks for them."""

from __future__ import annotations

import re

from explorer.qr import path


def test_a_code_has_its_corners_and_no_more_than_its_size():
    found = path("http://127.0.0.1:5006/join?code=ABCDEF")
    dark = {(int(x), int(y)) for x, y in re.findall(r"M(\d+) (\d+)h1v1h-1z", found["path"])}
    end = found["size"] - 1
    assert {(0, 0), (6, 6), (end, 0), (0, end), (3, 3)} <= dark
    assert {(1, 1), (end, end - 7), (7, 7)}.isdisjoint(dark - {(end, end - 7)})
    assert max(max(place) for place in dark) == end

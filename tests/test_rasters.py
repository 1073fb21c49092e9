"""Pictures made of pixels, out of SVG text."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from explorer import rasters

pytestmark = pytest.mark.once

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="60" height="20" font-family="Helvetica, sans-serif">'
    '<rect width="60" height="20" fill="{}"/><text x="2" y="16" font-size="16" fill="#000">∂L σ</text></svg>'
)


def opened(data):
    return Image.open(io.BytesIO(data))


def test_a_picture_is_twice_as_large():
    assert opened(rasters.png(SVG.format("#fff"))).size == (120, 40)


def test_a_picture_has_the_width_asked_for():
    assert opened(rasters.png(SVG.format("#fff"), 300)).size == (300, 100)


def test_text_is_drawn_whatever_fonts_a_machine_has():
    pixels = np.asarray(opened(rasters.png(SVG.format("#fff"))).convert("L"))
    columns = np.flatnonzero((pixels < 128).any(axis=0))
    assert columns[-1] - columns[0] > 50  # all four letters, not only those of a poorer font


def test_a_film_has_a_frame_for_each_picture():
    film = opened(rasters.gif([SVG.format("#fff"), SVG.format("#f00"), SVG.format("#00f")], 0.5))
    assert film.n_frames == 3
    assert film.info["duration"] == 500
    film.seek(2)
    assert film.info["duration"] == 2500

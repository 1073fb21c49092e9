"""SVG text -> pictures made of pixels: PNG, and films as GIF."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import resvg_py
from PIL import Image

from explorer import assets

WIDEST = 1280
"""Pixels across a frame of a film, at most."""

COLOURS = 128

_FONTS = ("fonts/DejaVuSans.ttf", "fonts/DejaVuSans-Bold.ttf")
"""A machine that only serves may have no fonts at all."""


def png(svg: str, width: int | None = None) -> bytes:
    """A picture.

    Args:
        svg: a complete document.
        width: in pixels; twice that of the document, as sharp screens have it, if left out.
    """
    size: dict[str, Any] = {"width": width} if width else {"zoom": 2}
    fonts = [assets.path(name) for name in _FONTS]
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, font_files=fonts, sans_serif_family="DejaVu Sans", **size))


def gif(svgs: Sequence[str], seconds: float, last: float = 2.5) -> bytes:
    """A film that begins again at its end.

    Args:
        svgs: its frames, all of one size.
        seconds: how long each is shown.
        last: how long the last one is.
    """
    frames = [Image.open(io.BytesIO(png(svg, WIDEST))).convert("RGB") for svg in svgs]
    few = [frame.quantize(COLOURS, dither=Image.Dither.NONE) for frame in frames]
    times = [round(1000 * seconds)] * (len(few) - 1) + [round(1000 * last)]
    film = io.BytesIO()
    few[0].save(film, "GIF", save_all=True, append_images=few[1:], duration=times, loop=0, optimize=True)
    return film.getvalue()

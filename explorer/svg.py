"""Scene -> SVG text: the same picture as on the page, for paper and for other programs."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from PIL import Image

from explorer import theme
from explorer.dot import writable
from explorer.figures import Figures, Picture
from explorer.scene import Scene, SceneBox, SceneCluster, SceneWire

PAD = 24.0


CAPTION = 30.0

DIGIT = 0.64
"""How wide a digit is at most, in its size: a value never touches the gradient beside it."""


def render(
    scene: Scene,
    figures: Figures | None = None,
    position: int | None = None,
    look: str = "light",
    caption: str = "",
) -> str:
    """Draw a scene.

    Args:
        scene: shapes and texts.
        figures: numbers; only shapes and names are drawn without.
        position: of the playhead: what isn't reached yet is pale. The end of the pass if left out.
        look: ``light`` or ``dark``.
        caption: a line below the graph.

    Returns:
        A complete SVG document.
    """
    ink = theme.INK[look]
    seen = reached(scene, len(scene.stops) if position is None else position)
    width, height = scene.width + 2 * PAD, scene.height + 2 * PAD + (CAPTION if caption else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" font-family="Inter, Helvetica, Arial, sans-serif" '
        f'role="img" aria-label={quoteattr(writable(scene.title))}>',
        f'<rect width="100%" height="100%" fill="{ink["page"]}"/>',
        f'<g transform="translate({PAD:g} {PAD:g})">',
        *(_cluster(cluster, ink) for cluster in scene.clusters),
        *(_wire(wire, seen, ink) for wire in scene.wires),
    ]
    for box in scene.boxes:
        parts += _box(box, figures, seen.get(box.id, ""), look)
    said = [_text(PAD, height - 18, caption, ink["quiet"], 16)] if caption else []
    return "\n".join([*parts, "</g>", *said, "</svg>"])


def reached(scene: Scene, position: int) -> dict[str, str]:
    """For each box how far the pass has come: nothing, ``value`` or ``gradient``."""
    computed = {stop.box for stop in scene.stops if stop.phase in ("Forward", "Loss")}
    found = {box.id: "value" for box in scene.boxes if box.id not in computed}
    for stop in scene.stops[:position]:
        found[stop.box] = "value" if stop.phase in ("Forward", "Loss") else "gradient"
    return found


def _cluster(cluster: SceneCluster, ink: dict[str, str]) -> str:
    return (
        f'<rect x="{cluster.x}" y="{cluster.y}" width="{cluster.w}" height="{cluster.h}" rx="10" '
        f'fill="{ink["cluster"]}" stroke="{ink["line"]}"/>'
        + _text(cluster.x + 12, cluster.y + 18, cluster.label, ink["quiet"], 12, "600")
    )


def _wire(wire: SceneWire, seen: dict[str, str], ink: dict[str, str]) -> str:
    (x, y), rest = wire.path[:2], wire.path[2:]
    state = seen.get(wire.target, "")
    colour = ink["backward" if seen.get(wire.source) == "gradient" else "forward" if state else "pale"]
    dash = {"use": "", "look": ' stroke-dasharray="2 4"', "carry": ' stroke-dasharray="7 4"'}[wire.kind]
    return f'<path d="M{x} {y} C{" ".join(map(str, rest))}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>'


def _box(box: SceneBox, figures: Figures | None, state: str, look: str) -> Iterator[str]:
    ink = theme.INK[look]
    stroke = {"": ink["pale"], "value": ink["forward"], "gradient": ink["backward"]}[state]
    yield (
        f"<g><title>{_said(f'{box.name}: {box.operation}, {box.shape}')}</title>"
        f'<rect x="{box.x}" y="{box.y}" width="{box.w}" height="{box.h}" rx="7" '
        f'fill="{ink["panel"]}" stroke="{stroke}" stroke-width="1.5"/>'
    )
    yield _text(box.x + 9, box.y + 18, _fitted(box.label, box.w - 18, 8.2), ink["text"], 14, "600")
    yield _text(box.x + 9, box.y + 32, _fitted(box.detail or box.shape, box.w - 18, 6.0), ink["quiet"], 10.5)
    own = figures.boxes.get(box.id) if figures else None
    if own is not None:
        half = (box.w - 26) / 2
        yield from _small(own.value if state else None, box, box.x + 9, half, look)
        yield from _small(own.grad if state == "gradient" else None, box, box.x + 17 + half, half, look)
    yield "</g>"


def _small(picture: Picture | None, box: SceneBox, x: float, width: float, look: str) -> Iterator[str]:
    ink = theme.INK[look]
    top, height = box.y + 38, box.h - 38 - 16
    if picture is None:
        return
    if picture.rows * picture.columns == 1:
        size = min(15, width / (DIGIT * len(picture.rms)))
        yield _text(x, top + height / 2 + 6, picture.rms, ink["text"], round(size, 1), "600")
        return
    yield (
        f'<image x="{x:g}" y="{top:g}" width="{width:g}" height="{height:g}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" href="data:image/png;base64,{png(picture, look)}"/>'
    )
    yield _text(x, box.y + box.h - 5, f"rms {picture.rms}", ink["quiet"], 9.5)


def png(picture: Picture, look: str) -> str:
    """A picture as PNG, base64."""
    codes = np.frombuffer(base64.b64decode(picture.codes), np.uint8).reshape(picture.rows, picture.columns)
    if picture.grey:
        image = Image.fromarray(codes if look == "dark" else 255 - codes)
    else:
        image = Image.fromarray(codes).convert("P")
        image.putpalette([int(colour[i : i + 2], 16) for colour in theme.PALETTES[look] for i in (1, 3, 5)])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _fitted(text: str, width: float, each: float) -> str:
    room = max(int(width / each), 1)
    return text if len(text) <= room else text[: room - 1] + "…"


def _text(x: float, y: float, text: str, fill: str, size: float, weight: str = "400") -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" font-weight="{weight}" fill="{fill}">{_said(text)}</text>'


def _said(text: str) -> str:
    return escape(writable(text))

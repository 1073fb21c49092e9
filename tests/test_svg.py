"""SVG: well-formed, safe, and the picture of the smallest graph as it was.

To renew that picture: ``RENEW=1 pytest tests/test_svg.py``.
"""

from __future__ import annotations

import base64
import io
import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from explorer import svg, theme
from explorer.dot_process import engine
from explorer.figures import figures, picture
from explorer.layout import Layouts
from tests.sheets import drawn, numbers, sheet
from tests.test_dot import HOSTILE

GOLDEN = Path(__file__).parent / "goldens" / "product.svg"
SVG = "{http://www.w3.org/2000/svg}"


def product(x, y, z):
    return (x + y) * z


@pytest.fixture(scope="module")
def layouts():
    with engine() as running:
        yield Layouts(running)


@pytest.fixture(scope="module")
def smallest(layouts):
    """The scene and the figures of ``f = (x + y) · z``."""
    args = tuple(np.float32(value) for value in (-2, 5, -4))
    seen = sheet(product, *args)
    return drawn(seen, layouts), figures(seen, numbers(seen, product, *args, argnums=(0, 1, 2)))


def texts(picture: str) -> list[str]:
    return [item.text or "" for item in ET.fromstring(picture).iter(f"{SVG}text")]


def test_the_picture_of_the_smallest_graph_is_the_one_kept(smallest):
    found = svg.render(*smallest) + "\n"
    if os.environ.get("RENEW"):
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")


def test_it_holds_every_name_value_and_gradient(smallest):
    found = texts(svg.render(*smallest))
    assert {"x", "y", "z", "+", "×"} <= set(found)
    assert [text for text in found if re.fullmatch(r"−?\d+", text)] == [
        "−2",
        "−4",
        "5",
        "−4",
        "−4",
        "3",
        "3",
        "−4",
        "−12",
        "1",
    ]


def test_without_figures_it_holds_names_alone(smallest):
    assert [text for text in texts(svg.render(smallest[0])) if re.search(r"\d$", text)] == ["float32"] * 3


@pytest.mark.parametrize("look", ["light", "dark"])
def test_it_has_the_colours_of_its_theme_only(smallest, look):
    used = set(re.findall(r"#[0-9a-f]{6}", svg.render(*smallest, look=look)))
    assert used <= set(theme.INK[look].values())


# ---- safety --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*HOSTILE, "</text><script>alert(1)</script>", "]]>", "a\x00b", "\x1b[0m", "\ud800"])
def test_a_hostile_name_is_text(name, layouts):
    def fun(params):
        return jnp.sin(params[name])

    fun.__name__ = name
    root = ET.fromstring(svg.render(drawn(sheet(fun, {name: np.float32(1)}), layouts)))
    allowed = {f"{SVG}{tag}" for tag in ("svg", "g", "rect", "path", "text", "title", "image")}
    assert {item.tag for item in root.iter()} <= allowed
    assert root.get("aria-label") == re.sub("[\x00\x1b\ud800]", "\ufffd", name)


def test_it_asks_for_nothing_and_runs_nothing(layouts):
    args = np.ones((4, 3), np.float32), np.ones((5, 4), np.float32)
    fun = lambda w, x: jnp.sum(x @ w)
    seen = sheet(fun, *args)
    found = svg.render(drawn(seen, layouts), figures(seen, numbers(seen, fun, *args)))
    addresses = re.findall(r'(?:href|src|url)[^"]*"([^"]*)"', found.replace('xmlns="http://www.w3.org/2000/svg"', ""))
    assert addresses
    assert all(address.startswith("data:image/png;base64,") for address in addresses)
    assert re.search(r"<script|<foreignObject|\son\w+=|javascript:", found) is None


def test_a_long_label_is_cut_where_its_box_ends(layouts):
    name = "w" * 500
    found = texts(svg.render(drawn(sheet(lambda p: p[name] * 2.0, {name: np.float32(1)}), layouts)))
    assert max(map(len, found)) < 40
    assert any(text.endswith("…") for text in found)


# ---- the playhead --------------------------------------------------------------------------------------------------


def states(smallest, position: int) -> dict[str, str]:
    scene, _ = smallest
    names = {box.id: box.name for box in scene.boxes}
    return {names[id]: state for id, state in svg.reached(scene, position).items()}


def test_at_first_only_what_is_given_is_known(smallest):
    assert states(smallest, 0) == {"x": "value", "y": "value", "z": "value"}


def test_after_the_loss_every_value_and_no_gradient_is_known(smallest):
    assert set(states(smallest, 2).values()) == {"value"}
    assert set(states(smallest, 2)) == {"x", "y", "z", "add", "mul"}


def test_each_step_changes_what_it_is_at_and_nothing_else(smallest):
    scene, _ = smallest
    for position, stop in enumerate(scene.stops, 1):
        before, after = svg.reached(scene, position - 1), svg.reached(scene, position)
        assert {id for id in after if after[id] != before.get(id)} <= {stop.box}


def test_at_the_end_every_gradient_is_known(smallest):
    scene, _ = smallest
    assert set(states(smallest, len(scene.stops)).values()) == {"gradient"}


def test_what_is_not_reached_is_pale_and_has_no_number(smallest):
    found = svg.render(*smallest, position=0)
    assert "−12" not in texts(found)
    assert found.count(f'stroke="{theme.INK["light"]["pale"]}"') == 2 + 4  # two operations, and the wires into them


# ---- pictures in the picture ---------------------------------------------------------------------------------------


def pixels(shown, look="light") -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(svg.png(shown, look)))).convert("RGB"))


@pytest.mark.parametrize("look", ["light", "dark"])
def test_a_thumbnail_has_the_colours_of_its_numbers(look):
    array = np.array([[1e-9, 1e-3, 0.0], [np.nan, -np.inf, -5.0]])
    expected = [[theme.PALETTES[look][code] for code in row] for row in theme.codes(array)]
    found = [[f"#{bytes(pixel).hex()}" for pixel in row] for row in pixels(picture(array), look)]
    assert found == expected


def test_a_photograph_is_dark_on_light_paper():
    shown = picture(np.array([[0.0, 1.0, 0.0, 1.0]]), image=(2, 2))
    assert pixels(shown, "light")[0, :2, 0].tolist() == [255, 0]
    assert pixels(shown, "dark")[0, :2, 0].tolist() == [0, 255]


def test_open_scopes_and_the_three_kinds_of_wires_are_drawn(layouts):
    def endless(x):
        grown = jax.lax.scan(lambda c, _: (jnp.sin(c), None), x, None, length=3)[0]
        return grown * jax.lax.while_loop(lambda v: v < 9, lambda v: v * v, jnp.float32(2.0))

    found = svg.render(drawn(sheet(endless, np.float32(1), granularity="all"), layouts))
    assert found.count('stroke-dasharray="7 4"') == 1
    assert found.count('stroke-dasharray="2 4"') >= 1
    assert {"while", "scan × 3"} & set(texts(found))


def test_a_long_value_leaves_room_for_the_gradient_beside_it(layouts):
    args = tuple(np.float32(value) for value in (-2.117e-8, 5, -4))
    seen = sheet(product, *args)
    found = svg.render(drawn(seen, layouts), figures(seen, numbers(seen, product, *args, argnums=(0, 1, 2))))
    bold = [item for item in ET.fromstring(found).iter(f"{SVG}text") if item.get("font-weight") == "600"]
    numbers_of = {item.text: item for item in bold}
    value, gradient = numbers_of["−2.12e−8"], numbers_of["−4"]
    assert float(value.get("x")) + svg.DIGIT * float(value.get("font-size")) * len(value.text) <= float(
        gradient.get("x")
    )

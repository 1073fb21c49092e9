"""The page on a phone and in the dark."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from scripts.driving import DESKTOP, PHONE
from tests.browser.conftest import Opener
from tests.browser.reading import inspector, playhead

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.once]

WIDTHS = "() => [document.documentElement.scrollWidth, innerWidth]"


@pytest.fixture(scope="module")
def phone(open_page: Opener, url: str) -> Page:
    return open_page(url, viewport=PHONE, has_touch=True, is_mobile=True)


@pytest.fixture(scope="module")
def dark(open_page: Opener, url: str) -> Page:
    page = open_page(url, color_scheme="dark")
    page.keyboard.press("b")
    return page


def luminance(colour: str) -> float:
    """Relative luminance of a CSS colour, as WCAG defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def style(element: Locator, name: str) -> str:
    return str(element.evaluate("(element, name) => getComputedStyle(element)[name]", name))


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_a_phone_does_not_scroll_sideways(phone: Page) -> None:
    assert phone.evaluate(WIDTHS) == [390, 390]


def test_a_phone_is_told_what_to_tap(phone: Page) -> None:
    expect(inspector(phone)).to_contain_text("Tap ▶")
    assert "Press" not in inspector(phone).inner_text()


def test_a_phone_does_not_scroll_sideways_with_a_node_open(phone: Page) -> None:
    phone.get_by_role("button", name="Finish phase").tap()
    expect(inspector(phone).get_by_role("heading", level=2)).to_be_attached()
    assert phone.evaluate(WIDTHS) == [390, 390]


def test_a_phone_shows_the_playhead_at_once(phone: Page) -> None:
    expect(playhead(phone)).to_be_in_viewport(ratio=1)


EXTENT = """(stage, wanted) => {
  const box = stage.getBoundingClientRect(), canvas = stage.querySelector("canvas"), found = [];
  for (let y = 2; y < box.height; y += 4) for (let x = 2; x < box.width; x += 4) {
    const place = { clientX: box.left + x, clientY: box.top + y, bubbles: true };
    canvas.dispatchEvent(new PointerEvent("pointermove", place));
    if (stage.title.startsWith(wanted)) found.push([x, y]);
  }
  const [xs, ys] = [0, 1].map((axis) => found.map((place) => place[axis]));
  return [Math.min(...xs), Math.min(...ys), box.width - Math.max(...xs), box.height - Math.max(...ys)];
}"""


def test_a_node_found_on_a_phone_is_seen_whole(phone: Page) -> None:
    phone.get_by_label("Find a node").fill("mlp/dense/add")
    phone.get_by_label("Find a node").press("Enter")
    expect(inspector(phone).get_by_role("heading", level=2)).to_have_text("+ add")
    left, top, right, bottom = phone.locator(".stage").evaluate(EXTENT, "mlp/dense/add ·")
    assert min(left, right) > 16, "cut off at a side"
    assert (top > 46, bottom > 40) == (True, True), "under the tools, or out of sight"


def test_a_desktop_does_not_scroll_sideways(digits: Page) -> None:
    assert digits.evaluate(WIDTHS) == [DESKTOP["width"]] * 2


def test_a_dark_system_gets_a_dark_page(dark: Page) -> None:
    assert luminance(style(dark.locator("body"), "backgroundColor")) < 0.05


@pytest.mark.parametrize("selector", [".page-header h1", ".inspector h2", ".told b"])
def test_text_stands_out_in_the_dark(dark: Page, selector: str) -> None:
    text = style(dark.locator(selector).first, "color")
    assert contrast(text, style(dark.locator("body"), "backgroundColor")) >= 7


@pytest.mark.parametrize("selector", [".page-header h1", ".inspector h2", ".told b"])
def test_text_stands_out_in_the_light(digits: Page, selector: str) -> None:
    digits.keyboard.press("b")
    text = style(digits.locator(selector).first, "color")
    assert contrast(text, style(digits.locator("body"), "backgroundColor")) >= 7

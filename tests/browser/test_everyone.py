"""The page for everyone: by keyboard, aloud, in each language; axe finds nothing serious."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from explorer import assets
from scripts.driving import PHONE, answering
from tests.browser.conftest import PORT, Opener
from tests.browser.reading import inspector

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.once]

KEEP = """
add adam batch const conv cross dense entropy float gelu huber jax large layer layers linear lion loss lstm mlp momentum
nesterov norm orthogonal relu rms sgd sine small step swish tanh transformer uniform zeros
"""
"""English words that stay: names of functions and primitives, of methods as they are written in code."""

FOCUS = """() => {
  let own = document.activeElement;
  while (own && own.shadowRoot && own.shadowRoot.activeElement) own = own.shadowRoot.activeElement;
  return own === document.body ? null : own;
}"""
SHOWN = """own => {
  const { outlineStyle, boxShadow } = getComputedStyle(own);
  const { width, height } = own.getBoundingClientRect();
  return [own.getAttribute("aria-label") || own.textContent.trim() || own.id || own.tagName,
    width > 1 && height > 1 && (outlineStyle !== "none" || boxShadow !== "none")];
}"""
DEEP = """(roots) => {
  const found = [];
  const walk = (root) => {
    for (const own of root.querySelectorAll("*")) {
      found.push(own);
      if (own.shadowRoot) walk(own.shadowRoot);
    }
  };
  walk(document);
  return found;
}"""
TEXTS = f"""() => ({DEEP})().filter((own) => !["SCRIPT", "STYLE", "TITLE"].includes(own.tagName))
  .filter((own) => !own.closest("[lang='en']") || document.documentElement.lang === "en").flatMap((own) => [
  ...["aria-label", "aria-valuetext", "aria-description", "title", "placeholder"].map((name) => own.getAttribute(name)),
  ...[...own.childNodes].filter((child) => child.nodeType === 3).map((child) => child.textContent.trim()),
]).filter(Boolean)"""
SMALL = f"""() => ({DEEP})()
  .filter((own) => own.matches("button:not(.link), input:not([type=checkbox]), select, [role=slider]"))
  .map((own) => [own.getBoundingClientRect(), own.getAttribute("aria-label") || own.textContent || own.id])
  .filter(([box]) => box.width > 1 && (box.width < 24 || box.height < 24)).map(([, name]) => name)"""
HEARD = f"""() => {{
  window.heard = [];
  const live = (own) => own.getAttribute("aria-live") !== "off" && !own.hidden && own.textContent;
  const spoken = (own) => live(own) && heard.push(own.textContent);
  for (const own of ({DEEP})().filter((own) => own.matches("[aria-live], [role=status], [role=alert], output")))
    new MutationObserver(() => spoken(own)).observe(own, {{ childList: true, characterData: true, subtree: true }});
}}"""


@pytest.fixture(scope="module")
def german(open_page: Opener, url: str) -> Page:
    """On a phone, in the dark."""
    return open_page(f"{url}?lang=de", viewport=PHONE, has_touch=True, is_mobile=True, color_scheme="dark")


@pytest.fixture(scope="module")
def chinese(open_page: Opener, url: str) -> Page:
    return open_page(url, locale="zh-CN", color_scheme="dark")


@pytest.fixture(scope="module")
def room(open_page: Opener, browser: Any) -> Iterator[Page]:
    """The training room alone, with a finding in it."""
    with answering("-m", "tests.browser.room_page", str(PORT + 33)) as address:
        page = browser.new_page()
        page.goto(address)
        page.get_by_role("list", name="Findings", exact=True).get_by_role("listitem").wait_for()
        yield page
        page.close()


def serious(page: Page) -> list[str]:
    """What axe finds on a page that is serious, or worse."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    worse = [one for one in found if one["impact"] in ("serious", "critical")]
    return [f"{one['id']}: {one['help']} {json.dumps(one['nodes'][0]['target'])}" for one in worse]


# ---- axe -----------------------------------------------------------------------------------------------------------


def test_axe_finds_nothing_on_the_first_page(digits: Page) -> None:
    assert serious(digits) == []


def test_axe_finds_nothing_after_a_backward_pass(digits: Page) -> None:
    digits.keyboard.press("b")
    expect(inspector(digits).get_by_role("heading", level=2)).to_be_visible()
    assert serious(digits) == []


def test_axe_finds_nothing_in_the_help(digits: Page) -> None:
    digits.keyboard.press("?")
    assert serious(digits) == []


def test_axe_finds_nothing_in_the_table(digits: Page) -> None:
    digits.get_by_role("button", name="Table").click()
    assert serious(digits) == []
    digits.get_by_role("button", name="Table").click()


def test_axe_finds_nothing_in_the_list_of_lessons_nor_in_a_lesson(open_page: Opener, url: str) -> None:
    page = open_page(url, viewport=PHONE)
    page.get_by_role("button", name="Lessons").click()
    listed = page.get_by_role("dialog", name="Lessons")
    expect(listed.get_by_role("listitem").first).to_be_visible()
    assert serious(page) == []
    listed.get_by_role("listitem").first.get_by_role("button").click()
    expect(page.get_by_role("region", name="Lesson").get_by_role("button", name="Next")).to_be_visible(timeout=120_000)
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    page.context.close()


def test_axe_finds_nothing_in_the_training_room_with_a_finding(room: Page) -> None:
    room.locator(".finding summary").click()
    assert serious(room) == []


def test_axe_finds_nothing_on_a_phone_in_the_dark(german: Page) -> None:
    german.get_by_role("button", name="Phase beenden").tap()
    assert serious(german) == []


def test_axe_finds_nothing_in_chinese_in_the_dark(chinese: Page) -> None:
    assert serious(chinese) == []


# ---- languages -----------------------------------------------------------------------------------------------------


def english(page: Page) -> list[str]:
    """Texts and names on a page with English words of the interface in them."""
    language = page.evaluate("document.documentElement.lang")
    words = lambda texts: set(re.findall(r"(?<![\w./·∂{])[a-z]{3,}(?![\w./(\[}])", "\n".join(texts).lower()))
    catalogue = assets.catalogue(language)
    ours = words(catalogue) - words(catalogue.values()) - set(KEEP.split())
    return sorted({text for text in page.evaluate(TEXTS) if words([text]) & ours})


def test_the_page_in_german_has_no_english_text(german: Page) -> None:
    german.get_by_role("button", name="Ein Schritt", exact=True).click()
    expect(german.get_by_text(re.compile("1 Aktualisierung ausgeführt"))).to_be_visible(timeout=120_000)
    assert english(german) == []


def test_the_page_in_chinese_has_no_english_text(chinese: Page) -> None:
    chinese.keyboard.press("b")
    assert english(chinese) == []


def test_the_language_of_the_page_is_said(german: Page, chinese: Page, digits: Page) -> None:
    assert [page.evaluate("document.documentElement.lang") for page in (german, chinese, digits)] == ["de", "zh", "en"]


def test_a_chosen_language_is_remembered(browser: Any, url: str) -> None:
    page = browser.new_page()
    page.goto(url)
    page.get_by_label("Language").select_option("de")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    page.goto(url)
    expect(page.get_by_label("Sprache")).to_have_value("de")
    page.close()


# ---- keyboard ------------------------------------------------------------------------------------------------------


def test_tab_goes_through_the_page_and_is_always_seen(digits: Page) -> None:
    digits.get_by_role("link", name="Skip to the graph").focus()
    seen = []
    for _ in range(160):
        digits.keyboard.press("Tab")
        if not digits.evaluate(f"({FOCUS})() !== null"):
            break
        seen.append(digits.evaluate(f"({SHOWN})(({FOCUS})())"))
    names = [name for name, _ in seen]
    assert [name for name, shown in seen if not shown] == []
    assert {"Language", "Playhead", "Boxes of the graph", "Training step", "Quantity", "seed"} <= set(names)
    assert len(seen) < 160


def test_the_arrows_go_from_box_to_box_and_say_each(digits: Page) -> None:
    digits.get_by_role("application", name="Boxes of the graph").focus()
    digits.keyboard.press("Home")
    live = digits.locator(".live")
    expect(live).to_contain_text("x, input, float32 32×64")
    digits.keyboard.press("ArrowRight")
    expect(live).to_contain_text("mlp/layer, function of")
    expect(inspector(digits).get_by_role("heading", level=2)).to_have_text("layer layers.0")


def test_enter_on_a_box_leads_into_it_and_back(digits: Page) -> None:
    digits.get_by_role("application", name="Boxes of the graph").focus()
    digits.keyboard.press("Home")
    digits.keyboard.press("ArrowRight")
    digits.keyboard.press("Enter")
    expect(digits.locator(".live")).to_contain_text(re.compile("^params.layers.0"))
    digits.keyboard.press("Shift+Enter")
    expect(digits.locator(".live")).to_contain_text(re.compile("^mlp/layer, "))


def test_a_step_is_said_once(digits: Page) -> None:
    digits.evaluate(HEARD)
    digits.keyboard.press("ArrowRight")
    digits.wait_for_timeout(300)
    assert len(digits.evaluate("heard")) == 1


def test_one_can_skip_to_the_training(digits: Page) -> None:
    digits.get_by_role("link", name="Skip to the training").focus()
    digits.keyboard.press("Enter")
    digits.keyboard.press("Tab")
    assert digits.evaluate(f"({SHOWN})(({FOCUS})())")[0] == "Train"


# ---- eyes and fingers ----------------------------------------------------------------------------------------------


def test_a_phone_does_not_scroll_sideways_in_german(german: Page) -> None:
    assert german.evaluate("document.documentElement.scrollWidth") == 390


def test_fingers_find_every_control(german: Page) -> None:
    assert german.evaluate(SMALL) == []


def test_nothing_moves_by_itself_where_that_is_not_wanted(digits: Page) -> None:
    digits.keyboard.press("b")
    digits.wait_for_timeout(300)
    first = digits.locator(".stage").screenshot()
    digits.wait_for_timeout(400)
    assert digits.locator(".stage").screenshot() == first

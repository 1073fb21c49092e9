"""Presenting: a clicker's keys, a dark screen, and nothing to scroll."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opener
from tests.browser.reading import said

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.once]

OVERHANG = "[document.documentElement.scrollWidth - innerWidth, document.documentElement.scrollHeight - innerHeight]"
PROJECTOR = {"width": 1280, "height": 720}


@pytest.fixture(scope="module")
def presented(open_page: Opener, url: str) -> Page:
    page = open_page(f"{url}?task=product", viewport=PROJECTOR)
    page.get_by_role("button", name="Present").click()
    return page


def test_there_is_nothing_to_scroll(presented: Page) -> None:
    expect(presented.get_by_role("button", name="Train one step")).to_be_hidden()
    assert presented.evaluate(OVERHANG) == [0, 0]


def test_a_clicker_goes_on_and_back(presented: Page) -> None:
    before = said(presented)
    presented.keyboard.press("PageDown")
    assert said(presented) == "Forward · add"
    presented.keyboard.press("PageUp")
    assert said(presented) == before


@pytest.mark.parametrize("key", ["b", "."])
def test_a_clicker_darkens_the_screen(presented: Page, key: str) -> None:
    dark = "getComputedStyle(document.body, '::after').backgroundColor"
    presented.keyboard.press(key)
    assert presented.evaluate(dark) == "rgb(0, 0, 0)"
    presented.keyboard.press(key)
    assert presented.evaluate(dark) != "rgb(0, 0, 0)"


def test_the_training_is_a_key_away_and_the_address_tells(presented: Page) -> None:
    presented.keyboard.press("r")
    expect(presented.get_by_role("button", name="Train one step")).to_be_visible()
    assert "present" in presented.url
    presented.keyboard.press("p")
    expect(presented.get_by_role("region", name="Graph")).to_be_visible()
    assert "present" not in presented.url


def test_a_clicker_goes_through_a_lesson(open_page: Opener, url: str) -> None:
    page = open_page(f"{url}?lesson=gradient&present", viewport=PROJECTOR)
    card = page.locator(".lesson-card")
    solve, on = (card.get_by_role("button", name=name) for name in ("Show me", "Next"))
    before = said(page)
    page.keyboard.press("PageDown")
    expect(solve).to_be_visible()
    page.keyboard.press("PageDown")
    expect(card.locator(".answer")).to_have_text("it should grow")
    expect(on).to_be_visible()
    page.keyboard.press("PageDown")
    expect(card.locator(".count")).to_have_text(re.compile("^3 "))
    page.keyboard.press("r")  # this lesson hides the training
    expect(page.get_by_role("region", name="Graph")).to_be_visible()
    solve.focus()
    page.keyboard.press("p")
    expect(page.locator("html[data-present]")).to_have_count(0)
    assert said(page) != before
    page.context.close()

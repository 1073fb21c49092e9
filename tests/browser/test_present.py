"""Presenting: a clicker's keys, a dark screen, and nothing to scroll."""

from __future__ import annotations

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


def test_escape_brings_the_graph_back(presented: Page) -> None:
    presented.keyboard.press("r")
    presented.keyboard.press("Escape")
    expect(presented.get_by_role("region", name="Graph")).to_be_visible()
    assert "present" in presented.url


def test_the_training_is_a_key_away_and_the_address_tells(presented: Page) -> None:
    presented.keyboard.press("r")
    expect(presented.get_by_role("button", name="Train one step")).to_be_visible()
    assert "present" in presented.url
    presented.keyboard.press("p")
    expect(presented.get_by_role("region", name="Graph")).to_be_visible()
    assert "present" not in presented.url


@pytest.fixture(scope="module")
def lesson(open_page: Opener, url: str) -> Page:
    page = open_page(f"{url}?lesson=gradient&present", viewport=PROJECTOR)
    expect(page.locator(".lesson-card")).to_be_visible()
    return page


def test_a_card_is_as_large_as_what_is_beside_it(lesson: Page) -> None:
    size = "getComputedStyle(document.querySelector('.lesson-card .prose')).fontSize"
    assert lesson.evaluate(size) == "18.85px"


def test_a_clicker_shows_the_answer_and_goes_on(lesson: Page) -> None:
    count, answer = lesson.locator(".lesson-card .count"), lesson.locator(".lesson-card .answer")
    for number in (2, 3):  # a choice, and a number
        lesson.keyboard.press("PageDown")
        expect(count).to_have_text(f"{number} of 8")
        expect(answer).to_have_count(0)
        lesson.keyboard.press("PageDown")
        expect(answer).to_be_visible()
        expect(count).to_have_text(f"{number} of 8")
        expect(lesson.locator(".lesson-card .home")).to_be_hidden()


def test_a_clicker_goes_on_from_within_a_text_field(lesson: Page) -> None:
    lesson.locator(".lesson-card .before").click()
    lesson.locator(".lesson-card .solve").click()
    lesson.locator(".lesson-card .next").click()
    expect(lesson.get_by_label("Your prediction")).to_be_focused()
    lesson.keyboard.press("PageDown")
    expect(lesson.locator(".lesson-card .answer")).to_be_visible()


def test_a_training_that_is_hidden_is_not_gone_to(lesson: Page) -> None:
    lesson.keyboard.press("r")
    assert lesson.evaluate("document.documentElement.dataset.present") == "graph"
    expect(lesson.get_by_role("region", name="Graph")).to_be_visible()


def test_one_ends_presenting_from_a_button_of_the_card(lesson: Page) -> None:
    lesson.locator(".lesson-card .before").focus()
    lesson.keyboard.press("p")
    assert "present" not in lesson.url

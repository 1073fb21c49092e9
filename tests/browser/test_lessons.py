"""Lessons in a browser: played by keyboard, left and come back to, and walked. All are played in test_play."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from explorer.lessons import course

pytestmark = [pytest.mark.browser, pytest.mark.slow]


COMPILED_MS = 120_000
"""How long another network may take to be compiled."""


def card(page):
    return page.get_by_role("region", name="Lesson", exact=True)


def at(page, number, lesson):
    """The card, at this beat."""
    there = f"{number} of {len(lesson.beats)}"
    expect(card(page).locator(".count")).to_have_text(there, timeout=COMPILED_MS)
    return card(page)


def playhead(page):
    return page.get_by_role("slider", name="Playhead")


@pytest.fixture(scope="module")
def page(open_page, url):
    return open_page(f"{url}?lesson=fan-out")


def test_it_is_played_by_keyboard_with_a_wrong_and_a_right_answer(page):
    lesson = course.find("fan-out")
    at(page, 1, lesson).get_by_role("button", name="Next").focus()
    page.keyboard.press("Enter")
    at(page, 2, lesson)
    expect(card(page).get_by_label("Your prediction")).to_be_focused()
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    expect(card(page).locator(".hint")).to_contain_text("That is x itself")
    page.keyboard.type("-2")  # what was typed is selected: it can be typed over
    page.keyboard.press("Enter")
    expect(card(page).locator(".answer")).to_have_text("✓ −2")
    expect(playhead(page)).to_have_attribute("aria-valuetext", "Backward · mul")


def test_one_may_wander_off_and_come_back(page):
    page.get_by_role("button", name="Finish phase").click()
    expect(playhead(page)).to_have_attribute("aria-valuetext", "Backward · y")
    card(page).get_by_role("button", name="Back to the lesson").click()
    expect(playhead(page)).to_have_attribute("aria-valuetext", "Backward · mul")
    expect(card(page).locator(".answer")).to_have_text("✓ −2")


def test_the_course_is_opened_and_a_lesson_chosen_and_ended(page):
    page.get_by_role("button", name="Lessons").click()
    dialog = page.get_by_role("dialog", name="Lessons")
    expect(dialog.get_by_role("button", name="Used twice")).to_contain_text("2 of 6")
    dialog.get_by_role("button", name="What a gradient says").click()
    at(page, 1, course.find("gradient"))
    expect(page.get_by_role("region", name="Training", exact=True)).to_be_hidden()
    card(page).get_by_role("button", name="End the lesson").click()
    expect(card(page)).to_be_hidden()
    expect(page.locator("#task")).to_be_visible()


WALKED = ("gradient", "initialisation", "vanishing", "through-time", "attention", "many-devices")
"""Lessons that have together whatever a lesson of the course can show."""


def shown(name):
    """What only a browser shows of a lesson: kinds of places, questions and charts, and how the graph is folded."""
    lesson = course.find(name)
    asks = [beat.ask for beat in lesson.beats if beat.ask]
    ats = [beat.at for beat in lesson.beats] + [ask.at for ask in asks if ask.at]
    positions = [beat.position for beat in lesson.beats] + [ask.position for ask in asks if ask.position]
    folds = {(position.granularity, bool(position.open), bool(position.compare)) for position in positions}
    return {at.kind for at in ats} | {ask.kind for ask in asks} | {*lesson.charts} | {bool(lesson.controls)} | folds


def test_whatever_a_lesson_can_show_is_walked():
    assert set().union(*map(shown, WALKED)) == set().union(*map(shown, course.names()))


@pytest.mark.once
@pytest.mark.parametrize("name", WALKED)
def test_a_lesson_is_walked_to_its_end(page, name):
    lesson = course.find(name)
    page.evaluate("name => dispatchEvent(new CustomEvent('lesson', { detail: { name } }))", name)
    for number, beat in enumerate(lesson.beats, start=1):
        own = at(page, number, lesson)
        expect(own.locator("h2")).to_have_text(lesson.title)
        if beat.ask:
            own.get_by_role("button", name="Show me").click()
            expect(own.locator(".answer")).not_to_be_empty(timeout=COMPILED_MS)
        if beat.at.kind != "page":
            expect(page.locator(".lesson-ring")).to_be_visible()
        own.get_by_role("button", name="Finish" if number == len(lesson.beats) else "Next").click()
    expect(page.get_by_role("dialog", name="Lessons").locator(f"[data-name={name}]")).to_contain_text("done")
    page.keyboard.press("Escape")

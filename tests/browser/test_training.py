"""Training on the page: it plays and pauses, goes back to any step, tells what is wrong, and tries what helps."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from engine.numbers import short
from engine.tasks import Settings, problem
from explorer.room import Room
from tests.browser.conftest import Opener
from tests.browser.reading import setup

pytestmark = [pytest.mark.browser, pytest.mark.slow]

COMPILED_MS = 120_000


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def steps(page: Page) -> Any:
    return page.get_by_role("slider", name="Training step")


def play(page: Page) -> None:
    button(page, "Train").click()
    expect(button(page, "Pause")).to_be_visible(timeout=COMPILED_MS)


def pause(page: Page) -> int:
    """Stops the training; the number of the last step."""
    button(page, "Pause").click()
    expect(button(page, "Train")).to_be_visible()
    return int(steps(page).get_attribute("aria-valuemax") or "")


@pytest.fixture(scope="module")
def page(open_page: Opener, url: str) -> Page:
    return open_page(url)


@pytest.fixture(scope="module")
def plain() -> Room:
    """The first page's run, without a page."""
    settings = Settings()
    return Room(problem(settings), settings)


def test_it_trains_until_it_is_paused(page: Page, plain: Room) -> None:
    play(page)
    expect(page.locator(".bar .aside")).to_contain_text("accuracy", timeout=COMPILED_MS)
    expect(steps(page)).to_have_attribute("aria-valuemax", re.compile(r"^\d\d+$"), timeout=COMPILED_MS)
    last = pause(page)
    expect(page.locator(".told")).to_contain_text("loss")
    before = page.locator(".told").inner_text()
    page.wait_for_timeout(500)
    assert page.locator(".told").inner_text() == before
    plain.advance(last + 1)
    assert before == f"loss {short(float(plain.pass_at(last + 1).loss))} in the next pass"


def test_an_earlier_step_is_shown_when_it_is_chosen(page: Page, plain: Room) -> None:
    steps(page).focus()
    steps(page).press("Home")
    steps(page).press("ArrowRight")
    steps(page).press("ArrowRight")
    steps(page).press("Enter")
    expect(page.locator(".told")).to_have_text(f"loss {short(float(plain.pass_at(2).loss))}")


def test_training_goes_on_from_the_step_that_is_shown(page: Page, plain: Room) -> None:
    button(page, "Train one step").click()
    shown = plain.pass_at(2)
    told = f"loss {short(float(shown.loss))} → {short(float(shown.loss_after))}"
    expect(page.locator(".told")).to_have_text(told)
    expect(steps(page)).to_have_attribute("aria-valuemax", "2")


def test_the_rate_changes_while_it_trains(page: Page) -> None:
    rate = setup(page).get_by_label("Learning rate")
    before = steps(page).get_attribute("aria-valuemax")
    rate.fill("0.25")
    rate.press("Tab")
    button(page, "Train 10 steps").click()
    expect(steps(page)).to_have_attribute("aria-valuemax", str(int(before or "") + 10))


def test_a_rate_that_is_changed_at_an_earlier_step_holds_from_there(page: Page) -> None:
    steps(page).focus()
    steps(page).press("Home")
    for _ in range(2):
        steps(page).press("ArrowRight")
    steps(page).press("Enter")
    expect(steps(page)).to_have_attribute("aria-valuenow", "2")
    rate = setup(page).get_by_label("Learning rate")
    expect(rate).to_have_value("0.5")  # what that step was trained with
    rate.fill("0.125")
    rate.press("Tab")
    expect(steps(page)).to_have_attribute("aria-valuemax", "1")
    button(page, "Train 10 steps").click()
    expect(steps(page)).to_have_attribute("aria-valuemax", "11")
    expect(rate).to_have_value("0.125")


def test_the_heat_map_tells_every_layer(page: Page) -> None:
    heat = page.get_by_role("img", name="Profile over the steps")
    assert "layers.0" in (heat.get_attribute("aria-label") or "")


@pytest.mark.once
def test_a_vanishing_gradient_is_told_and_its_remedy_tried_side_by_side(open_page: Opener, url: str) -> None:
    page = open_page(url)
    form = setup(page)
    form.get_by_label("Task").select_option("spiral")
    expect(form.get_by_label("Units in each")).to_have_value("8")
    form.get_by_label("Activation").select_option("sigmoid")
    page.wait_for_timeout(300)
    form.get_by_label("Hidden layers").fill("12")
    form.get_by_label("Hidden layers").press("Tab")
    play(page)
    findings = page.get_by_role("list", name="Findings", exact=True)
    expect(findings).to_contain_text("Gradients shrink", timeout=COMPILED_MS)
    expect(findings.get_by_role("listitem")).to_have_count(1)
    pause(page)
    findings.get_by_role("button").first.click()
    comparison = page.get_by_role("group", name="Comparison")
    expect(comparison).to_be_visible(timeout=COMPILED_MS)
    expect(button(page, "Train")).to_be_visible(timeout=COMPILED_MS)
    expect(page.get_by_text("No trouble found.", exact=True).last).to_be_visible(timeout=COMPILED_MS)
    page.get_by_role("button", name="Keep the new run").click()
    expect(comparison).to_be_hidden()
    expect(setup(page).get_by_label("Normalisation")).to_have_value("layer")


@pytest.mark.once
def test_another_model_has_its_own_parameters(open_page: Opener, url: str) -> None:
    page = open_page(url)
    table = page.get_by_role("table", name="Parameters", exact=True)
    table.scroll_into_view_if_needed()
    expect(table.get_by_role("rowheader").first).to_have_text("params.layers.0.b")
    setup(page).get_by_label("Task").select_option("adding")
    expect(table.get_by_role("rowheader").first).to_have_text("params.last.b", timeout=COMPILED_MS)

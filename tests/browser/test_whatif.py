"""What if: a number changed by hand runs through the whole pass; a gradient is looked at closer."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from engine.numbers import short
from scripts.driving import PHONE
from tests.browser import own
from tests.browser.conftest import Opener
from tests.browser.reading import expect_row, granularity, inspector, rows

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.once]

COMPILED_MS = 120_000


@pytest.fixture(scope="module")
def page(open_page: Opener, own_url: str) -> Page:
    found = open_page(own_url)
    granularity(found, "Operation")
    expect_row(found, "params.w")
    found.get_by_role("button", name="Table").click()
    found.keyboard.press("Escape")
    found.keyboard.press("End")
    search = found.get_by_label("Find a node")
    search.fill("params.w")
    search.press("Enter")
    expect(inspector(found).locator("h2")).to_have_attribute("title", "params.w")
    inspector(found).locator(".whatif summary").click()
    return found


@pytest.fixture(scope="module")
def entry(page: Page) -> tuple[int, int]:
    """The entry of w that the dial is set to."""
    label = dial(page).get_attribute("aria-label") or ""
    row, column = label.partition("[")[2].partition("]")[0].split(",")
    return int(row), int(column)


def dial(page: Page) -> Locator:
    return page.get_by_role("spinbutton", name="as a number")


def banner(page: Page) -> Locator:
    return page.locator(".banner")


def put(page: Page, number: float) -> None:
    dial(page).fill(str(number))
    dial(page).press("Enter")


def changed(entry: tuple[int, int], number: float) -> tuple[float, Any]:
    """What JAX makes of the changed program."""
    params, x, y = own.loss_args()
    params["w"][entry] = number
    return jax.value_and_grad(own.loss)(params, x, y)


def test_a_changed_weight_shows_the_loss_and_gradients_of_jax(page: Page, entry: tuple[int, int]) -> None:
    before, _ = jax.value_and_grad(own.loss)(*own.loss_args())
    put(page, 2.5)
    after, gradients = changed(entry, 2.5)
    told = f"loss {short(float(before))} → {short(float(after))}"
    expect(banner(page)).to_contain_text(told, timeout=COMPILED_MS)
    expect(banner(page)).to_contain_text("→ 2.5")
    shown = {row[0]: row for row in rows(page)}
    for name in ("w", "v", "c"):
        exact = np.sqrt(np.mean(np.asarray(gradients[name], np.float64) ** 2))
        assert shown[f"params.{name}"][4].endswith(short(float(exact)))
        assert shown[f"params.{name}"][5].endswith("changed")
    assert shown["x"][5] == "value"


def test_another_change_replaces_it_and_the_dial_follows(page: Page, entry: tuple[int, int]) -> None:
    put(page, -1)
    after, _ = changed(entry, -1)
    expect(banner(page)).to_contain_text(f"→ {short(float(after))}")
    slider = page.get_by_role("slider", name="What if")
    expect(slider).to_have_attribute("aria-valuetext", "−1")
    slider.focus()
    slider.press("ArrowRight")
    number = float(slider.evaluate("slider => slider.value"))
    expect(banner(page)).to_contain_text(f"→ {short(number)}")


def test_a_number_that_is_none_is_refused_in_a_sentence(page: Page) -> None:
    put(page, 1e39)
    expect(page.locator(".message")).to_contain_text("finite number that float32 can hold")


def test_one_goes_back_to_the_real_step(page: Page) -> None:
    banner(page).get_by_role("button", name="Back to the real step").click()
    expect(banner(page)).to_be_hidden()
    before = jax.grad(own.loss)(*own.loss_args())
    exact = np.sqrt(np.mean(np.asarray(before["w"], np.float64) ** 2))
    shown = {row[0]: row for row in rows(page)}
    assert shown["params.w"][4:] == [f"rms {short(float(exact))}", "gradient"]


def test_a_gradient_is_checked_by_differences_of_many_sizes(page: Page) -> None:
    inspector(page).get_by_role("button", name="Check by differences").click()
    valley = inspector(page).get_by_role("img", name="Relative error of differences")
    expect(valley).to_be_visible(timeout=COMPILED_MS)
    expect(inspector(page).locator(".checked figcaption")).to_contain_text("agree")


def test_optimisers_are_compared_on_the_same_gradient(page: Page) -> None:
    inspector(page).get_by_role("button", name="Other optimisers").click()
    table = inspector(page).get_by_role("table", name="Optimisers on this gradient")
    expect(table.locator("tbody th")).to_have_text(["SGD", "Momentum", "RMSProp", "Adam"])
    gradient = np.asarray(jax.grad(own.loss)(*own.loss_args())["w"], np.float64)
    expect(table.locator("xpath=..")).to_contain_text(f"‖∂L/∂w‖ = {short(float(np.linalg.norm(gradient)))}")


def test_training_leaves_the_changes_behind(page: Page) -> None:
    put(page, 2.5)
    expect(banner(page)).to_be_visible()
    page.get_by_role("button", name="Train one step").click()
    expect(banner(page)).to_be_hidden()


def test_the_loss_is_drawn_around_the_way_of_the_run(page: Page) -> None:
    page.get_by_role("button", name="Train 10 steps").click()
    expect(page.get_by_role("slider", name="Training step")).to_have_attribute(
        "aria-valuemax", "10", timeout=COMPILED_MS
    )
    page.get_by_role("button", name="Draw", exact=True).click()
    expect(page.get_by_role("button", name="Draw again")).to_be_enabled(timeout=COMPILED_MS)
    expect(page.get_by_role("img", name="Loss surface. loss ")).to_be_visible()
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_role("button", name="Draw again")).to_be_hidden()
    page.get_by_role("button", name="Train 10 steps").click()
    expect(page.get_by_role("button", name="Draw", exact=True)).to_be_visible()


PLACE = """root => {
  const detail = { kind: "node", name: root.explorer.store.state.selected, rect: null, around: [] };
  dispatchEvent(new CustomEvent("whereabouts", { detail }));
  return detail.rect;
}"""


@pytest.fixture(scope="module")
def neuron(open_page: Opener, url: str) -> Page:
    return open_page(f"{url}?task=neuron", viewport=PHONE, has_touch=True, is_mobile=True)


def choose(page: Page, name: str) -> None:
    search = page.get_by_label("Find a node")
    search.fill(name)
    search.press("Enter")
    expect(inspector(page).locator("h2")).to_contain_text(name)


def test_on_a_phone_the_box_that_is_changed_stays_in_sight(neuron: Page) -> None:
    choose(neuron, "w")
    inspector(neuron).locator(".whatif summary").click()
    put(neuron, 0.93)
    expect(banner(neuron)).to_contain_text("→ 0.93", timeout=COMPILED_MS)
    box, over = neuron.locator(".graph .root").evaluate(PLACE), banner(neuron).bounding_box()
    assert over is not None
    assert over["y"] > box["top"] + box["height"] or over["y"] + over["height"] < box["top"]

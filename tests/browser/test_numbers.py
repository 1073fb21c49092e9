"""The numbers in the page are those that JAX and Optax compute without us."""

from __future__ import annotations

import re
from typing import Any

import jax
import numpy as np
import optax
import pytest
from playwright.sync_api import Page, expect

from engine.numbers import short
from engine.tasks import Settings, problem
from engine.tasks.small import product
from tests.browser import own
from tests.browser.conftest import Opener
from tests.browser.reading import expect_row, granularity, inspector, playhead, rows, setup, table, without_repeats

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.once]

NAMES = ["w", "b", "v", "c"]


@pytest.fixture(scope="module")
def own_page(open_page: Opener, own_url: str) -> Page:
    page = open_page(own_url)
    granularity(page, "Operation")
    expect_row(page, "params.w")
    page.get_by_role("button", name="Table").click()
    page.keyboard.press("Escape")
    page.keyboard.press("End")
    return page


@pytest.fixture(scope="module")
def own_gradients() -> dict[str, Any]:
    return jax.tree.map(np.asarray, jax.grad(own.loss)(*own.loss_args()))


@pytest.mark.parametrize("name", NAMES)
def test_the_table_has_the_size_of_the_gradient_of_jax(own_page: Page, own_gradients: Any, name: str) -> None:
    shown = {row[0]: row[4] for row in rows(own_page)}
    exact = np.sqrt(np.mean(own_gradients[name].astype(np.float64) ** 2))
    assert shown[f"params.{name}"] == f"rms {short(float(exact))}"


@pytest.mark.parametrize("name", NAMES)
def test_the_sentence_ends_on_the_gradient_of_jax(own_page: Page, own_gradients: Any, name: str) -> None:
    search = own_page.get_by_label("Find a node")
    search.fill(f"params.{name}")
    search.press("Enter")
    expect(inspector(own_page).locator("h2")).to_have_attribute("title", f"params.{name}")
    left = inspector(own_page).locator(".sentence sub").first.inner_text()
    index = tuple(map(int, left.strip("[]").split(",")))
    exact = float(own_gradients[name][index])
    assert inspector(own_page).locator(".sentence > b").first.inner_text() == short(exact)


def test_the_arrow_keys_choose_another_entry_of_the_gradient(own_page: Page, own_gradients: Any) -> None:
    search = own_page.get_by_label("Find a node")
    search.fill("params.w")
    search.press("Enter")
    entries = inspector(own_page).get_by_role("img", name=re.compile("^Gradient, "))
    entries.focus()
    left = inspector(own_page).locator(".chain .left sub")
    row, column = map(int, left.inner_text().strip("[]").split(","))
    other = row + 1 if row == 0 else row - 1
    entries.press("ArrowDown" if row == 0 else "ArrowUp")
    entries.press("Enter")
    expect(left).to_have_text(f"[{other}, {column}]")
    exact = float(own_gradients["w"][other, column])
    assert inspector(own_page).locator(".sentence > b").first.inner_text() == short(exact)


def test_the_product_has_the_gradients_of_jax(open_page: Opener, url: str) -> None:
    page = open_page(url)
    setup(page).get_by_label("Task").select_option("product")
    expect_row(page, "z")
    page.keyboard.press("Escape")
    page.keyboard.press("End")
    exact = [float(each) for each in jax.grad(product, argnums=(0, 1, 2))(-2.0, 5.0, -4.0)]
    assert exact == [-4.0, -4.0, 3.0]
    expect(table(page).locator("td:nth-of-type(4)")).to_have_text([*map(short, exact), "−4", "1"])


@pytest.fixture(scope="module")
def training_page(open_page: Opener, url: str) -> Page:
    return open_page(url, reduced_motion="no-preference")


def plain_losses(steps: int) -> list[tuple[float, float]]:
    """The loss on each batch before and after a plain step of Optax."""
    given = problem(Settings())
    optimiser = optax.sgd(given.rate)
    params, found = given.params, []
    memory = optimiser.init(params)
    for step in range(steps):
        batch = given.batch(step)
        before, grads = jax.value_and_grad(lambda params, batch=batch: given.fun(*params, *batch))(params)
        updates, memory = optimiser.update(grads, memory, params)
        params = optax.apply_updates(params, updates)
        found.append((float(before), float(given.fun(*params, *batch))))
    return found


def test_training_walks_the_pass_and_ends_on_the_losses_of_optax(training_page: Page) -> None:
    walked: list[str] = []
    training_page.expose_function("walked", lambda phase: walked.append(phase))
    playhead(training_page).evaluate(
        """slider => new MutationObserver(() => walked(slider.getAttribute("aria-valuetext").split(" · ")[0]))
                   .observe(slider, {attributes: true, attributeFilter: ["aria-valuetext"]})"""
    )
    training_page.get_by_role("button", name="Train one step").click()
    [(before, after)] = plain_losses(1)
    told = f"loss {short(before)} → {short(after)} on 32 of 1,438 images"
    expect(training_page.locator(".message")).to_have_text(told)
    # A slow machine also paints the playhead where the walk sets out.
    assert [phase for phase in without_repeats(walked) if phase != "Start"] == ["Forward", "Loss", "Backward", "Update"]


def test_reset_forgets_the_training(training_page: Page) -> None:
    training_page.get_by_role("button", name="Train one step").click()
    training_page.get_by_role("button", name="Reset").click()
    [(before, _)] = plain_losses(1)
    expect(training_page.locator(".bar")).to_contain_text("0 updates made")
    expect(training_page.locator(".told")).to_have_text(f"loss {short(before)}")


def test_what_a_step_did_is_told_only_while_its_pass_is_shown(open_page: Opener, url: str) -> None:
    page = open_page(url)
    page.get_by_role("button", name="Train one step").click()
    expect(page.locator(".message")).to_contain_text("→")
    page.get_by_role("button", name="Reset").click()
    expect(page.locator(".message")).to_be_hidden()
    page.context.close()


def test_the_second_step_goes_on_from_the_first(open_page: Opener, url: str) -> None:
    page = open_page(url)
    for before, after in plain_losses(2):
        page.get_by_role("button", name="Train one step").click()
        expect(page.locator(".message")).to_contain_text(f"loss {short(before)} → {short(after)}")

"""A page saved as one file: opened from disk with no network, walked both ways."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from scripts.driving import COMMAND, DESKTOP, ROOT
from tests.browser.conftest import Opener, watch
from tests.browser.reading import inspector, playhead, rows, said

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.once]


@pytest.fixture(scope="module")
def file(open_page: Opener, url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained for ten steps, and saved by the page's own button."""
    page = open_page(url)
    page.get_by_role("button", name="Train 10 steps").click()
    expect(page.get_by_role("slider", name="Training step")).to_have_attribute("aria-valuemax", "9", timeout=120_000)
    page.get_by_role("button", name="Export").click()
    with page.expect_download(timeout=120_000) as download:
        page.get_by_role("button", name="A page that works offline").click()
    path = tmp_path_factory.mktemp("saved") / "page.html"
    download.value.save_as(path)
    page.context.close()
    return path


@pytest.fixture(scope="module")
def saved(browser: Any, file: Path, troubles: list[str]) -> Iterator[Page]:
    context = browser.new_context(viewport=DESKTOP, reduced_motion="reduce", offline=True)
    watch(context, troubles)
    page = context.new_page()
    page.goto(file.as_uri())
    expect(playhead(page)).to_be_visible()
    yield page
    context.close()


def test_a_saved_page_is_small(file: Path) -> None:
    assert file.stat().st_size <= 1_500_000


def test_a_whole_pass_is_stepped_both_ways(saved: Page) -> None:
    saved.keyboard.press("Home")
    last = int(playhead(saved).get_attribute("aria-valuemax") or "")
    there = [said(saved)]
    for _ in range(last):
        saved.keyboard.press("ArrowRight")
        there.append(said(saved))
    back = [said(saved)]
    for _ in range(last):
        saved.keyboard.press("ArrowLeft")
        back.append(said(saved))
    assert [text.partition(" ")[0] for text in (there[0], there[1], there[-1])] == ["Start", "Forward", "Update"]
    assert back == there[::-1]


def test_the_chain_rule_is_told(saved: Page) -> None:
    saved.keyboard.press("b")
    expect(inspector(saved)).to_contain_text("∂L/∂")
    expect(inspector(saved).locator(".badge")).to_contain_text("agrees with jax.grad")


def test_operations_are_opened_and_folded(saved: Page) -> None:
    few = len(rows(saved))
    saved.get_by_role("button", name="Operation", exact=True).click()
    expect(saved.get_by_role("rowheader", name="cross_entropy/neg")).to_have_count(1)
    assert len(rows(saved)) > few
    saved.get_by_role("button", name="Layer", exact=True).click()
    assert len(rows(saved)) == few


def test_an_earlier_step_shows_its_own_pass(saved: Page) -> None:
    saved.keyboard.press("End")
    loss = (
        saved.get_by_role("row")
        .filter(has=saved.get_by_role("rowheader", name="cross_entropy", exact=True))
        .locator("td")
        .nth(2)
    )
    before = loss.text_content() or ""
    steps = saved.get_by_role("slider", name="Training step")
    steps.focus()
    steps.press("Home")
    steps.press("Enter")
    expect(loss).not_to_have_text(before)
    first = loss.text_content() or ""
    steps.press("End")
    steps.press("Enter")
    expect(loss).not_to_have_text(first)


def test_what_needs_the_explorer_says_so(saved: Page) -> None:
    expect(saved.get_by_role("button", name="Train one step")).to_be_hidden()
    saved.locator("body").click(position={"x": 2, "y": 2})
    saved.keyboard.press("t")
    expect(saved.locator(".message")).to_contain_text("This is a saved page")


@pytest.fixture(scope="module")
def lesson(browser: Any, troubles: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A lesson exported by the command, opened from disk with no network."""
    path = tmp_path_factory.mktemp("lesson") / "lesson.html"
    command = [sys.executable, "-c", COMMAND, "export", "--lesson", "gradient", "-o", str(path)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    context = browser.new_context(viewport=DESKTOP, reduced_motion="reduce", offline=True)
    watch(context, troubles)
    page = context.new_page()
    page.goto(path.as_uri())
    yield page
    context.close()


def test_a_lesson_is_played_to_its_end_without_a_server(lesson: Page) -> None:
    card = lesson.get_by_role("region", name="Lesson")
    button = lambda name: card.get_by_role("button", name=name, exact=True)
    button("Next").click()
    button("it should shrink").click()
    expect(card).to_contain_text("it is too small already")
    button("it should grow").click()
    expect(card).to_contain_text("✓ it should grow")
    for _ in range(20):
        if button("Show me").is_visible():
            button("Show me").click()
        if button("Finish").is_visible():
            break
        button("Next").click()
    button("Finish").click()

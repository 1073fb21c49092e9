"""A real JupyterLab: a click on a node changes a value in Python, and a value set in Python moves the view."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from scripts.lab import jupyterlab, run_all, say, write
from tests.browser.conftest import PORT, watch
from tests.browser.reading import expect_row, inspector, place_of, playhead, said

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.once]

CELL = """import explorer, jax.numpy as jnp

def loss(w, x):
    return jnp.mean(jnp.tanh(x @ w) ** 2)

view = explorer.show(loss, jnp.array([[0.5, -1.0], [2.0, 0.25]]), jnp.array([[0.3, 0.7], [-1.0, 0.2]]))
view"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="module")
def lab(folder: Path, browser: Any, troubles: list[str]) -> Iterator[Page]:
    """A notebook with a view in it, run, and below it an empty cell."""
    write(folder / "own.ipynb", CELL, "")
    with jupyterlab(folder, PORT + 30) as address:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        context.set_default_timeout(30_000)
        watch(context, troubles)
        page = run_all(context.new_page(), f"{address}/lab/tree/own.ipynb?reset")
        say(page, "view.svg() and None")  # after that it is laid out for the size that it has in the browser
        yield page
        context.close()


def test_a_click_on_a_node_changes_a_value_in_python(lab: Page) -> None:
    lab.mouse.click(*place_of(lab, "tanh ·"))
    expect(inspector(lab).get_by_role("heading", name="tanh")).to_be_visible()
    assert say(lab, "view.selected.name, view.playhead") == "('tanh', 0)"


def test_keys_step_and_python_knows(lab: Page) -> None:
    lab.mouse.click(*place_of(lab, "tanh ·"))
    lab.keyboard.press("Home")
    lab.keyboard.press("ArrowRight")
    assert say(lab, "view.playhead, view.at") == f"(1, {said(lab)!r})"


def test_a_value_set_in_python_moves_the_view(lab: Page) -> None:
    say(lab, "view.playhead = 'backward'")
    expect(playhead(lab)).to_have_attribute("aria-valuetext", "Backward · mean")
    say(lab, "view.selected = 'w'")
    expect(inspector(lab).get_by_role("heading", name="w")).to_be_visible()


def test_a_fold_opened_in_python_opens_in_the_view(lab: Page) -> None:
    say(lab, "view.unfold('mean')")
    expect_row(lab, "mean/div")
    say(lab, "view.fold()")
    expect(lab.get_by_role("rowheader", name="mean/div", exact=True)).to_have_count(0)


def test_the_gradients_are_proved(lab: Page) -> None:
    say(lab, "view.playhead, view.selected = -1, 'tanh'")
    expect(lab.locator(".badge.good").first).to_be_visible(timeout=60_000)


def test_a_saved_notebook_keeps_the_picture_and_wakes_again(lab: Page, folder: Path) -> None:
    say(lab, "view.playhead = 2")
    lab.mouse.click(*place_of(lab, "tanh ·"))
    lab.keyboard.press("Control+s")  # Jupyter's own keys still work there
    for _ in range(100):
        saved = (folder / "own.ipynb").read_text(encoding="utf-8")
        if '"image/svg+xml"' in saved:
            break
        lab.wait_for_timeout(100)
    assert '"image/svg+xml"' in saved
    lab.reload()
    expect(playhead(lab)).to_have_attribute("aria-valuenow", "2", timeout=60_000)

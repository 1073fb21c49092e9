"""What a page says to those who read it: the playhead, the table, the inspector."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page, expect

CELLS = "table => [...table.rows].slice(1).map(row => [...row.cells].map(cell => cell.textContent))"

FIND = """(stage, wanted) => {
  const box = stage.getBoundingClientRect(), canvas = stage.querySelector("canvas");
  for (let y = 2; y < box.height; y += 4) for (let x = 2; x < box.width; x += 4) {
    const place = { clientX: box.left + x, clientY: box.top + y, bubbles: true };
    canvas.dispatchEvent(new PointerEvent("pointermove", place));
    if (stage.title.startsWith(wanted)) return [place.clientX, place.clientY];
  }
  return null;
}"""


def playhead(page: Page) -> Locator:
    return page.get_by_role("slider", name="Playhead")


def said(page: Page) -> str:
    """``Backward · mlp/layer``."""
    return playhead(page).get_attribute("aria-valuetext") or ""


def table(page: Page) -> Locator:
    return page.get_by_role("table", name="Compute graph")


def rows(page: Page) -> list[list[str]]:
    """Name, operation, shape, value, gradient and state of each node that is seen."""
    return table(page).evaluate(CELLS)


def names(page: Page) -> list[str]:
    return [name for name, *_ in rows(page)]


def expect_rows(page: Page, wanted: list[str]) -> None:
    """Wait until the table has exactly these names."""
    expect(table(page).locator("tbody th")).to_have_text(wanted)


def expect_row(page: Page, name: str) -> None:
    expect(table(page).get_by_role("rowheader", name=name, exact=True)).to_have_count(1)


def inspector(page: Page) -> Locator:
    return page.get_by_role("region", name="Inspector")


def granularity(page: Page, name: str) -> None:
    page.get_by_role("group", name="Granularity").get_by_role("button", name=name, exact=True).click()


def setup(page: Page) -> Locator:
    return page.get_by_role("form", name="Set-up")


def without_repeats(things: list[str]) -> list[str]:
    return [thing for thing, before in zip(things, [None, *things], strict=False) if thing != before]


def place_of(page: Page, title: str) -> Any:
    """Where on the graph the pointer meets what says this, once the graph lies still."""
    stage, found = page.locator(".stage"), None
    for _ in range(20):
        before, found = found, stage.evaluate(FIND, title)
        if found is not None and found == before:
            break
        page.wait_for_timeout(100)
    assert found is not None
    assert found == before
    return found

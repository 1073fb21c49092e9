"""A link leads to the very same place, on the page as it is served."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opener
from tests.browser.reading import playhead

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.once]

QUERY = "task=product&rate=0.2&step=3&at=backward:add&node=z"  # as the page itself writes it


@pytest.fixture(scope="module")
def there(open_page: Opener, url: str) -> Page:
    page = open_page(f"{url}?{QUERY}", permissions=["clipboard-read", "clipboard-write"])
    expect(playhead(page)).to_have_attribute("aria-valuetext", "Backward · add")
    return page


def test_a_link_leads_to_the_selection(there: Page) -> None:
    expect(there.get_by_role("region", name="Inspector").get_by_role("heading", level=2)).to_have_text("z")


def test_copy_link_copies_the_same_place(there: Page, url: str) -> None:
    there.get_by_role("button", name="Copy link").click()
    expect(there.get_by_text("Link copied")).to_be_visible()
    assert there.evaluate("navigator.clipboard.readText()") == f"{url}?{QUERY}"


def test_the_address_follows_and_the_history_stays(there: Page) -> None:
    before = there.evaluate("history.length")
    for _ in range(4):
        there.keyboard.press("ArrowLeft")
    there.wait_for_function("location.search.endsWith('at=forward:add')")
    assert there.evaluate("history.length") == before


def test_what_cannot_be_followed_is_said_on_the_page(open_page: Opener, url: str) -> None:
    page = open_page(f"{url}?task=product&depht=3")
    expect(page.get_by_text("The link has 'depht', which nothing here is called.")).to_be_visible()

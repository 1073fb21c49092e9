"""The page in a browser: servers, one browser, and a watch on what a page asks for and complains of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from scripts.driving import DESKTOP, chromium, opened, served

_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
PORT = 5300 + 40 * _WORKER
PATIENCE_MS = 30_000

expect.set_options(timeout=PATIENCE_MS)

LONGEST = ("test_lessons", "test_training", "test_numbers", "test_room", "test_everyone", "test_notebook")
"""Files that begin first, so that no process works alone at the end."""

Opener = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with chromium() as own:
        yield own


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    with served(port=PORT) as address:
        yield address


@pytest.fixture(scope="session")
def own_url() -> Iterator[str]:
    with served("tests.browser.own:loss", port=PORT + 20) as address:
        yield address


@pytest.fixture(scope="session")
def troubles() -> list[str]:
    """What pages asked for elsewhere, and their errors."""
    return []


@pytest.fixture(autouse=True)
def _no_trouble(troubles: list[str]) -> Iterator[None]:
    troubles.clear()
    yield
    assert troubles == []


def watch(context: BrowserContext, troubles: list[str]) -> None:
    """Stop what leaves this machine; tell that, and every error of the page."""

    def leaves(address: str) -> bool:
        outside = urlsplit(address).hostname not in ("127.0.0.1", None)
        if outside:
            troubles.append(f"asked for {address}")
        return outside

    context.route("**/*", lambda route: route.abort() if leaves(route.request.url) else route.continue_())
    context.on("page", lambda page: page.on("websocket", lambda socket: leaves(socket.url)))
    context.on("console", lambda said: troubles.append(f"console: {said.text}") if said.type == "error" else None)
    context.on("weberror", lambda failed: troubles.append(f"error: {failed.error}"))


@pytest.fixture(scope="session")
def open_page(browser: Any, troubles: list[str]) -> Opener:
    """Opens an address in a tab of its own, with its numbers there."""

    def open_one(address: str, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": DESKTOP, "reduced_motion": "reduce", **options})
        context.set_default_timeout(PATIENCE_MS)
        watch(context, troubles)
        page = opened(context.new_page(), address)
        expect(page.locator(".bar .train")).to_be_enabled()
        return page

    return open_one


@pytest.fixture(scope="session")
def first_page(open_page: Opener, url: str) -> Page:
    return open_page(url)


@pytest.fixture
def digits(first_page: Page) -> Page:
    """The first page at its start; tests leave it folded and trained as they found it."""
    first_page.keyboard.press("Escape")
    first_page.keyboard.press("Home")
    return first_page

"""The served app and a headless Chromium on it: for browser tests, benchmarks and screenshots alike."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from scripts.find_browser import find

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
COMMAND = "from explorer.cli import main; main()"
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}


@contextlib.contextmanager
def served(*arguments: str, port: int = 5206) -> Iterator[str]:
    """The address of ``backprop-explorer serve …``, until the block ends."""
    command = ["-c", COMMAND, "serve", *arguments, "--no-browser", "--port", str(port)]
    with answering(*command) as address:
        yield address


@contextlib.contextmanager
def answering(*arguments: str, **environment: str) -> Iterator[str]:
    """The address that a Python program says it serves at, until the block ends."""
    command, surroundings = [sys.executable, *arguments], os.environ | environment
    process = subprocess.Popen(
        command, cwd=ROOT, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said: list[str] = []
    reads_on = threading.Thread(target=lambda: said.extend(process.stdout or ()))  # a full pipe would hold it up
    try:
        for line in process.stdout or ():
            said.append(line)
            if found := re.search(r"http://\S+", line):
                reads_on.start()
                yield found.group()
                return
        raise RuntimeError(f"the server ended: {''.join(said)}")
    except Exception:
        print("The server said:", *said[-60:], file=sys.stderr)
        raise
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:  # JupyterLab, on a busy machine, may wait for a kernel
            process.kill()
            process.wait(60)
        if reads_on.ident:
            reads_on.join(60)
        if process.stdout:
            process.stdout.close()


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM") or find(), args=CHROMIUM)
        try:
            yield browser
        finally:
            browser.close()


def opened(page: Page, url: str = "") -> Page:
    """The page with its graph painted; it goes to ``url`` first, if given."""
    if url:
        page.goto(url)
    page.locator(".track").get_by_role("slider").wait_for(timeout=120_000)
    page.locator(".cover").wait_for(state="hidden", timeout=300_000)
    return page

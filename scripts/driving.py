"""The served app and a headless Chromium on it: for browser tests, benchmarks and screenshots alike."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
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
    said = []
    try:
        for line in process.stdout or ():
            said.append(line)
            if found := re.search(r"http://\S+", line):
                yield found.group()
                return
        raise RuntimeError(f"the server ended: {''.join(said)}")
    finally:
        process.terminate()
        process.wait(20)
        if process.stdout:
            process.stdout.close()


_LAB = (
    "--no-browser --allow-root --ServerApp.port_retries=0 --IdentityProvider.token= --ServerApp.password= "
    "--LabApp.news_url=None --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate "
    "--LabApp.extension_manager=readonly"
)


@contextlib.contextmanager
def jupyterlab(folder: Path, port: int) -> Iterator[str]:
    """The address of a JupyterLab over a folder, with settings of its own, until the block ends."""
    with tempfile.TemporaryDirectory() as own:
        rooms = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
        rooms += ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
        surroundings = {name: f"{own}/{name}" for name in rooms} | {"PYTHONPATH": str(ROOT)}
        quiet = Path(own, "JUPYTERLAB_SETTINGS_DIR", "@jupyterlab", "apputils-extension")
        quiet.mkdir(parents=True)
        (quiet / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}', encoding="utf-8")
        command = ("-m", "jupyterlab", *_LAB.split(), f"--port={port}", f"--ServerApp.root_dir={folder}")
        with answering(*command, **surroundings) as address:
            yield address.partition("/lab")[0]


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

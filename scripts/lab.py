"""A JupyterLab of its own, and a notebook in it as a person runs it: for the browser tests and for screenshots."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
from playwright.sync_api import Page, expect

from scripts.driving import ROOT, answering

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
_LAB = (
    "--no-browser --allow-root --ServerApp.ip=127.0.0.1 --ServerApp.port_retries=0 "
    "--IdentityProvider.token= --ServerApp.password= "
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
            yield address.partition("/lab")[0].replace("localhost", "127.0.0.1")


def write(path: Path, *cells: str) -> None:
    """A notebook of code cells."""
    made = [nbformat.v4.new_code_cell(text) for text in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=made, metadata=KERNEL), path)


def run_all(page: Page, url: str) -> Page:
    """Open a notebook and run it, once its kernel is there; the first view is then seen."""
    page.goto(url)
    page.get_by_text("(ipykernel) | Idle").wait_for(timeout=60_000)
    page.locator('.lm-MenuBar-item:has-text("Run")').click()
    page.locator('[data-command="runmenu:run-all"]').click()
    page.get_by_role("slider", name="Playhead").wait_for(timeout=120_000)
    return page


def say(page: Page, code: str) -> str:
    """Run code in the last cell of a notebook; what it returns."""
    cell = page.locator(".jp-Notebook .jp-Cell").last
    ran = cell.locator(".jp-InputPrompt").inner_text()
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(code)
    page.keyboard.press("Control+Enter")
    expect(cell.locator(".jp-InputPrompt")).not_to_have_text(ran)
    expect(cell.locator(".jp-InputPrompt")).not_to_contain_text("*", timeout=60_000)
    return "\n".join(cell.locator(".jp-OutputArea-output").all_inner_texts())

"""Finds a Chromium that runs, for the browser tests; with ``--install``, gets one if there is none. Prints its path."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
APPLICATIONS = ("Google Chrome", "Chromium", "Microsoft Edge")


@cache
def find() -> str | None:
    """Path of a browser that runs: ``$CHROMIUM``, an installed one, or one that Playwright downloaded."""
    return next(filter(_runs, _candidates()), None)


def install() -> str | None:
    """Get a browser: Debian's own where we may install packages, else Playwright's."""
    if _is_debian() and hasattr(os, "geteuid") and os.geteuid() == 0:
        _call("apt-get", "update", "-qq")
        _call("apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium")
    else:
        _call(sys.executable, "-m", "playwright", "install", "chromium")
    find.cache_clear()
    return find()


def _candidates() -> Iterator[str]:
    chosen = os.environ.get("CHROMIUM")
    if chosen:
        yield chosen
        return
    yield from filter(None, map(shutil.which, NAMES))
    for name in APPLICATIONS:
        yield f"/Applications/{name}.app/Contents/MacOS/{name}"
    for folder in _playwright_folders():
        for program in ("chrome", "Chromium", "Google Chrome for Testing", "chrome.exe"):
            yield from map(str, sorted(folder.glob(f"chromium-*/chrome-*/**/{program}"), reverse=True))


def _playwright_folders() -> list[Path]:
    """Where Playwright keeps its browsers, on Linux, macOS and Windows."""
    own = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    caches = (".cache", "Library/Caches", "AppData/Local")
    return [Path(own)] if own else [Path.home() / folder / "ms-playwright" for folder in caches]


def _runs(path: str) -> bool:
    """Whether it starts: what is called chromium may be a note that says how to install one."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _is_debian() -> bool:
    try:
        return "\nID=debian\n" in "\n" + Path("/etc/os-release").read_text(encoding="utf-8")
    except OSError:
        return False


def _call(*command: str) -> None:
    """Run an installer; its own words go to the error stream, so that only the path is printed."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(command, stdout=sys.stderr, env=environment, check=False)


def main(arguments: list[str]) -> int:
    """Print the path; status 1 with a sentence if there is none."""
    path = find() or (install() if "--install" in arguments else None)
    if path is None:
        print("No Chromium or Chrome was found: install one, or set CHROMIUM to its path.", file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A class of thirty: how long after a step of the teacher it is on every follower's screen, and what a follower costs.

    python -m benchmarks.classroom [FOLLOWERS]

The teacher is a page in Chromium, and so are three of the followers: their time ends with the frame after the step was
drawn. The others are websockets whose time ends when the step has arrived; all share this machine with the server.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page
from tornado.websocket import websocket_connect

from scripts.driving import DESKTOP, PHONE, chromium, opened, served

PORT = 5690
SCREENS = 3
FIRST = 3
STEPS = 40
SETTLED_MS = 6000
PAUSE_MS = 250
BAR_MS = 500

_TEACHER = """(root) => {
  window.moved = [];
  root.explorer.store.subscribe((changed, state) => {
    if (changed.has("position")) window.moved.push([state.position, performance.timeOrigin + performance.now()]);
  });
}"""
_FOLLOWER = """() => {
  window.seen = [];
  const painted = (does) => requestAnimationFrame(() => requestAnimationFrame(does));
  window.follower.graph.store.subscribe((changed, { position }) => {
    if (!changed.has("position")) return;
    painted(() => window.seen.push([position, performance.timeOrigin + performance.now()]));
  });
}"""


class Sockets:
    """Followers without a screen, in a thread of their own."""

    def __init__(self, url: str, code: str, count: int) -> None:
        self.seen: list[list[tuple[int, float]]] = [[] for _ in range(count)]
        self.ready = threading.Event()
        self._address = f"ws{url.removeprefix('http')}join/follow?code={code}&me="
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._follow(),), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave the class."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    async def _follow(self) -> None:
        self._over = asyncio.Event()
        sockets = [await websocket_connect(f"{self._address}{number}") for number in range(len(self.seen))]
        reading = [asyncio.ensure_future(self._read(*each)) for each in zip(sockets, self.seen, strict=True)]
        self.ready.set()
        await self._over.wait()
        for socket in sockets:
            socket.close()
        await asyncio.gather(*reading)

    async def _read(self, socket: Any, seen: list[tuple[int, float]]) -> None:
        while (text := await socket.read_message()) is not None:
            arrived = 1000 * time.time()
            position = (json.loads(text).get("at") or {}).get("position")
            if position is not None:
                seen.append((position, arrived))


@contextmanager
def following(url: str, code: str, count: int) -> Iterator[Sockets]:
    """So many followers without a screen, until the block ends."""
    sockets = Sockets(url, code, count)
    try:
        assert sockets.ready.wait(60)
        yield sockets
    finally:
        sockets.close()


def open_class(teacher: Page) -> str:
    """Open a class on a page; its code."""
    teacher.get_by_role("button", name="Class", exact=True).click()
    code = teacher.locator("p.code").inner_text()
    teacher.get_by_role("button", name="Hide", exact=True).first.click()
    return code


def joined(page: Page, url: str, code: str) -> Page:
    """A page that follows."""
    page.goto(f"{url}join?code={code}")
    page.get_by_role("slider", name="Playhead").wait_for(timeout=60_000)
    page.evaluate(_FOLLOWER)
    return page


def step(teacher: Page, steps: int) -> dict[int, float]:
    """Have the teacher walk; when each position was reached."""
    teacher.locator(".root:has(.explorer)").evaluate(_TEACHER)
    for _ in range(steps):
        teacher.keyboard.press("ArrowRight")
        teacher.wait_for_timeout(PAUSE_MS)
    teacher.wait_for_timeout(1000)
    return dict(teacher.evaluate("window.moved"))


def delays(moved: dict[int, float], seen: list[list[tuple[int, float]]]) -> list[float]:
    """Milliseconds from each step of the teacher to each follower; a step that never came counts as endless."""
    return [dict(each).get(position, float("inf")) - at for each in seen for position, at in moved.items()]


def resident(port: int) -> float:
    """MiB that the server on a port keeps in memory."""
    for folder in Path("/proc").glob("[0-9]*"):
        words = (folder / "cmdline").read_bytes().split(b"\0") if (folder / "cmdline").exists() else []
        if b"--port" in words and str(port).encode() in words:
            status = (folder / "status").read_text()
            return int(status.split("VmRSS:")[1].split()[0]) / 1024
    return float("nan")


def main(count: int) -> None:
    """Measure, and print."""
    with served(port=PORT) as url, chromium() as browser:
        teacher = opened(browser.new_context(viewport=DESKTOP, reduced_motion="reduce").new_page(), url)
        teacher.keyboard.press("Escape")
        teacher.get_by_role("button", name="Operation").click()
        code = open_class(teacher)
        with following(url, code, FIRST):
            teacher.wait_for_timeout(SETTLED_MS)  # what the page itself still compiles and proves is there now
            before = resident(PORT)
        with following(url, code, count - SCREENS) as sockets:
            teacher.wait_for_timeout(SETTLED_MS)
            after = resident(PORT)
            screens = [joined(browser.new_context(viewport=PHONE).new_page(), url, code) for _ in range(SCREENS)]
            moved = step(teacher, STEPS)
            there = delays(moved, [[tuple(pair) for pair in page.evaluate("window.seen")] for page in screens])
            arrived = delays(moved, sockets.seen)
    print(f"{count} followers, {len(moved)} steps of the teacher, one every {PAUSE_MS} ms")
    for name, found in (("on a screen", there), ("arrived", arrived)):
        middle, late = statistics.median(found), statistics.quantiles(found, n=20)[-1]
        print(f"{name:12} median {middle:5.0f} ms   p95 {late:5.0f} ms   (bar {BAR_MS} ms)")
    print(f"a follower costs the server {1024 * (after - before) / (count - SCREENS - FIRST):.0f} KiB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)

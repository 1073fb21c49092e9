"""The training room at full speed: steps a second, pictures a second, and how long a click waits meanwhile.

Run: ``python -m benchmarks.live``. The network is of the default size of TensorFlow Playground (two inputs, two hidden
layers, here of 4 units each, batches of 10 of 250 examples) on the spiral. The window is so tall that the graph and all
gradient plots are in sight. A click is one on *Operation* or *Layer*, which the server answers with a new scene and the
numbers in it; the clock stops when the browser has painted it. Pictures are those that it paints of the plots.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

from scripts.driving import chromium, opened, served

TALL = {"width": 1280, "height": 1900}
SECONDS = 20
CLICKS = 40
PLAYGROUND = 24.6
"""Epochs of 250 examples a second that the Playground's own ``nn.ts`` trains, with its picture, on such a machine."""

SETTINGS = {"task": "spiral", "depth": "2", "width": "4", "batch": "10", "rate": "0.03"}

PAINTED = "new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
"""Kept when what was drawn before is painted: a task of its own after the frame."""

COUNT = """root => {
  let waits = false;
  window.pictures = 0;
  root.room.room.subscribe((changed) => {
    if (!changed.has("run") || waits) return;
    waits = true;
    requestAnimationFrame(() => setTimeout(() => ((waits = false), (window.pictures += 1))));
  });
}"""

CLICK = f"""async ([root]) => {{
  const store = root.explorer.store;
  const wanted = store.state.granularity === "layer" ? "Operation" : "Layer";
  const button = [...root.querySelectorAll("button")].find((own) => own.textContent === wanted);
  const start = performance.now();
  const drawn = new Promise((done) => store.subscribe((changed) => changed.has("scene") && done()));
  button.click();
  await drawn;
  await {PAINTED};
  return performance.now() - start;
}}"""


def measure() -> dict[str, Any]:
    """Train for some seconds, clicking now and then."""
    with served() as url, chromium() as browser:
        page = browser.new_page(viewport=TALL)
        graph = opened(page, url).locator(".root:has(.explorer)")
        for name, value in SETTINGS.items():
            _choose(page, name, value)
        page.get_by_role("button", name="Train", exact=True).click()
        page.get_by_role("button", name="Pause").wait_for(timeout=120_000)
        room = page.locator(".root:has(.room)")
        page.wait_for_timeout(2000)
        room.evaluate(COUNT)
        before, start = _step(room), time.monotonic()
        clicks = []
        handle = graph.element_handle()
        for _ in range(CLICKS):
            clicks.append(page.evaluate(CLICK, [handle]))
            page.wait_for_timeout(1000 * SECONDS / CLICKS)
        seconds = time.monotonic() - start
        return {
            "steps": (_step(room) - before) / seconds,
            "frames": page.evaluate("window.pictures") / seconds,
            "clicks": clicks,
        }


def _choose(page: Any, name: str, value: str) -> None:
    field = page.get_by_role("form", name="Set-up").locator(f"#{name}")
    if field.evaluate("own => own.tagName") == "SELECT":
        field.select_option(value)
    else:
        field.fill(value)
        field.press("Tab")
    page.wait_for_timeout(1500)


def _step(room: Any) -> int:
    return int(room.evaluate("root => root.room.state.run.last"))


def main() -> int:
    """Print what was measured; status 1 where it isn't as quick as it should be."""
    found = measure()
    epochs = found["steps"] * 10 / 250
    p95 = float(np.percentile(found["clicks"], 95))
    beside = f"{epochs / PLAYGROUND:.1f} x the Playground ({found['steps']:,.0f} steps)"
    print(f"training   {epochs:8.1f} epochs a second, {beside}")
    print(f"pictures   {found['frames']:8.1f} a second")
    print(f"a click    {np.median(found['clicks']):8.1f} ms median, {p95:.1f} ms p95")
    return int(epochs < PLAYGROUND or found["frames"] < 10 or p95 > 100)


if __name__ == "__main__":
    sys.exit(main())

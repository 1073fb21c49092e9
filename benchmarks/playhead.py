"""From a key to the painted step, measured inside the page, at 30, 300 and 3,000 visible nodes.

Run: ``python -m benchmarks.playhead [nodes …]``. A key is pressed at the start of a frame;
the clock stops when the browser has painted that frame. Nothing may go to the server meanwhile.
On a busy machine a part of the largest graph may take too long to lay out and be shown folded: the first column says
how many nodes were visible.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from scripts.driving import DESKTOP, chromium, opened, served

SIZES = (30, 300, 3000)
STEPS = 240
SETTLED_MS = 3000
FRAME_MS = 1000 / 60

MEASURE = """async ([steps, key]) => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const painted = () => new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve(performance.now());
    port2.postMessage(0);
  });
  const times = [];
  for (let i = 0; i < steps; i++) {
    await frame();
    const start = performance.now();
    window.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    times.push((await painted()) - start);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  return times;
}"""


COUNT = "(root) => root.explorer.store.state.scene.boxes.length"
READY = """(root) => {
  const { granularity, figures } = root.explorer.store.state;
  return granularity === "operation" && figures !== null;
}"""
COMPILED_SECONDS = 300


def measure(nodes: int) -> tuple[int, list[float], int]:
    """Visible nodes, milliseconds from key to paint, and how many messages went to the server."""
    with served(f"benchmarks.chains:nodes_{nodes}") as url, chromium() as browser:
        page = browser.new_page(viewport=DESKTOP)
        sent: list[object] = []
        page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
        view = opened(page, url).locator(".root:has(.explorer)")
        page.get_by_role("button", name="Operation").click()
        deadline = time.monotonic() + COMPILED_SECONDS
        while not view.evaluate(READY) and time.monotonic() < deadline:
            page.wait_for_timeout(200)
        page.wait_for_timeout(SETTLED_MS)
        page.keyboard.press("Home")
        sent.clear()
        times = [time for key in ("ArrowRight", "ArrowLeft") for time in page.evaluate(MEASURE, [STEPS, key])]
        return view.evaluate(COUNT), times, len(sent)


def main() -> int:
    """Print a row for each size; status 1 where a step takes longer than a frame or speaks to the server."""
    print(f"{'visible nodes':>13} {'median ms':>10} {'p95 ms':>8} {'worst ms':>9} {'messages':>9}")
    late = False
    for asked in [int(text) for text in sys.argv[1:]] or SIZES:
        nodes, times, messages = measure(asked)
        p95 = float(np.percentile(times, 95))
        print(f"{nodes:>13,} {np.median(times):>10.1f} {p95:>8.1f} {max(times):>9.1f} {messages:>9}", flush=True)
        late = late or p95 > FRAME_MS or messages > 0
    return int(late)


if __name__ == "__main__":
    sys.exit(main())

"""From the command to the first paint, beside the bare import of jax, optax, panel and bokeh in the same run.

Run: ``python -m benchmarks.cold_start [rounds]``. The shell of the page counts from its first contentful paint; the
graph from when the network is drawn. One round before the others warms the caches of files and compiled programs.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import Any

from scripts.driving import DESKTOP, chromium, opened, served

ROUNDS = 5
LIMIT = 1.5
IMPORTS = "import jax, optax, panel, bokeh, bokeh.plotting"
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"


def once(browser: Any) -> tuple[float, float, float]:
    """Seconds of the bare import, to the first paint, to the drawn graph."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
    bare = time.perf_counter() - start
    start = time.perf_counter()
    with served() as url:
        page = browser.new_page(viewport=DESKTOP)
        page.goto(url, wait_until="commit")
        committed = time.perf_counter() - start
        opened(page)
        drawn = time.perf_counter() - start
        painted = committed + page.evaluate(PAINTED)
        page.close()
    return bare, painted, drawn


def main() -> int:
    """Print each round and the medians; status 1 where the first paint comes later than the limit."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with chromium() as browser:
        once(browser)
        print(f"{'bare import s':>13} {'first paint':>12} {'graph drawn':>12}   (as multiples of the bare import)")
        found = []
        for _ in range(rounds):
            bare, painted, drawn = once(browser)
            found.append((painted / bare, drawn / bare))
            print(f"{bare:>13.2f} {painted / bare:>11.2f}× {drawn / bare:>11.2f}×", flush=True)
    paint, graph = (statistics.median(ratios) for ratios in zip(*found, strict=True))
    print(f"{'median':>13} {paint:>11.2f}× {graph:>11.2f}×")
    return int(paint > LIMIT)


if __name__ == "__main__":
    sys.exit(main())

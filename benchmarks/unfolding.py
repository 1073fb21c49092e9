"""On the page of a large model: opening and folding every scope, searching, fitting; from the key to the painted graph.

Run: ``nice python -m benchmarks.unfolding [resnet50 | gpt2 …]``. A headless Chromium walks all scopes, those within an
open one first, and folds each again behind it; then it searches for names spread over the whole graph, each time from
the folded graph, and fits it to the view. All the while the server compiles what is read, as it does for anybody.
Milliseconds: the median, the 95th percentile and the most. Status 1 where one in twenty takes more than a second.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from typing import Any

import engine
from benchmarks.large import named
from scripts.driving import DESKTOP, chromium, opened, served

MODELS = ("resnet50", "gpt2")
SEARCHES = 30
GOAL_MS = 1000.0

WALK = """async (root, { selected, key, shift, find }) => {
  const { store } = root.explorer;
  const frame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  if (selected) store.set({ selected });
  await frame();
  const before = store.state.scene;
  const start = performance.now();
  if (find) {
    const search = root.querySelector("input.search");
    search.value = find;
    search.dispatchEvent(new Event("change"));
  } else {
    dispatchEvent(new KeyboardEvent("keydown", { key, shiftKey: shift, bubbles: true }));
  }
  const came = () => find
    ? store.state.scene.boxes.some((box) => box.name === find && box.id === store.state.selected)
    : key !== "Enter" || store.state.scene !== before;
  while (!came()) {
    if (performance.now() - start > 30_000) throw new Error(`nothing came of ${find || selected}`);
    await new Promise((resolve) => setTimeout(resolve));
  }
  await frame();
  const there = new Set(before.boxes.map((box) => box.id));
  const news = store.state.scene.boxes.filter((box) => !there.has(box.id));
  const folds = news.filter((box) => box.opens).map((box) => box.id);
  return { spent: performance.now() - start, folds, inside: news[0]?.id };
}"""


REFOLD = """async (root, usual) => {
  const { store } = root.explorer;
  const folded = () => store.state.scene.boxes.filter((box) => box.opens).map((box) => box.id).join() === usual.join();
  if (!folded()) [...root.querySelectorAll("button")].find((button) => button.textContent === "Layer").click();
  while (!folded()) await new Promise((resolve) => setTimeout(resolve));
}"""


class Walker:
    """Keys pressed on a page, each with the milliseconds to what it shows."""

    def __init__(self, page: Any) -> None:
        self._view = page.locator(".root:has(.explorer)")

    def press(self, key: str, selected: str = "", shift: bool = False, find: str = "") -> dict[str, Any]:
        """What came of it."""
        given = {"key": key, "selected": selected, "shift": shift, "find": find}
        found: dict[str, Any] = self._view.evaluate(WALK, given)
        return found

    def folds(self) -> list[str]:
        """Those that are seen now."""
        text = "root => root.explorer.store.state.scene.boxes.filter((box) => box.opens).map((box) => box.id)"
        found: list[str] = self._view.evaluate(text)
        return found

    def refold(self, usual: list[str]) -> None:
        """Back to the graph as one first sees it."""
        self._view.evaluate(REFOLD, usual)

    def within(self, fold: str) -> Iterator[tuple[str, float]]:
        """Open one, all that are in it, and fold it again."""
        came = self.press("Enter", fold)
        yield "open a scope", came["spent"]
        for inner in came["folds"]:
            yield from self.within(inner)
        yield "fold it", self.press("Enter", came["inside"], shift=True)["spent"]


def measured(name: str, page: Any) -> Iterator[tuple[str, float]]:
    """Every kind of key, and what one of them took."""
    walker = Walker(page)
    usual = walker.folds()
    for fold in usual:
        yield from walker.within(fold)
    nodes = [node.name for node in engine.trace(named(name).loss, *named(name).given).nodes]
    for number in range(SEARCHES):
        walker.refold(usual)
        yield "search", walker.press("", find=nodes[number * len(nodes) // SEARCHES])["spent"]
    for _ in range(SEARCHES):
        yield "fit", walker.press("0")["spent"]


def main() -> int:
    """Each model asked for, or all."""
    worst = 0.0
    for name in [each for each in sys.argv[1:] if each in MODELS] or MODELS:
        with served(f"docs/large/{name}.py:loss", port=6401) as url, chromium() as browser:
            spent: dict[str, list[float]] = {}
            for kind, each in measured(name, opened(browser.new_page(viewport=DESKTOP), url)):
                spent.setdefault(kind, []).append(each)
        for kind, all in spent.items():
            late = statistics.quantiles(all, n=20)[-1]
            middle, most = statistics.median(all), max(all)
            print(f"{name:>9} {kind:<13} {len(all):4} ×  {middle:6.0f} {late:6.0f} {most:6.0f} ms", flush=True)
            worst = max(worst, late)
    return int(worst > GOAL_MS)


if __name__ == "__main__":
    sys.exit(main())

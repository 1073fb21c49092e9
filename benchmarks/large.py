"""Large graphs: from a function to its first picture, and unfolding level by level, beside ``dot`` on the flat graph.

Run: ``nice python -m benchmarks.large [resnet50 | gpt2 | equations …] [--page] [--compile]``. ResNet-50 and GPT-2 small
as published (``docs/large/``), traced from shapes alone, and 10,000 equations without a scope. Times are seconds of one
run. ``dot`` gets every operation as one flat graph, and a deadline; what it takes is stated over the first picture.
With ``--page`` a headless Chromium paints that picture, too; with ``--compile`` XLA compiles a step that is read as the
page reads it, and the same step bare, which takes a minute or two. Status 1 where a first picture takes more than a
second.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import numpy as np

import engine
from engine import profile
from engine.fold import Folded, fold, in_parts, layers, operations, tucked
from engine.graph import Graph
from explorer import dot
from explorer.dot_process import Bundled
from explorer.errors import LayoutTimeout
from explorer.geometry import Docks, Level
from explorer.layout import Layouts, fitting, lay_out
from explorer.room import WATCHED
from explorer.scene import scene, sizes
from explorer.steps import stops
from scripts.driving import DESKTOP, chromium, opened, served

MODELS = ("resnet50", "gpt2", "equations")
DEADLINE = 60.0
"""Seconds that ``dot`` gets for the flat graph."""
GOAL = 1.0
VIEW = (720.0, 440.0)

PAINT = """async (root, scene) => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  await frame();
  const start = performance.now();
  root.explorer.show(scene, null);
  await frame();
  return performance.now() - start;
}"""


def timed(does: Callable[[], Any]) -> tuple[Any, float]:
    """What it returns, and how many seconds it took."""
    start = time.perf_counter()
    found = does()
    return found, time.perf_counter() - start


class Drawing:
    """A traced function, and how it is drawn."""

    def __init__(self, graph: Graph, count: int, layouts: Layouts) -> None:
        self.parameters = graph.inputs[:count]
        self.hidden = tucked(graph, self.parameters)
        self.graph, self._layouts = in_parts(graph, hidden=self.hidden), layouts

    def draw(self, opened: frozenset[str]) -> tuple[Folded, dict[str, Any]]:
        """What is seen with these scopes open, as the browser is sent it."""
        folded = fold(self.graph, opened, self.hidden)
        layout = fitting(partial(lay_out, folded, sizes(folded), self._layouts), VIEW)
        drawn = scene(folded, layout, stops(folded, self.parameters), self.parameters)
        return folded, drawn.as_dict()

    def levels(self) -> Iterator[tuple[str, frozenset[str]]]:
        """Ever more scopes, level by level, as long as so many boxes can be painted."""
        depth = {scope.id: len(self.graph.ancestry(scope.id)) for scope in self.graph.scopes}
        everything = operations(self.graph)
        for level in range(1, 1 + max((depth[id] for id in everything), default=0)):
            yield f"{level} levels open", frozenset(id for id in everything if depth[id] <= level)


def flat(graph: Graph) -> str:
    """Every operation as a box of one graph, for ``dot``."""
    folded = fold(graph, (scope.id for scope in graph.scopes))
    names = {box.id: f"b{place}" for place, box in enumerate(folded.boxes)}
    wires = tuple((names[wire.source], names[wire.target], 1) for wire in folded.wires)
    return dot.level_text(Level(tuple(sizes(folded).values()), (Docks(),) * len(names), wires, 0, 0), "LR")


def by_dot(text: str, running: Bundled) -> float | None:
    """Seconds that ``dot`` takes; ``None`` where it takes more than :data:`DEADLINE`."""
    try:
        return timed(lambda: running.lay_out(text, DEADLINE))[1]
    except LayoutTimeout:
        return None


@dataclasses.dataclass(frozen=True)
class Program:
    """A program to be drawn."""

    name: str
    loss: Callable[..., Any]
    given: tuple[Any, ...]

    @property
    def parameters(self) -> list[Any]:
        """The leaves that are differentiated."""
        return jax.tree.leaves(self.given[0])


def named(name: str) -> Program:
    """One of ``docs/large/``, with what its loss is called on as shapes."""
    module = importlib.import_module(f"docs.large.{name}")
    return Program(name, module.loss, getattr(module, "traced_args", lambda: jax.eval_shape(module.loss_args))())


def measure(program: Program, running: Bundled, paint: Callable[[Any], float]) -> bool:
    """Print one program's times; whether the first picture came in time."""
    graph, traced = timed(lambda: engine.trace(program.loss, *program.given))
    numbers = sum(int(np.prod(leaf.shape)) for leaf in program.parameters)
    print(f"\n{program.name}: {len(graph.nodes):,} nodes, {len(graph.scopes)} scopes, {numbers:,} parameters")
    print(f"  trace              {traced:8.2f} s")
    drawing, parted = timed(lambda: Drawing(graph, len(program.parameters), Layouts(running)))
    (folded, drawn), took = timed(lambda: drawing.draw(layers(drawing.graph, drawing.hidden)))
    first = parted + took
    painted = first + paint(drawn)
    print(f"  first picture      {painted:8.2f} s  {len(folded.boxes)} boxes, {len(json.dumps(drawn)):,} bytes")
    for title, unfolded in drawing.levels():
        (folded, _), took = timed(partial(drawing.draw, unfolded))
        print(f"  {title:<18} {took:8.2f} s  {len(folded.boxes):,} boxes")
    alone = by_dot(flat(graph), running)
    least = "" if alone else "given up, more than "
    print(
        f"  dot, flat          {alone or DEADLINE:8.2f} s  {least}{(alone or DEADLINE) / first:.0f} × the first picture"
    )
    return painted <= GOAL


def compiled(program: Program) -> None:
    """Print how long XLA takes for a step that is read as the page reads it, over the bare one."""
    graph = engine.trace(program.loss, *program.given)
    nodes = profile.told(graph, graph.inputs[: len(program.parameters)], WATCHED)
    probe = engine.Probe(nodes, ("value", "grad"), "stats")
    kinds = {"bare": jax.value_and_grad(program.loss), "read": engine.value_and_grad(program.loss, probe=probe)}
    took = {kind: timed(jax.jit(fun).lower(*program.given).compile)[1] for kind, fun in kinds.items()}
    ratio = took["read"] / took["bare"]
    print(
        f"\n{program.name}: XLA takes {took['read']:.1f} s for a step that reads {len(nodes)} nodes, {ratio:.2f} × bare"
    )


@contextlib.contextmanager
def painter(wanted: bool) -> Iterator[Callable[[Any], float]]:
    """What paints a scene in a browser, and says how many seconds that took."""
    if not wanted:
        yield lambda drawn: 0.0
        return
    with served("docs/my_model.py:loss") as url, chromium() as browser:
        view = opened(browser.new_page(viewport=DESKTOP), url).locator(".root:has(.explorer)")
        yield lambda drawn: float(view.evaluate(PAINT, drawn)) / 1000


def main() -> int:
    """Measure what was asked for, or everything."""
    programs = [named(each) for each in sys.argv[1:] if each in MODELS] or list(map(named, MODELS))
    running = Bundled()
    running.warm()
    with contextlib.closing(running), painter("--page" in sys.argv) as paint:
        good = [measure(program, running, paint) for program in programs]
    for program in programs if "--compile" in sys.argv else ():
        compiled(program)
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())

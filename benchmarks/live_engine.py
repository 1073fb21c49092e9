"""How fast the training loop is on the Playground's default spiral, in as many pieces as a page shows.

Run: ``python -m benchmarks.live_engine [seconds]``. Two inputs, hidden layers of 4 and 2, tanh, batches of 10 of 250
points, rate 0.03. At each piece's end all layers are measured by statistics, and everything is recorded. The
Playground's own rate with its picture is 24.6 epochs of 250 points a second: 615 steps.
"""

from __future__ import annotations

import dataclasses
import sys
import time

import numpy as np

from engine.loop import MOST
from engine.runs import Run
from engine.tasks import Settings, problem
from engine.tasks.catalogue import Problem
from engine.tasks.data import spiral
from engine.tasks.models import init_mlp

PLAYGROUND = 24.6 * 250 / 10


def playground() -> Problem:
    """The Playground's first page."""
    given = spiral(250)
    made = problem(Settings(task="spiral", depth=2, width=4, batch=10, rate=0.03))
    orders = [np.random.default_rng(epoch).permutation(250).astype(np.int32) for epoch in range(100)]

    def rows(step: int) -> np.ndarray:
        return orders[step // 25 % 100][step % 25 * 10 :][:10]

    examples = (given.x, given.y)
    return dataclasses.replace(made, params=(init_mlp((2, 4, 2, 2), 0),), examples=examples, rows=rows)


def measured(nodes: tuple[str, ...] | None, piece: int, seconds: float) -> tuple[float, float]:
    """Steps and pieces a second, each piece with one reading."""
    run = Run(playground(), nodes=nodes, every=piece, test_every=2048)
    run.advance(2 * piece)
    start, first, pieces = time.perf_counter(), run.state.step, 0
    while time.perf_counter() - start < seconds:
        run.advance(piece)
        pieces += 1
    spent = time.perf_counter() - start
    return (run.state.step - first) / spent, pieces / spent


def main() -> None:
    seconds = float(sys.argv[1]) if sys.argv[1:] else 3.0
    print("watched      a piece of   steps/s   × the Playground   readings/s")
    for name, nodes in (("nothing", ()), ("everything", None)):
        for piece in (1, 64, MOST):
            steps, pieces = measured(nodes, piece, seconds)
            seen = pieces if nodes is None else 0
            print(f"{name:<10} {piece:6} steps {steps:9,.0f} {steps / PLAYGROUND:12.1f} {seen:16.0f}")


if __name__ == "__main__":
    main()

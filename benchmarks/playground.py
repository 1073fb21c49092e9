"""TensorFlow Playground's network on its first page, by its own arithmetic, in a browser: how long an epoch takes.

Run: ``python -m benchmarks.playground``. Two inputs, hidden layers of 4 and 2 and one output, all tanh; 250 points of
a spiral in batches of 10, rate 0.03, half the squared distance. ``playground.js`` is that arithmetic, unit by unit and
link by link, recording and drawing nothing. Before anything is timed, an epoch of it is compared with JAX.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine.tasks.plane import spiral
from scripts.driving import chromium

SIZES = (2, 4, 2, 1)
POINTS, BATCH, RATE = 250, 10, 0.03
CLOSE = 1e-4
"""How far parameters may be apart after an epoch: JAX's are in single precision."""

Array = Any
Params = list[dict[str, Array]]


def start() -> Params:
    """The first parameters, uniform in ±0.5 as the Playground draws them; biases of 0.1."""
    rng = np.random.default_rng(0)
    shapes = itertools.pairwise(SIZES)
    return [
        {"w": rng.uniform(-0.5, 0.5, shape).astype(np.float32), "b": np.full(shape[1], 0.1, np.float32)}
        for shape in shapes
    ]


def points() -> tuple[Array, Array]:
    """``(250, 2)`` points within ±6 and ``(250, 1)`` answers of ±1, mixed."""
    rng = np.random.default_rng(1)
    label = np.arange(POINTS) % 2
    x, order = spiral(rng, label, 0.0), rng.permutation(POINTS)
    return (6 * x[order]).astype(np.float32), (2.0 * label[order, None] - 1).astype(np.float32)


def loss(layers: Params, x: Array, y: Array) -> Array:
    """What the Playground's batch adds up, as a mean. Products this small are written out as sums: one loop with the
    tanh behind them, where a library of products would be called for eight numbers.
    """
    for layer in layers:
        x = jnp.tanh(jnp.sum(x[:, :, None] * layer["w"], axis=1) + layer["b"])
    return jnp.mean((x - y) ** 2) / 2


@contextlib.contextmanager
def trainer() -> Iterator[Callable[[int], float]]:
    """A function that trains so many epochs in the browser and returns the seconds that one took; until the block ends.

    The network goes on from call to call, and has been warmed up.
    """
    with chromium() as browser:
        page = browser.new_page()
        page.add_script_tag(content=Path(__file__).with_suffix(".js").read_text(encoding="utf-8"))
        page.evaluate("given => { window.given = given; window.layers = network(given); }", _given())
        page.evaluate("train(layers, given, 1)")
        _compare(page.evaluate("parameters(layers)"))
        page.evaluate("train(layers, given, 200)")
        yield lambda epochs: float(page.evaluate("epochs => train(layers, given, epochs)", epochs)) / epochs


def seconds_per_epoch(epochs: int = 200, rounds: int = 5) -> float:
    """The median over some rounds."""
    with trainer() as train:
        return statistics.median(train(epochs) for _ in range(rounds))


def _given() -> dict[str, Any]:
    x, y = points()
    layers = [{name: array.tolist() for name, array in layer.items()} for layer in start()]
    return {"layers": layers, "points": np.concatenate([x, y], axis=1).tolist(), "batch": BATCH, "rate": RATE}


def epoch() -> Params:
    """The parameters that JAX comes to after one epoch."""
    x, y = (part.reshape(-1, BATCH, part.shape[1]) for part in points())
    slopes, layers = jax.jit(jax.grad(loss)), start()
    for batch in zip(x, y, strict=True):
        layers = jax.tree.map(lambda own, slope: own - RATE * slope, layers, slopes(layers, *batch))
    return layers


def _compare(theirs: Any) -> None:
    """Whether the browser came to the same parameters.

    Raises:
        AssertionError: it didn't.
    """
    for mine, layer in zip(epoch(), theirs, strict=True):
        for name, array in mine.items():
            np.testing.assert_allclose(np.asarray(layer[name]), array, atol=CLOSE, err_msg=f"{name} after an epoch")


def main() -> int:
    """Print it."""
    found = seconds_per_epoch()
    print(f"Playground's arithmetic   {1e6 * found:9.0f} µs an epoch of {POINTS} points, {1 / found:,.0f} a second")
    return 0


if __name__ == "__main__":
    sys.exit(main())

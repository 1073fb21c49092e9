"""How what watching costs grows with the nodes of a program: a step, tracing it, and compiling it, bare and watched.

Run: ``nice python -m benchmarks.growth [NODES …]``: 100, 1,000 and 10,000 if none are given, minutes for XLA.
The program is rows of ten layers of 16 tanh units side by side. In one long chain all memory is used over again, and
XLA's CPU runtime orders each pair of uses: bare rows it compiles in less than half the time of a chain.

Seconds are CPU time of the process; those of a step on an accelerator, of the clock. ``step`` is what watching
everything by statistics adds to a step, ``trace`` what JAX and the engine take until XLA has the program, ``compile``
what XLA takes for it. To each is fitted the power of the number of nodes; status 1 where a step or a trace grows faster
than :data:`STRAIGHT`, and faster than the bare one.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax

import engine
from benchmarks.watching import STEPS, keep_memory, seconds
from benchmarks.workloads import Workload

NODES = (100, 1_000, 10_000)
DEEP, UNITS = 10, 16
IN_A_ROW = 2 * DEEP + 4
"""With the mean of squares, and the sum over rows."""
ROUNDS = 9
A_BLOCK = 20_000
"""Nodes in the steps that are timed together."""
STRAIGHT = 1.1
"""An exponent up to here is a straight line."""

Array = Any


def _loss(rows: list[list[Array]], x: Array) -> Array:
    ends = []
    for weights in rows:
        h = x
        for w in weights:
            h = jax.numpy.tanh(h @ w)
        ends.append(jax.numpy.mean(h * h))
    return sum(ends)


def program(nodes: int) -> Workload:
    """About so many operations."""
    rng = np.random.default_rng(0)
    size = (max(1, round(nodes / IN_A_ROW)), DEEP, UNITS, UNITS)
    weights = (rng.normal(size=size) / np.sqrt(UNITS)).astype(np.float32)
    batch = (rng.normal(size=(8, UNITS)).astype(np.float32),)
    return Workload(f"{nodes} nodes", _loss, [list(row) for row in weights], batch, optax.sgd(0.1), ())


@dataclasses.dataclass
class Step:
    """A compiled step, and what it took to make it."""

    compiled: Callable[..., Any]
    state: Any
    batch: Any
    trace: float
    compile: float

    def steps(self, count: int) -> None:
        """Take some and wait for the last."""
        for _ in range(count):
            params, memory, *rest = self.compiled(*self.state, *self.batch)
            self.state = params, memory
        jax.block_until_ready((self.state, rest))


def made(workload: Workload, kind: str) -> Step:
    """The step of a workload, bare or watching all."""
    batch = jax.device_put(workload.batch)
    state = jax.device_put((workload.params, workload.optimiser.init(workload.params)))
    start = time.process_time()
    lowered = jax.jit(STEPS[kind](workload)).lower(*state, *batch)
    traced = time.process_time()
    compiled = lowered.compile()
    step = Step(compiled, state, batch, traced - start, time.process_time() - traced)
    step.steps(2)
    return step


def measured(nodes: int) -> tuple[int, dict[str, float]]:
    """How many operations there are, and what they cost."""
    workload = program(nodes)
    graph = engine.trace(workload.loss, workload.params, *workload.batch)
    plain, all = made(workload, "bare"), made(workload, "all")
    count = max(1, A_BLOCK // nodes)
    rounds = [(seconds(plain, count) / count, seconds(all, count) / count) for _ in range(ROUNDS)]
    bare_s, added = (
        statistics.median(column) for column in zip(*((one, two - one) for one, two in rounds), strict=True)
    )
    costs = {"bare step": bare_s, "step": added, "bare trace": plain.trace, "trace": all.trace}
    return len(graph.nodes) - len(graph.inputs), costs | {"bare compile": plain.compile, "compile": all.compile}


def exponent(costs: dict[int, float]) -> float:
    """The power of the number of nodes that costs grow with."""
    return float(np.polyfit(np.log(list(costs)), np.log(list(costs.values())), 1)[0])


def main() -> int:
    """A line for each cost."""
    keep_memory()
    made(program(IN_A_ROW), "all").steps(1)  # what is loaded and built once
    found = dict(measured(int(nodes)) for nodes in sys.argv[1:] or NODES)
    powers = {}
    for name in next(iter(found.values())):
        spent = {nodes: costs[name] for nodes, costs in found.items()}
        powers[name] = exponent(spent)
        each = ", ".join(f"{nodes:,}: {1e3 * took:,.1f} ms" for nodes, took in spent.items())
        print(f"{name:>13}  nodes^{powers[name]:.2f}  {each}", flush=True)
    return int(any(powers[name] > max(STRAIGHT, powers[f"bare {name}"]) for name in ("step", "trace")))


if __name__ == "__main__":
    sys.exit(main())

"""What it costs to watch a training step by statistics, as multiples of the bare jitted step.

Run: ``nice python -m benchmarks.watching [workload …]``. Bare is ``jax.value_and_grad`` and the Optax update under one
``jax.jit``. Costs are CPU time of the whole process, all its threads, in blocks of steps that take turns; each figure
is the median over the rounds of its quotient with the bare block of the same round. The control is the bare step,
compiled once more.

Memory that a step gives back stays with the process: whether the C library returns it to the system, to be cleared page
by page at the next step, hangs on a few kilobytes more or less, and would be measured in place of the statistics.

``layers`` reads what each layer gives to the next, ``all`` every value and every gradient, at each step. ``page`` reads
all of them about ten times a second, at every k-th step (k in brackets), onto the host and into dictionaries, as the
page does. ``compile`` is tracing and compiling the step that watches all.
"""

from __future__ import annotations

import ctypes
import math
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import optax

import engine
from benchmarks.workloads import WORKLOADS, Workload

ROUNDS = 15
BLOCK_S = 0.15
"""CPU seconds of bare steps in a block."""
READINGS_A_SECOND = 10
GOALS = {"layers": 1.10, "all": 1.20, "page": 1.03, "compile": 1.5}
TRANSFORMER_ALL = 1.30
_TRIM_ABOVE, _MAP_ABOVE = -1, -3  # of mallopt

Array = Any


def bare(workload: Workload) -> Callable[..., Any]:
    """The step as one writes it."""

    def step(params: Any, memory: Any, *batch: Array) -> Any:
        loss, grads = jax.value_and_grad(workload.loss)(params, *batch)
        updates, memory = workload.optimiser.update(grads, memory, params)
        return optax.apply_updates(params, updates), memory, loss

    return step


def watched(workload: Workload, nodes: tuple[str, ...] | None) -> Callable[..., Any]:
    """The same with a reading beside it."""
    probe = engine.Probe(nodes=nodes, what=("value", "grad"), how="stats")

    def step(params: Any, memory: Any, *batch: Array) -> Any:
        loss, grads, reading = engine.value_and_grad(workload.loss, probe=probe)(params, *batch)
        updates, memory = workload.optimiser.update(grads, memory, params)
        return optax.apply_updates(params, updates), memory, loss, reading

    return step


def read(reading: engine.Reading) -> dict[str, Any]:
    """Every statistic, on the host."""
    reading = jax.device_get(reading)
    return {node.id: reading.stats(node.id) for node in reading.graph.nodes}


class Runner:
    """A compiled step and the state it has come to."""

    def __init__(self, workload: Workload, step: Callable[..., Any]) -> None:
        self.batch = jax.device_put(workload.batch)
        self.state = jax.device_put((workload.params, workload.optimiser.init(workload.params)))
        start = time.process_time()
        self.step = jax.jit(step).lower(*self.state, *self.batch).compile()
        self.compile_s = time.process_time() - start

    def advance(self) -> Any:
        """Take a step; what it returned besides the new state."""
        params, memory, *rest = self.step(*self.state, *self.batch)
        self.state = params, memory
        return rest

    def steps(self, count: int) -> None:
        """Take some and wait for the last."""
        for _ in range(count):
            rest = self.advance()
        jax.block_until_ready((self.state, rest))


class Page:
    """A bare step and a watched one in turn, each k-th read."""

    def __init__(self, plain: Runner, all: Runner, every: int) -> None:
        self.plain, self.all, self.every = plain, all, every

    def steps(self, count: int) -> None:
        """Take some, a multiple of ``every``."""
        for _ in range(count // self.every):
            if self.every > 1:
                self.plain.steps(self.every - 1)
            read(self.all.advance()[-1])


def seconds(runner: Any, count: int, clock: Callable[[], float] = time.process_time) -> float:
    """What some steps take."""
    start = clock()
    runner.steps(count)
    return clock() - start


def compiled(workload: Workload) -> tuple[dict[str, Runner], float]:
    """The steps to compare, and how many times as long the one that watches all took to compile."""
    steps = {"bare": bare, "control": bare, "layers": lambda w: watched(w, w.layers), "all": lambda w: watched(w, None)}
    runners = {name: Runner(workload, make(workload)) for name, make in steps.items()}
    for runner in runners.values():
        runner.steps(3)
    return runners, runners["all"].compile_s / runners["control"].compile_s


def measured(workload: Workload) -> dict[str, float]:
    """The figures of a row."""
    runners, compile_ratio = compiled(workload)
    alone = statistics.median(seconds(runners["bare"], 20, time.perf_counter) / 20 for _ in range(5))
    every = max(1, math.ceil(1 / READINGS_A_SECOND / alone))
    count = every * math.ceil(BLOCK_S / alone / every)
    contestants: dict[str, Any] = runners | {"page": Page(runners["control"], runners["all"], every)}
    rounds = []
    for number in range(ROUNDS):
        order = sorted(contestants, key=lambda name: hash((name, number)))
        rounds.append({name: seconds(contestants[name], count) / count for name in order})
    found = {name: statistics.median(one[name] / one["bare"] for one in rounds) for name in contestants}
    bare_s = statistics.median(one["bare"] for one in rounds)
    return found | {"bare": bare_s * 1e3, "compile": compile_ratio, "every": every}


def keep_memory() -> None:
    """Have the C library keep what is freed; elsewhere than on Linux nothing changes."""
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        for option, size in ((_TRIM_ABOVE, 2**30), (_MAP_ABOVE, 2**25)):
            library.mallopt(option, size)


def main() -> int:
    """A row for each workload; status 1 where a goal is missed."""
    keep_memory()
    asked = sys.argv[1:]
    print(f"{'':>14} {'bare ms':>8} {'control':>8} {'layers':>7} {'all':>6} {'page':>14} {'compile':>8}")
    missed = False
    for make in WORKLOADS:
        if asked and make.__name__ not in asked:
            continue
        row = measured(make())
        page = f"{row['page']:.2f} ({row['every']:.0f})"
        print(
            f"{make.__name__:>14} {row['bare']:>8.3f} {row['control']:>7.2f}× {row['layers']:>6.2f}× "
            f"{row['all']:>5.2f}× {page:>14} {row['compile']:>7.1f}×",
            flush=True,
        )
        missed = missed or any(row[name] > limit for name, limit in goals(make.__name__).items())
    return int(missed)


def goals(name: str) -> dict[str, float]:
    """The most that each figure may be."""
    if name != "transformer":
        return GOALS
    others = {
        what: goal for what, goal in GOALS.items() if what != "page"
    }  # its step takes longer than a reading waits
    return others | {"all": TRANSFORMER_ALL}


if __name__ == "__main__":
    sys.exit(main())

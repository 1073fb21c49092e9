"""What ``explorer.watch`` costs a training loop, as a multiple of the same loop without it.

Run: ``nice python -m benchmarks.watched_loop [workload …]``. The watched loop is sampled every ten steps, its page is
served by the process that ``watch`` starts, and nobody has it open. Costs are CPU time of this process, all its threads
(of the clock where an accelerator computes), in blocks of steps that take turns; each figure is the median over the
rounds of its quotient with the bare block of the same round. The control is the bare step, compiled once more. The last
column says whether the parameters at the end are those of the bare loop, bit for bit or to rounding (README says when).
Status 1 where a goal is missed.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax

import explorer
from benchmarks.watching import seconds
from benchmarks.workloads import Workload, digits, transformer

ROUNDS = 15
EVERY = 10
BLOCK_S = 0.5
"""Seconds of bare steps in a block, at least."""
GOAL = 1.02
WORKLOADS = (digits, transformer)

Array = Any


def step_of(workload: Workload, value_and_grad: Callable[..., Any]) -> Callable[..., Any]:
    """The step as one writes it."""

    def step(params: Any, memory: Any, *batch: Array) -> Any:
        loss, grads = value_and_grad(params, *batch)
        updates, memory = workload.optimiser.update(grads, memory, params)
        return optax.apply_updates(params, updates), memory, loss

    return step


class Loop:
    """A compiled step and the state it has come to."""

    def __init__(self, workload: Workload, step: Callable[..., Any]) -> None:
        self.batch = jax.device_put(workload.batch)
        self.state = jax.device_put((workload.params, workload.optimiser.init(workload.params)))
        self.step = step

    def steps(self, count: int) -> None:
        """Take some and wait for the last."""
        for _ in range(count):
            *state, _ = self.step(*self.state, *self.batch)
            self.state = tuple(state)
        jax.block_until_ready(self.state)


def measured(workload: Workload, watcher: Any) -> dict[str, float]:
    """The figures of a row."""
    bare = step_of(workload, jax.value_and_grad(workload.loss))
    watched = watcher.jit(step_of(workload, watcher.value_and_grad))
    loops = {name: Loop(workload, jax.jit(bare)) for name in ("bare", "control")} | {"watched": Loop(workload, watched)}
    for loop in loops.values():
        loop.steps(2 * EVERY + 1)  # until all programs are compiled
    alone = seconds(loops["bare"], EVERY, time.perf_counter) / EVERY
    loops["control"].steps(EVERY), loops["watched"].steps(EVERY)
    count = EVERY * max(1, round(BLOCK_S / alone / EVERY))
    rounds = []
    for number in range(ROUNDS):
        order = sorted(loops, key=lambda name: hash((name, number)))
        rounds.append({name: seconds(loops[name], count) / count for name in order})
    leaves = zip(*(jax.tree.leaves(loops[name].state) for name in ("watched", "bare")), strict=True)
    same = all(np.array_equal(mine, wanted) for mine, wanted in leaves)
    found = {name: statistics.median(one[name] / one["bare"] for one in rounds) for name in loops}
    return found | {"ms": statistics.median(one["bare"] for one in rounds) * 1e3, "same": same}


def main() -> int:
    """A row for each workload; status 1 where the goal is missed."""
    asked = sys.argv[1:]
    missed = False
    print(f"{'':>14} {'bare ms':>8} {'control':>8} {'watched':>8}")
    for make in WORKLOADS:
        if asked and make.__name__ not in asked:
            continue
        workload = make()
        with explorer.watch(workload.loss, every=EVERY, browser=False) as watcher:
            print(f"{make.__name__:>14} ", end="", flush=bool(watcher.url))
            row = measured(workload, watcher)
            assert watcher.alive
        bits = "same bits" if row["same"] else "rounded"
        print(f"{row['ms']:>7.3f} {row['control']:>7.3f}× {row['watched']:>7.3f}×  {bits}", flush=True)
        missed = missed or row["watched"] > GOAL
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())

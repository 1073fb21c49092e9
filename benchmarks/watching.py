"""What it costs to watch a training step by statistics, as multiples of the bare jitted step.

Run: ``nice python -m benchmarks.watching [workload …]``. Bare is ``jax.value_and_grad`` and the Optax update under one
``jax.jit``. Costs are CPU time of the whole process, all its threads (of the clock where an accelerator computes), in
blocks of steps that take turns; each figure is the median over the rounds of its quotient with blocks as long of the
bare step, each right before it, for a machine's speed changes within seconds. How a program's memory comes to lie
differs each time that it is compiled, and makes a small step up to a tenth slower: each step is compiled :data:`TWINS`
times, a short one :data:`MANY` times, and its time is the mean of all of them. The control is the bare step beside
itself.

Memory that a step gives back stays with the process: whether the C library returns it to the system, to be cleared page
by page at the next step, hangs on a few kilobytes more or less, and would be measured in place of the statistics.

``layers`` reads what each layer gives to the next, ``all`` every value and every gradient, at each step. Part of it is
work that a bare step never does, the gradient of the data: ``data`` is the bare step that returns it too, unwatched. In
brackets is the floor of ``all``: that, and the time in which each array that is measured is read once (on a CPU).
``page`` reads all of them ten times a second, at every k-th step (k in brackets; 1 where a step takes a tenth of a
second), onto the host and into dictionaries. ``watch`` is the same as often as :func:`explorer.watch`
goes on to look: at every tenth step, and no more than 2.5 times a second. ``full`` returns
every array whole; in brackets its floor, a bare step and the time in which one thread writes as many bytes. ``scan`` is
a step that is watched in full inside a ``lax.scan`` over ten, as a multiple of a bare one dispatched from Python; its
convolutions are straightened (:mod:`engine.convolutions`).
``compile`` is tracing and compiling the step that watches all. ``kernels`` are the fusions and calls that XLA makes of
the bare step, and of the one that watches all: each array that is read, and that a bare step keeps in registers, takes
one more to be compiled, and to be run. How costs grow with the nodes, :mod:`benchmarks.growth` measures.
"""

from __future__ import annotations

import ctypes
import math
import statistics
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

import engine
from benchmarks.workloads import WORKLOADS, Workload
from engine import devices, kernel, sampling

ROUNDS = 15
TWINS, MANY = 3, 7
SHORT_S = 1e-3
BLOCK_S = 0.15
"""CPU seconds of bare steps in a block; the twins share it."""
READINGS_A_SECOND = 10
TENTH = 10
"""Every so many-th step is read by a watcher, at most."""
SCANNED = 10
WRITTEN = 1 << 26
"""Bytes by which the memory's bandwidth is measured."""
GOALS = {"layers": 1.05, "all": 1.20, "page": 1.03, "watch": 1.03, "scan": 1.0, "compile": 1.5}
TRANSFORMER_ALL = 1.30
ACCELERATED = 1.05
"""The most that watching costs on an accelerator, however much is watched."""
_TRIM_ABOVE, _MAP_ABOVE = -1, -3  # of mallopt

Array = Any


def bare(workload: Workload) -> Callable[..., Any]:
    """The step as one writes it."""

    def step(params: Any, memory: Any, *batch: Array) -> Any:
        loss, grads = jax.value_and_grad(workload.loss)(params, *batch)
        updates, memory = workload.optimiser.update(grads, memory, params)
        return optax.apply_updates(params, updates), memory, loss

    return step


def with_data(workload: Workload) -> Callable[..., Any]:
    """The same, with the gradients of the data that has any."""
    floats = [number for number, part in enumerate(workload.batch, 1) if np.issubdtype(part.dtype, np.floating)]

    def step(params: Any, memory: Any, *batch: Array) -> Any:
        loss, (grads, *data) = jax.value_and_grad(workload.loss, argnums=(0, *floats))(params, *batch)
        updates, memory = workload.optimiser.update(grads, memory, params)
        return optax.apply_updates(params, updates), memory, loss, data

    return step


def scanned(workload: Workload) -> Callable[..., Any]:
    """Some steps in one, each watched in full."""
    once = engine.straightened(watched(workload, None))

    def step(params: Any, memory: Any, *batch: Array) -> Any:
        def body(state: Any, _: None) -> Any:
            params, memory, *rest = once(*state, *batch)
            return (params, memory), rest

        (params, memory), rest = lax.scan(body, (params, memory), length=SCANNED)
        return params, memory, *rest

    return step


def watched(workload: Workload, nodes: tuple[str, ...] | None, how: str = "stats") -> Callable[..., Any]:
    """The same with a reading beside it."""
    probe = engine.Probe(nodes=nodes, what=("value", "grad"), how=how)

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

    @property
    def kernels(self) -> int:
        """Fusions and calls of the compiled program; those of a loop's body once."""
        text = self.step.as_text()
        return sum(text.count(f" {name}(") for name in ("fusion", "custom-call"))

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


class Scan(Runner):
    """Steps that are taken several by one call."""

    def steps(self, count: int) -> None:
        """Take some, a multiple of :data:`SCANNED`."""
        super().steps(count // SCANNED)


def on_cpu() -> bool:
    """Whether the steps run on a CPU, whose time the process counts."""
    return jax.default_backend() == "cpu"


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


def seconds(runner: Any, count: int, clock: Callable[[], float] | None = None) -> float:
    """What some steps take."""
    clock = clock or (time.process_time if on_cpu() else time.perf_counter)
    start = clock()
    runner.steps(count)
    return clock() - start


def alone(runner: Runner) -> float:
    """What a step takes, by the clock."""
    return statistics.median(seconds(runner, 2, time.perf_counter) / 2 for _ in range(20))


STEPS: dict[str, Callable[[Workload], Callable[..., Any]]] = {
    "bare": bare,
    "layers": lambda workload: watched(workload, workload.layers),
    "data": with_data,
    "all": lambda workload: watched(workload, None),
    "full": lambda workload: watched(workload, None, "full"),
}


def compiled(workload: Workload) -> dict[str, list[Any]]:
    """The steps to compare, each with its twins."""
    count = MANY if alone(Runner(workload, bare(workload))) < SHORT_S else TWINS
    runners: dict[str, list[Any]] = {
        name: [Runner(workload, make(workload)) for _ in range(count)] for name, make in STEPS.items()
    }
    runners["scan"] = [Scan(workload, scanned(workload)) for _ in range(count)]
    for name, twins in runners.items():
        for runner in twins:
            runner.steps(SCANNED if name == "scan" else 2)
    return runners


def measured(workload: Workload) -> dict[str, Any]:
    """The figures of a row."""
    runners = compiled(workload)
    each = alone(runners["bare"][0])
    pages = {
        "page": math.ceil(1 / READINGS_A_SECOND / each),
        "watch": max(TENTH, math.ceil(1 / sampling.A_SECOND / each)),
    }
    pairs = list(zip(runners["bare"], runners["all"], strict=True))
    contestants = runners | {name: [Page(*pair, k) for pair in pairs] for name, k in pages.items()}
    units = pages | {"scan": SCANNED}
    block = BLOCK_S / len(pairs) / each
    counts = {name: units.get(name, 1) * math.ceil(block / units.get(name, 1)) for name in contestants}
    rounds = []
    for number in range(ROUNDS):
        order = sorted(contestants, key=lambda name: hash((name, number)))
        rounds.append({name: beside(runners["bare"], contestants[name], counts[name]) for name in order})
    found = {name: statistics.median(own / bare for own, bare in (one[name] for one in rounds)) for name in contestants}
    bare_s = statistics.median(bare for one in rounds for _, bare in one.values())
    last = {name: runners[name][0].advance()[-1] for name in ("all", "full")}
    written = sum(leaf.nbytes for leaf in jax.tree.leaves(last["full"]))
    compile_s = {name: statistics.mean(twin.compile_s for twin in runners[name]) for name in ("bare", "all")}
    return found | {
        "ms": bare_s * 1e3,
        "control": found["bare"],
        "floor": 1 + written / bandwidth() / bare_s if on_cpu() else math.nan,
        "least": found["data"] + reading_s(last["all"]) / bare_s if on_cpu() else math.nan,
        "compile": compile_s["all"] / compile_s["bare"],
        "every": pages["page"],
        "kernels": [runners[name][0].kernels for name in ("bare", "all")],
    }


def beside(bare: list[Any], twins: list[Any], count: int) -> tuple[float, float]:
    """What a step takes on the mean of its twins, and a bare one, each measured right before."""
    pairs = [(seconds(one, count) / count, seconds(own, count) / count) for one, own in zip(bare, twins, strict=True)]
    return statistics.mean(own for _, own in pairs), statistics.mean(one for one, _ in pairs)


def _each(tables: list[Array]) -> Array:
    return kernel.measure(tables, [1] * len(tables))


@cache
def bandwidth() -> float:
    """Bytes that one thread writes in a second, into memory that it had before."""
    there = np.ones(WRITTEN, np.uint8)
    times = []
    for _ in range(9):
        start = time.process_time()
        there.fill(2)
        times.append(time.process_time() - start)
    return WRITTEN / statistics.median(times)


def reading_s(reading: engine.Reading) -> float:
    """CPU seconds in which arrays like those that a reading measures are read once, each by the one-pass library."""
    nodes = {piece: reading.graph.node(id) for (_, id), piece in reading.outline.layout}
    sizes = [(math.prod(node.iterations), math.prod(node.shape)) for node in nodes.values()]
    tables = [jnp.asarray(np.random.default_rng(0).normal(size=size).astype(np.float32)) for size in sizes]
    calls = [jax.jit(fun) for fun in (_each, lambda tables: tables[0][0, :7])]  # the second only to be called
    times: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for call, own in zip(calls, times, strict=True):
            jax.block_until_ready(call(tables))
            start = time.process_time()
            for _ in range(9):
                jax.block_until_ready(call(tables))
            own.append((time.process_time() - start) / 9)
    return statistics.median(times[0]) - statistics.median(times[1])


def keep_memory() -> None:
    """Have the C library keep what is freed; elsewhere than on Linux nothing changes."""
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        for option, size in ((_TRIM_ABOVE, 2**30), (_MAP_ABOVE, 2**25)):
            library.mallopt(option, size)


HEAD = ("bare ms", "control", "layers", "data", "all", "page", "watch", "full", "scan", "compile")


def main() -> int:
    """A row for each workload; status 1 where a goal is missed."""
    keep_memory()
    asked = sys.argv[1:]
    print(devices.sentence())
    print(f"{'':>11}" + "".join(f"{name:>13}" for name in (*HEAD, "kernels")))
    missed = False
    for make in WORKLOADS:
        if asked and make.__name__ not in asked:
            continue
        row = measured(make())
        texts = {"bare ms": f"{row['ms']:.3f}"} | {name: f"{row[name]:.2f}×" for name in HEAD[1:]}
        for name, number in (("all", row["least"]), ("page", row["every"]), ("full", row["floor"])):
            texts[name] += "" if math.isnan(number) else f" ({number:.{0 if name == 'page' else 2}f})"
        texts["kernels"] = "{} -> {}".format(*row["kernels"])
        print(f"{make.__name__:>11}" + "".join(f"{text:>13}" for text in texts.values()), flush=True)
        missed = missed or any(row[name] > limit for name, limit in goals(make.__name__).items())
    return int(missed)


def goals(name: str) -> dict[str, float]:
    """The most that each figure may be."""
    if not on_cpu():
        return GOALS | dict.fromkeys(("layers", "all", "page", "watch"), ACCELERATED)
    return GOALS | {"all": TRANSFORMER_ALL} if name == "transformer" else GOALS


if __name__ == "__main__":
    sys.exit(main())

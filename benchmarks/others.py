"""What recording a training step costs with other tools, beside this one: each tool's own step, bare and recorded.

Run: ``nice python -m benchmarks.others [workload …]``. What isn't installed is said, and left out; ``pip install
'backprop-explorer[compare]'`` brings it. The computation is the same everywhere, which is checked by the loss at the
start where the parameters are. ``bare`` is the tool's step that trains; ``recorded`` the same with everything kept that
the tool can keep: values and gradients of every operation (ours, TorchLens, micrograd), of every module (hooks of
PyTorch, Flax). ``ratio`` is recorded over bare, ``ours`` our step with full values over theirs. Of the
Playground's own arithmetic, which records nothing, an epoch of 25 steps on its own network is compared with ours,
in one compiled loop, with every value and gradient of every step kept: by statistics, and in full.

Costs are CPU time of the process, all its threads (of the clock where an accelerator computes, and beside a browser),
medians of blocks that take turns; of the Playground the least.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import engine
from benchmarks import playground
from benchmarks.workloads import WORKLOADS, Workload
from engine import devices

ROUNDS = 7
BLOCK_S = 0.1
CLOSE = 1e-3
"""How far losses at the start may be apart, relative."""
STATS = "engine, statistics"

Array = Any
Take = Callable[[], Any]
Clock = Callable[[], float]


class Ours:
    """A jitted step and the state it has come to; with a probe, a reading beside it."""

    def __init__(self, workload: Workload, probe: engine.Probe | None = None) -> None:
        self.batch = jax.device_put(workload.batch)
        self.state = jax.device_put((workload.params, workload.optimiser.init(workload.params)))

        def step(state: Any, *batch: Array) -> Any:
            slope = (
                jax.value_and_grad(workload.loss)
                if probe is None
                else engine.value_and_grad(workload.loss, probe=probe)
            )
            loss, grads, *reading = slope(state[0], *batch)
            updates, memory = workload.optimiser.update(grads, state[1], state[0])
            return (optax.apply_updates(state[0], updates), memory), (loss, *reading)

        self.step = jax.jit(step)

    def __call__(self) -> Any:
        """Take it."""
        self.state, recorded = self.step(self.state, *self.batch)
        return jax.block_until_ready(recorded)


def ours(workload: Workload) -> dict[str, tuple[Take, Take]]:
    """Ours: everything in full, and everything by statistics; beside one bare step."""
    plain = Ours(workload)
    made = {how: Ours(workload, engine.Probe(None, ("value", "grad"), how)) for how in ("full", "stats")}
    return {"engine, full values": (plain, made["full"]), STATS: (plain, made["stats"])}


def of_pytorch(name: str, workload: Workload) -> dict[str, tuple[Take, Take]]:
    """PyTorch: hooks, and TorchLens where it is there too."""
    tool = importlib.import_module("benchmarks.beside.pytorch")
    plain = tool.Step(name, workload)
    _agrees(plain.loss(), workload)
    return {"PyTorch, hooks and retained gradients": (plain, tool.Hooked(name, workload))}


def of_torchlens(name: str, workload: Workload) -> dict[str, tuple[Take, Take]]:
    """TorchLens, beside PyTorch's bare step."""
    tool = importlib.import_module("benchmarks.beside.pytorch")
    return {"TorchLens": (tool.Step(name, workload), tool.Lens(name, workload))}


def of_flax(name: str, workload: Workload) -> dict[str, tuple[Take, Take]]:
    """Flax's two ways to see inside."""
    tool = importlib.import_module("benchmarks.beside.with_flax")
    plain = tool.Step(name, workload)
    _agrees(plain.loss(), workload)
    return {"Flax, capture_intermediates and perturb": (plain, tool.Kept(name, workload))}


def of_micrograd(name: str, workload: Workload) -> dict[str, tuple[Take, Take]]:
    """micrograd, whose step records in any case; for the smallest only."""
    if name != "spiral":
        return {}
    step = importlib.import_module("benchmarks.beside.scalars").Step(name, workload)
    _agrees(step.loss(), workload)
    return {"micrograd": (step, step)}


TOOLS: dict[str, tuple[tuple[str, ...], Callable[[str, Workload], dict[str, tuple[Take, Take]]]]] = {
    "PyTorch": (("torch", "torchlens"), of_pytorch),
    "TorchLens": (("torch", "torchlens"), of_torchlens),
    "Flax": (("flax",), of_flax),
    "micrograd": (("micrograd",), of_micrograd),
}
"""For each the libraries that it needs."""


def installed() -> list[str]:
    """The tools that are here; the others are named."""
    lacking = {
        tool: [name for name in needs if importlib.util.find_spec(name) is None] for tool, (needs, _) in TOOLS.items()
    }
    for tool, names in lacking.items():
        if names:
            print(
                f"{tool} isn't compared: {' and '.join(names)} not installed. pip install 'backprop-explorer[compare]'"
            )
    return [tool for tool, names in lacking.items() if not names]


def _agrees(loss: float, workload: Workload) -> None:
    """Whether another tool begins with the same loss.

    Raises:
        AssertionError: it doesn't, so it computes something else.
    """
    np.testing.assert_allclose(loss, float(workload.loss(workload.params, *workload.batch)), rtol=CLOSE)


def block(take: Take, count: int, clock: Clock) -> float:
    """Seconds that one of some steps takes, without those in which what others left behind is collected."""
    gc.collect()
    start = clock()
    for _ in range(count):
        take()
    return (clock() - start) / count


def timed(takes: list[Take]) -> list[float]:
    """For each the median over rounds in which all take turns."""
    clock = time.process_time if jax.default_backend() == "cpu" else time.perf_counter
    counts = []
    for take in takes:
        block(take, 2, clock)
        counts.append(max(1, int(BLOCK_S / max(block(take, 2, clock), 1e-6))))
    rounds = [[block(take, count, clock) for take, count in zip(takes, counts, strict=True)] for _ in range(ROUNDS)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def rows(name: str, workload: Workload, tools: list[str]) -> Iterator[tuple[str, float, float, float]]:
    """For each tool its name, seconds of its bare step and of its recorded one, and of ours with full values."""
    pairs = ours(workload)
    for tool in tools:
        pairs |= TOOLS[tool][1](name, workload)
    spent = timed([take for pair in pairs.values() for take in pair])
    mine = spent[1]
    for place, tool in enumerate(pairs):
        yield tool, spent[2 * place], spent[2 * place + 1], mine


def beside_playground() -> tuple[float, dict[str, float]]:
    """Seconds of an epoch by the Playground's arithmetic, and by ours with everything recorded, by how it is; and by
    XLA with nothing recorded.
    """
    epochs = {how: _our_epoch(how) for how in ("stats", "full", "bare")}
    with playground.trainer() as train:
        rounds = [
            (train(20), *(block(epoch, 20, time.perf_counter) for epoch in epochs.values())) for _ in range(5 * ROUNDS)
        ]
    theirs, *mine = map(min, zip(*rounds, strict=True))  # by the wall's clock, what else runs only adds
    return theirs, dict(zip(epochs, mine, strict=True))


def _our_epoch(how: str) -> Take:
    """One compiled loop over the batches of an epoch; every step's reading comes out of it, as one array."""
    slope: Callable[..., Any] = jax.value_and_grad(playground.loss)
    if how != "bare":
        slope = engine.value_and_grad(playground.loss, probe=engine.Probe(None, ("value", "grad"), how))
    batches = tuple(part.reshape(-1, playground.BATCH, part.shape[1]) for part in playground.points())

    def step(layers: Any, batch: Any) -> Any:
        loss, grads, *reading = slope(layers, *batch)
        recorded = jnp.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(reading or loss)])
        return jax.tree.map(lambda own, grad: own - playground.RATE * grad, layers, grads), recorded

    compiled = jax.jit(lambda layers: jax.lax.scan(step, layers, batches))
    state = [playground.start()]

    def take() -> None:
        state[0], recorded = compiled(state[0])
        jax.block_until_ready(recorded)

    take()
    return take


def main() -> int:
    """A row for each workload and tool."""
    print(devices.sentence())
    tools, asked = installed(), sys.argv[1:]
    print(f"{'':>12} {'':40} {'bare ms':>9} {'recorded':>9} {'ratio':>7} {'ours':>7}")
    for make in WORKLOADS:
        if asked and make.__name__ not in asked:
            continue
        for tool, bare, recorded, mine in rows(make.__name__, make(), tools):
            ratio, beside = recorded / bare, mine / recorded
            print(
                f"{make.__name__:>12} {tool:40} {1e3 * bare:9.3f} {1e3 * recorded:9.3f} {ratio:6.2f}× {beside:6.2f}×",
                flush=True,
            )
    if not asked or "playground" in asked:
        theirs, mine = beside_playground()
        for how, spent in mine.items():
            tool, ratio = f"its own arithmetic, beside our {how}", spent / theirs
            print(f"{'Playground':>12} {tool:40} {1e3 * theirs:9.3f} {'':>9} {'':>7} {ratio:6.2f}×")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A long program of operations on entries alone, compiled: bare, watched as XLA has it, and watched as the page has it.

    python -m benchmarks.joined [EQUATIONS]

The program is that of ``docs/large/equations.py``; what is watched is what the page reads of it at first. Each is
compiled in a process of its own, whose memory is its peak.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable

import jax

import engine
from docs.large import equations
from engine import fusing
from engine.fold import fold, in_parts, layers, tucked

EQUATIONS = 1_000
PATIENCE_SECONDS = 600


def watched(graph: engine.Graph) -> Callable[..., object]:
    """The loss and its gradient, and statistics of what is seen of the graph while all of it is folded."""
    hidden = tucked(graph, graph.inputs[:1])
    parted = in_parts(graph, hidden=hidden)
    boxes = fold(parted, layers(parted, hidden), hidden).boxes
    nodes = tuple(dict.fromkeys(box.shows for box in boxes if box.shows in graph))
    return engine.value_and_grad(equations.loss, probe=engine.Probe(nodes, ("value", "grad"), "stats"))


def compiled(form: str, count: int) -> None:
    """Compile one form, and print its seconds and MiB."""
    equations.EQUATIONS = count
    given = jax.eval_shape(equations.loss_args)
    graph = engine.trace(equations.loss, *given)
    forms: dict[str, Callable[[], Callable[..., object]]] = {
        "bare": lambda: jax.jit(jax.value_and_grad(equations.loss)),
        "joined": lambda: jax.jit(watched(graph)),
        "apart": lambda: fusing.jit(watched(graph), graph),
    }
    lowered = forms[form]().lower(*given)
    start = time.perf_counter()
    lowered.compile()
    seconds, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{form:>8}  {seconds:7.1f} s  {peak:6,} MiB", flush=True)


def main() -> None:
    """Measure and print."""
    if len(sys.argv) == 3:
        compiled(sys.argv[1], int(sys.argv[2]))
        return
    count = sys.argv[1] if len(sys.argv) == 2 else str(EQUATIONS)
    for form in ("bare", "joined", "apart"):
        try:
            subprocess.run(
                [sys.executable, "-m", "benchmarks.joined", form, count], check=True, timeout=PATIENCE_SECONDS
            )
        except subprocess.TimeoutExpired:
            print(f"{form:>8}  given up after {PATIENCE_SECONDS} s")


if __name__ == "__main__":
    main()

"""States of a run that are kept to begin again from: fewer and fewer for each step as the run grows.

At most :data:`MOST`, and no more than fit into :data:`BYTES` (but always two). When there is one too many, every other
one goes, and the gap between them doubles; so at most ``2 / MOST`` of a run has to be taken again to reach any step.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable

import jax

from engine.loop import TrainState

MOST = 32

BYTES = 1 << 28
"""256 MiB."""

GAP = 64
"""Steps between the first ones."""


class Snapshots:
    """States by step."""

    def __init__(self, states: Iterable[TrainState], gap: int = GAP) -> None:
        self.states = list(states)
        """Oldest first; the first one is where the run began."""
        self.gap = gap

    def offer(self, state: TrainState) -> None:
        """Keep a state, if it is far enough from the last one."""
        if state.step < self.states[-1].step + self.gap:
            return
        self.states.append(state)
        while len(self.states) > max(2, min(MOST, BYTES // max(nbytes(state), 1))):
            self.states = self.states[::2]
            self.gap *= 2

    def before(self, step: int) -> TrainState:
        """The last state that was kept at or before a step."""
        return self.states[bisect.bisect_right(self.states, step, key=lambda state: state.step) - 1]

    def truncate(self, step: int) -> None:
        """Forget the states after a step."""
        self.states = [state for state in self.states if state.step <= step]

    @property
    def nbytes(self) -> int:
        """Bytes that are taken."""
        return sum(map(nbytes, self.states))


def nbytes(state: TrainState) -> int:
    """Bytes that a state takes."""
    return sum(int(leaf.nbytes) for leaf in jax.tree.leaves((state.params, state.optimiser)))

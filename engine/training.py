"""One training step, watched in full: the loss, the gradients, the update that Optax makes of them, and the reading.

The loop (:mod:`engine.loop`) takes many steps and keeps little of each; this is the step that one walks through. From
the same state both compute the same step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np
import optax

from engine import fusing, optimisers, scaling
from engine.grad import value_and_grad
from engine.loop import TrainState, parameter_names
from engine.magnitudes import on_host
from engine.optimisers import Controls, Fixed
from engine.probe import Probe
from engine.reading import Reading
from engine.tasks.problem import Problem
from engine.trace import fill, is_array
from engine.underflow import Wide

Array = Any

__all__ = ["Batch", "Step", "TrainState", "Trainer", "trainer"]


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """What one step did: the pass at the old parameters, and the new ones."""

    before: TrainState
    after: TrainState
    loss: Array
    grads: tuple[Any, ...]
    reading: Reading
    evaluate: Callable[[TrainState], Array]

    @property
    def skipped(self) -> bool:
        """Whether the step was left out, because a gradient of the scaled loss overflowed."""
        return optimisers.skipped(self.after.optimiser) > optimisers.skipped(self.before.optimiser)

    @cached_property
    def loss_after(self) -> Array:
        """The loss on the same batch, with the new parameters; computed when asked for."""
        return self.evaluate(self.after)

    @cached_property
    def weight_norms(self) -> tuple[float, ...]:
        """The Euclidean norm of each parameter before the update."""
        return tuple(map(on_host, jax.tree.leaves(self.before.params)))

    @cached_property
    def gradient_norms(self) -> tuple[float, ...]:
        """That of the gradient of each."""
        return tuple(map(on_host, jax.tree.leaves(self.grads)))

    @cached_property
    def update_norms(self) -> tuple[float, ...]:
        """How far the update moves each."""
        return tuple(map(on_host, jax.tree.leaves(self.after.params), jax.tree.leaves(self.before.params)))

    def measure(self) -> None:
        """Compute all of these norms now."""
        _ = self.weight_norms, self.gradient_norms, self.update_norms


@dataclasses.dataclass(frozen=True, eq=False)
class Trainer:
    """A problem and its compiled step."""

    problem: Problem
    start: TrainState
    advance: Callable[..., Step]
    """``advance(state)``, or ``advance(state, controls)`` where the trainer was made with controls: any will do."""
    untouched: Callable[[TrainState], tuple[Array, Any]]
    """The loss and the gradients as JAX alone computes them, without the engine."""
    wide: Wide | None = None
    """The same steps in float32, where the problem is computed in less."""


def trainer(
    problem: Problem,
    optimiser: optax.GradientTransformation | Controls | None = None,
    probe: str | Probe = "full",
) -> Trainer:
    """Compile one step of a problem.

    Args:
        problem: what is trained.
        optimiser: an optimiser of Optax, or controls, whose dials change without a new compilation; plain gradient
            descent at the problem's rate unless given.
        probe: what the reading of a step holds.
    """
    wanted = optax.sgd(problem.rate) if optimiser is None else optimiser
    given = wanted if isinstance(wanted, Controls) else Controls()
    fixed = None if isinstance(wanted, Controls) else Fixed(wanted)
    argnums = tuple(range(len(problem.params)))
    names = parameter_names(problem)
    batch = Batch(problem.batch(0))

    @partial(fusing.jit, graph=problem.graph, static_argnums=0)
    def compiled(method: Any, dials: Any, step: Any, state: Any, arrays: list[Array]) -> Any:
        watched = value_and_grad(problem.fun, argnums=argnums, probe=probe, factor=optimisers.factor(state[1]))
        loss, grads, reading = watched(*state[0], *batch.filled(arrays))
        return loss, grads, reading, *optimisers.update(method, dials, step, state, grads)

    @partial(fusing.jit, graph=problem.graph)
    def evaluated(params: Any, arrays: list[Array]) -> Array:
        return problem.fun(*params, *batch.filled(arrays))

    def advance(state: TrainState, controls: Controls = given) -> Step:
        arrays = batch.arrays(problem.batch(state.step))
        dials, held = controls.dials(names), (state.params, state.optimiser)
        found = compiled(fixed or controls.method, dials, np.int32(state.step), held, arrays)
        loss, grads, reading, params, memory = found
        after = TrainState(params, memory, state.step + 1)
        return Step(state, after, loss, grads, reading, lambda state: evaluated(state.params, arrays))

    @partial(fusing.jit, graph=problem.graph)
    def alone(params: Any, factor: scaling.Factor, arrays: list[Array]) -> Any:
        return scaling.value_and_grad(problem.fun, argnums, factor)(*params, *batch.filled(arrays))

    def untouched(state: TrainState) -> tuple[Array, Any]:
        return alone(state.params, optimisers.factor(state.optimiser), batch.arrays(problem.batch(state.step)))

    memory = (fixed or given.method).empty().init(problem.params)
    wide = Wide(problem) if problem.wide else None
    return Trainer(problem, TrainState(problem.params, memory), advance, untouched, wide)


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
    """What the loss is called on besides its parameters: a string or a function in it stays what it is."""

    example: tuple[Any, ...]

    def arrays(self, given: tuple[Any, ...]) -> list[Array]:
        """What is an array of one step's arguments."""
        return [leaf for leaf in jax.tree.leaves(given) if is_array(leaf)]

    def filled(self, arrays: list[Array]) -> Any:
        """The arguments again, with these arrays."""
        return fill(self.example, arrays)

"""One training step, watched: the loss, the gradients, the update that Optax makes of them, and the reading."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import Any

import jax
import optax

from engine.grad import value_and_grad
from engine.probe import Probe
from engine.reading import Reading
from engine.tasks.problem import Problem
from engine.trace import is_array

Array = Any


@dataclasses.dataclass(frozen=True, eq=False)
class TrainState:
    """Parameters and what the optimiser remembers of the way here."""

    params: tuple[Any, ...]
    optimiser: Any
    step: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """What one step did: the pass at the old parameters, and the new ones."""

    before: TrainState
    after: TrainState
    loss: Array
    grads: tuple[Any, ...]
    reading: Reading
    evaluate: Callable[[TrainState], Array]

    @cached_property
    def loss_after(self) -> Array:
        """The loss on the same batch, with the new parameters; computed when asked for."""
        return self.evaluate(self.after)


@dataclasses.dataclass(frozen=True, eq=False)
class Trainer:
    """A problem and its compiled step."""

    problem: Problem
    start: TrainState
    advance: Callable[[TrainState], Step]
    untouched: Callable[[TrainState], tuple[Array, Any]]
    """The loss and the gradients as JAX alone computes them, without the engine."""


def trainer(
    problem: Problem, optimiser: optax.GradientTransformation | None = None, probe: str | Probe = "full"
) -> Trainer:
    """Compile one step of a problem; plain gradient descent at the problem's rate unless an optimiser is given."""
    chosen = optimiser or optax.sgd(problem.rate)
    count = len(problem.params)
    watched = value_and_grad(problem.fun, argnums=tuple(range(count)), probe=probe)

    batch = _Batch(problem.batch(0))

    @jax.jit
    def compiled(params: Any, memory: Any, arrays: list[Array]) -> Any:
        loss, grads, reading = watched(*params, *batch.filled(arrays))
        updates, memory = chosen.update(grads, memory, params)
        params = optax.apply_updates(params, updates)
        return loss, grads, reading, params, memory

    @jax.jit
    def evaluated(params: Any, arrays: list[Array]) -> Array:
        return problem.fun(*params, *batch.filled(arrays))

    def advance(state: TrainState) -> Step:
        arrays = batch.arrays(problem.batch(state.step))
        loss, grads, reading, params, memory = compiled(state.params, state.optimiser, arrays)
        after = TrainState(params, memory, state.step + 1)
        return Step(state, after, loss, grads, reading, lambda state: evaluated(state.params, arrays))

    @jax.jit
    def alone(params: Any, arrays: list[Array]) -> Any:
        return jax.value_and_grad(problem.fun, argnums=tuple(range(count)))(*params, *batch.filled(arrays))

    def untouched(state: TrainState) -> tuple[Array, Any]:
        return alone(state.params, batch.arrays(problem.batch(state.step)))

    return Trainer(problem, TrainState(problem.params, chosen.init(problem.params)), advance, untouched)


@dataclasses.dataclass(frozen=True, eq=False)
class _Batch:
    """What the loss is called on besides its parameters: a string or a function in it stays what it is."""

    example: tuple[Any, ...]

    def arrays(self, given: tuple[Any, ...]) -> list[Array]:
        return [leaf for leaf in jax.tree.leaves(given) if is_array(leaf)]

    def filled(self, arrays: list[Array]) -> Any:
        leaves, tree = jax.tree.flatten(self.example)
        rest = iter(arrays)
        return jax.tree.unflatten(tree, [next(rest) if is_array(leaf) else leaf for leaf in leaves])

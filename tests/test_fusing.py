"""Programs in which XLA would join too much: how they are told, and what is computed."""

from __future__ import annotations

import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine import fusing
from engine.graph import Graph
from engine.loop import Loop
from engine.optimisers import Controls
from engine.probe import Probe
from engine.tasks import Settings, problem
from engine.tasks.problem import Problem
from engine.training import trainer

Array = jax.Array

X = np.linspace(-1, 1, 8, dtype=np.float32)
WEIGHTS = np.linspace(1, 2, 8, dtype=np.float32)


def woven(weights: Array, x: Array, count: int = 900) -> Array:
    """Each equation takes two of the latest thirty values, as docs/large/equations.py has it."""
    draw, values = random.Random(0), [jnp.asarray(x), weights]
    for number in range(count):
        one, other = (values[-draw.randint(1, min(len(values), 30))] for _ in range(2))
        values.append(jnp.maximum(one, other) if number % 2 else jnp.sin(one))
    return jnp.sum(values[-1])


def swaying(weights: Array, x: Array) -> Array:
    """A sine of a sine, over and over."""
    for _ in range(fusing.MANY // 2 + 1):
        x = jnp.sin(x) + weights
    return jnp.sum(x)


def test_operations_on_entries_and_moves_are_counted() -> None:
    def loss(w: Array) -> Array:
        for _ in range(20):
            w = jnp.sin(w.T) * 2
        return jnp.sum(w)

    assert fusing.joined(engine.trace(loss, np.ones((3, 2), np.float32))) == 60


def test_many_products_between_them_bound_what_is_computed_again() -> None:
    def loss(w: Array) -> Array:
        x = w
        for _ in range(20):
            x = x + jnp.sin(jnp.tanh(w @ x))
        return jnp.sum(x)

    assert fusing.joined(engine.trace(loss, np.ones((3, 3), np.float32))) == 0


def test_a_deep_net_is_none_of_them() -> None:
    deep = problem(Settings(task="spiral", depth=64, width=4, residual=True, norm="layer").checked())
    assert fusing.joined(deep.graph) < 100


@pytest.mark.cpu
def test_each_operation_has_a_kernel_of_its_own_where_hundreds_follow_each_other() -> None:
    graph = engine.trace(woven, WEIGHTS, X)
    watched = engine.value_and_grad(woven, probe=Probe(tuple(node.id for node in graph.nodes[::100]), how="stats"))
    text = fusing.jit(watched, graph).lower(WEIGHTS, X).compile().as_text()
    assert text.count("\n") < 40 * len(graph.nodes)  # joined, 120 lines for each


@pytest.mark.cpu
def test_others_are_compiled_as_ever() -> None:
    def loss(w: Array) -> Array:
        return jnp.sum(jnp.tanh(w) ** 2)

    graph: Graph = engine.trace(loss, X)
    own, usual = (jitted.lower(X).compile().as_text() for jitted in (fusing.jit(loss, graph), jax.jit(loss)))
    assert own == usual


def test_training_computes_what_the_shown_step_does() -> None:
    long = Problem("sway", swaying, (WEIGHTS / 100,), (X,), rate=0.01)
    loop, shown = Loop(long, None), trainer(long, Controls(rate=0.01))
    state, records = loop.advance(loop.start(Controls(rate=0.01)), Controls(rate=0.01), 1)
    step = shown.advance(shown.start, Controls(rate=0.01))
    loss, (gradient,) = shown.untouched(shown.start)
    assert fusing.joined(long.graph) > fusing.MANY
    assert records.loss[0] == step.loss == loss
    np.testing.assert_array_equal(step.grads[0], gradient)
    np.testing.assert_array_equal(state.params[0], step.after.params[0])
    np.testing.assert_allclose(gradient, jax.grad(swaying)(WEIGHTS / 100, X), rtol=1e-4)


def test_a_call_is_compiled_whole_and_what_is_no_array_stays() -> None:
    seen: list[object] = []

    def powered(x: Array, how: str, *, power: int) -> dict[str, Array]:
        seen.append((isinstance(x, jax.core.Tracer), how, isinstance(power, jax.core.Tracer)))
        return {"power": x**power}

    assert fusing.compiled(powered, engine.trace(jnp.sum, X), np.float32(3), "up", power=2) == {"power": 9}
    assert seen == [(True, "up", True)]

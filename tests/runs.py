"""Short training runs and what a diagnosis needs of them: the first reading, the latest, one update, the losses."""

from __future__ import annotations

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax

import engine
from engine import health
from engine.tasks import problem, usual

_DIRECTIONS = {
    "sgd": optax.identity,
    "momentum": lambda: optax.trace(0.9),
    "adam": optax.scale_by_adam,
    "lion": optax.scale_by_lion,
}
_CLIPS = {"none": lambda at: optax.identity(), "norm": optax.clip_by_global_norm}


@functools.cache
def _compiled(shape):
    """The bare step and the watched one of all problems that are the same program."""
    fun = problem(shape).fun
    optimiser = optax.chain(_CLIPS[shape.clip](shape.clip_at), _DIRECTIONS[shape.optimizer]())

    @jax.jit
    def step(params, memory, rate, batch):
        loss, grads = jax.value_and_grad(lambda params: fun(*params, *batch))(params)
        updates, memory = optimiser.update(grads, memory, params)
        return loss, jax.tree.map(lambda p, u: p - rate * u, params, updates), memory

    return step, jax.jit(engine.value_and_grad(fun)), optimiser.init


def run(task, steps=200, **settings):
    """Train with these settings and gather the evidence, at the last step or where it broke."""
    return _gathered(usual(task, **settings), steps)


@functools.lru_cache(maxsize=64)
def _gathered(chosen, steps):
    made = problem(chosen)
    step, watched, begin = _compiled(dataclasses.replace(chosen, rate=0.1, init="lecun", seed=0))
    params = jax.tree.map(jnp.asarray, made.params)
    memory, losses, states = begin(params), [], [params]
    for number in range(steps):
        loss, params, memory = step(params, memory, chosen.rate, made.batch(number))
        losses.append(float(loss))
        states.append(params)
        if not math.isfinite(losses[-1]):
            break
    last = len(losses) - 1
    if last and not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(states[last])):
        last -= 1
    read = [watched(*states[at], *made.batch(at))[2] for at in sorted({0, last})]
    return health.gather(read, states[last], states[last + 1], losses, chosen)

"""Loss and accuracy on fixed examples: those held out, and as many of the training set."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine import fusing
from engine.tasks.problem import Problem
from engine.trace import fill, is_array

Array = Any

MOST = 2000
"""Examples of each set that are looked at: the first ones. They tell a share of right answers to about 1 %."""

QUIET = -1
"""The number of the step that a noisy loss is given when it is evaluated."""


def evaluator(problem: Problem) -> Callable[[Any], Array]:
    """A compiled function from parameters to the numbers of :data:`engine.history.TESTS`.

    Returns:
        A function of the parameters that returns four numbers, ``(4,)`` on the host: loss of the training set and of
        the test set, accuracy on the training set and on the test set. NaN where the problem has none.
    """
    whole = problem.rows(0) is None
    sets = [_first(problem.examples, whole), _first(problem.held_out, whole) if problem.held_out else None]
    arrays = [[jnp.asarray(leaf) for leaf in jax.tree.leaves(given) if is_array(leaf)] for given in sets]

    @partial(fusing.jit, graph=problem.graph)
    def evaluated(params: Any, arrays: Any) -> Array:
        filled = [fill(given, own) if given is not None else None for given, own in zip(sets, arrays, strict=True)]
        found = [_loss(problem, params, given) for given in filled] + [
            _right(problem, params, given) for given in filled
        ]
        return jnp.stack([jnp.asarray(number, jnp.result_type(float)) for number in found])

    return lambda params: np.asarray(evaluated(params, arrays))


def _first(given: tuple[Any, ...], whole: bool) -> tuple[Any, ...]:
    return given if whole else jax.tree.map(lambda leaf: leaf[:MOST], given)


def _loss(problem: Problem, params: Any, given: Any) -> Any:
    if given is None:
        return jnp.nan
    return problem.fun(*params, *given, *([np.int32(QUIET)] if problem.noisy else []))


def _right(problem: Problem, params: Any, given: Any) -> Any:
    return jnp.nan if given is None or problem.accuracy is None else problem.accuracy(params, *given)

"""Whether a step can be divided over devices: of a task it is known, a function of one's own is tried."""

from __future__ import annotations

import dataclasses
import math
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from engine.fusing import compiled
from engine.shares import ParallelError
from engine.tasks.problem import Problem
from engine.text import short
from engine.trace import is_array

Array = Any

TRIED = 64
"""Examples that a function of one's own is tried on, at most."""

CLOSE = 3e-4
"""How far a mean may be off, of the size of what it is of, and still be one but for rounding: √ε in float32."""


def divisible(problem: Problem) -> Problem:
    """The problem, each of whose steps can be divided: it is taken on some examples, or on all there are, by number.

    Of a function of one's own nobody knows whether its loss is the mean over its examples; so that is tried.

    Raises:
        ParallelError: it can't be divided; the message says why.
    """
    if not problem.apart:
        text = "norm 'batch' takes its mean over the whole batch, which none of several devices has"
        raise ParallelError(f"{text}: choose norm layer or rms, or one device.")
    if problem.rows(0) is not None:
        return problem
    found = problem.once("divisible", lambda: _Trial(problem)).found
    if isinstance(found, str):
        raise ParallelError(found)
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class _Trial:
    """Whether a function of one's own can be divided; tried once, and others who share the problem needn't wait."""

    problem: Problem

    @cached_property
    def found(self) -> Problem | str:
        """The problem with its examples by number, or why there is none."""
        try:
            return _by_example(self.problem)
        except ParallelError as error:
            return str(error)


def _by_example(problem: Problem) -> Problem:
    leaves = [leaf for leaf in jax.tree.leaves(problem.examples) if is_array(leaf)]
    if any(jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.extended) for leaf in leaves):
        raise ParallelError(
            f"{problem.title} is called on a key of random numbers, of which each device would draw the same: leave it "
            "on one device."
        )
    lengths = {np.shape(leaf)[0] for leaf in leaves if np.ndim(leaf)}
    if not lengths:
        raise ParallelError(f"{problem.title} has no batch of examples to be divided: leave it on one device.")
    if len(lengths) > 1 or lengths <= {0, 1}:
        first = " and ".join(map(str, sorted(lengths)))
        raise ParallelError(
            f"What {problem.title} is called on besides its parameters has first axes of {first}: devices divide arrays"
            " that have one row for each example, and at least two of them."
        )
    (count,) = lengths
    found = dataclasses.replace(problem, rows=lambda step: np.arange(count))
    _check_mean(found, min(count, TRIED))
    return found


def _check_mean(problem: Problem, count: int) -> None:
    """Whether the loss, and its gradient, is the mean of those on single examples: then it is that of any parts.

    It is tried beside the first parameters, which are often special: all zero, or alike.
    """
    params, examples = _beside(problem.params), _wide(problem.taken(np.arange(count)))
    try:
        found = compiled(partial(_both, problem), problem.graph, params, np.arange(count), *examples)
    except Exception as error:  # the user's own code, on fewer examples than it was written for
        raise ParallelError(
            f"{problem.title} can't be called on single examples, so no device can take a part: "
            f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
        ) from error
    (whole, mean, usual), (off, size) = jax.tree.map(float, found)
    if not math.isfinite(whole):
        raise ParallelError(
            f"Whether {problem.title} is the mean over its examples can't be told: it is {short(whole)} where that was "
            "tried. Leave it on one device."
        )
    if not (abs(whole - mean) <= CLOSE * usual and off <= CLOSE * size):
        raise ParallelError(
            f"{problem.title} isn't the mean over its examples: of {count} together it is {short(whole)}, the mean of "
            f"each alone {short(mean)}, or the gradients differ. So no device can take a part."
        )


def _both(problem: Problem, params: Any, places: Array, *examples: Any) -> Any:
    """Loss of all, mean of each one's, and their mean size; how far the gradients are apart, and each one's size."""

    def loss(params: Any, examples: Any) -> Array:
        return problem.fun(*params, *examples)

    def alone(place: Array) -> Any:
        own = jax.tree.map(lambda leaf: leaf[place][None] if np.ndim(leaf) else leaf, examples)
        value, grads = jax.value_and_grad(loss)(params, own)
        return value, jnp.abs(value), grads, _norm(grads)

    whole, grads = jax.value_and_grad(loss)(params, examples)
    value, usual, each, size = jax.tree.map(lambda leaf: leaf.mean(0), lax.map(alone, places))
    return (whole, value, usual), (_norm(jax.tree.map(jnp.subtract, each, grads)), size)


def _norm(tree: Any) -> Array:
    return jnp.sqrt(sum((jnp.vdot(leaf, leaf).real for leaf in jax.tree.leaves(tree)), jnp.zeros(())))


def _wide(tree: Any) -> Any:
    """The same in float32 where it is in less: what is asked for is no matter of rounding."""

    def own(leaf: Any) -> Any:
        narrow = is_array(leaf) and jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
        return jnp.asarray(leaf, jnp.promote_types(jnp.result_type(leaf), jnp.float32)) if narrow else leaf

    return jax.tree.map(own, tree)


def _beside(params: Any) -> Any:
    draw = np.random.default_rng(0)

    def own(leaf: Array) -> Array:
        size = float(jnp.sqrt(jnp.mean(jnp.abs(leaf) ** 2))) if leaf.size else 0.0
        return leaf + jnp.asarray(0.3 * (size or 0.3) * draw.normal(size=leaf.shape), leaf.dtype)

    return jax.tree.map(own, jax.tree.map(jnp.asarray, _wide(params)))

"""How long a loss takes here: forward, with its gradient, and one pass of forward mode; measured beside counted."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from engine.grad import check_returned, leaves_of
from engine.trace import program


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds of one run on this machine, compiled: the shortest of several."""

    forward: float
    reverse: float
    """The loss and its whole gradient."""
    forward_mode: float | None
    """The loss and its slope along one direction; ``None`` where a custom_vjp forbids it."""


def measure(
    fun: Callable[..., Any], *args: Any, argnums: int | Sequence[int] = 0, repeats: int = 10, **kwargs: Any
) -> Timing:
    """Time a loss, by turns with its gradient and with forward mode, so that what disturbs the machine disturbs all.

    Args:
        fun: a loss, as for :func:`engine.value_and_grad`.
        *args: its arguments: arrays, as it is run.
        argnums: which positional arguments are the parameters.
        repeats: how many runs of each, after one that compiles.
        **kwargs: keyword arguments of ``fun``.

    Raises:
        TraceError: ``fun`` raised while it was traced.
        NotScalarError: ``fun`` doesn't return one real number.
        NotDifferentiableError: an argument has no derivative.
    """
    traced = program(fun, args, kwargs)
    check_returned(traced, has_aux=False)
    arguments = traced.arguments
    places = [arguments.arrays.index(leaf) for leaf in leaves_of(argnums, args, traced)]
    arrays = [jnp.asarray(value) for value in arguments.traced]
    chosen = [arrays[place] for place in places]

    def loss(chosen: list[Any], arrays: list[Any]) -> Any:
        filled = dict(enumerate(arrays)) | dict(zip(places, chosen, strict=True))
        args, kwargs = arguments.unflatten(list(filled.values()))
        return fun(*args, **kwargs)

    def along(chosen: list[Any], arrays: list[Any]) -> Any:
        return jax.jvp(lambda chosen: loss(chosen, arrays), (chosen,), (chosen,))

    runs = [jax.jit(form) for form in (loss, jax.value_and_grad(loss), along)]
    seconds = _shortest(runs, (chosen, arrays), repeats)
    return Timing(*seconds)


def _shortest(runs: Sequence[Callable[..., Any]], given: tuple[Any, ...], repeats: int) -> list[Any]:
    found: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats + 1):
        for times, run in zip(found, runs, strict=True):
            start = time.perf_counter()
            if not _ran(run, given):
                continue
            times.append(time.perf_counter() - start)
    return [min(times[1:], default=None) for times in found]


def _ran(run: Callable[..., Any], given: tuple[Any, ...]) -> bool:
    try:
        jax.block_until_ready(run(*given))
    except TypeError:  # a custom_vjp, in forward mode
        return False
    return True

"""Loss scaling: the loss times a power of two, so that gradients of sixteen bits don't fall below what these can hold.

All that flows back is as many times larger, and divided again in single precision once it has arrived: a power of two
changes no digit of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from engine import stats

Array = Any
Factor = Array | None
"""What the loss is multiplied by; ``None`` where it isn't."""

_SIZES = tuple(name not in ("zero_fraction", "nonfinite") for name in stats.ROW)


def scaled(loss: Array, factor: Factor) -> Array:
    """The loss whose gradients are computed."""
    return loss if factor is None else loss * factor.astype(loss.dtype)


def unscaled(array: Array, factor: Factor) -> Array:
    """What arrived, as it would have arrived without the factor: in single precision at least."""
    if factor is None:
        return array
    kind = jnp.promote_types(array.dtype, jnp.float32)
    return array.astype(kind) / factor.astype(jnp.finfo(kind).dtype)


def unscaled_rows(rows: Array, factor: Factor) -> Array:
    """The same of rows of statistics (:data:`engine.stats.ROW`): counts and shares stay."""
    if factor is None:
        return rows
    return rows / jnp.where(jnp.asarray(_SIZES), factor.astype(rows.dtype), 1)


def value_and_grad(
    fun: Callable[..., Any], argnums: int | Sequence[int], factor: Factor
) -> Callable[..., tuple[Any, Any]]:
    """What ``jax.value_and_grad`` makes without a factor; the same loss and gradients by way of a scaled loss with one.

    Args:
        fun: a loss.
        argnums: which arguments are differentiated.
        factor: of the scaling.
    """
    if factor is None:
        return jax.value_and_grad(fun, argnums=argnums)

    def both(*args: Any) -> tuple[Array, Array]:
        loss = fun(*args)
        return scaled(loss, factor), loss

    def apart(*args: Any) -> tuple[Any, Any]:
        (_, loss), grads = jax.value_and_grad(both, argnums=argnums, has_aux=True)(*args)
        return loss, jax.tree.map(lambda grad: unscaled(grad, factor), grads)

    return apart

"""Mixed precision: parameters, loss and update in float32, and what lies between them in numbers of sixteen bits."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

Array = Any

PRECISIONS: dict[str, Any] = {"float32": None, "bfloat16": jnp.bfloat16, "float16": jnp.float16}
"""What a model computes in; ``None`` for what its parameters are. bfloat16 reaches as far as float32 and has five
digits less; float16 has one digit more than that, and nothing below 6e-8 or above 65,504."""


def cast(tree: Any, kind: Any) -> Any:
    """Every array of floating-point numbers in this precision; letters and their like stay."""
    if kind is None:
        return tree
    leaves, form = jax.tree.flatten(tree)
    floating = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves]
    cast = [leaf.astype(kind) if own else leaf for leaf, own in zip(leaves, floating, strict=True)]
    return jax.tree.unflatten(form, cast)


def cast_back(answers: Array, kind: Any) -> Array:
    """Answers in float32, for the loss."""
    return answers if kind is None else answers.astype(jnp.float32)

"""Convolutions inside loops, written so that XLA's CPU back end computes them as quickly as outside of one.

It turns the operands of a convolution round, to a layout that its fast routines read, in the outermost program alone.
Inside a loop one of another layout is computed entry by entry; and so is the gradient of every kernel, which JAX writes
as a convolution whose batch is the channels: seventy times as slow for a layer of the digits' net.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np
from jax import lax

from engine import compat
from engine.trace import fill, is_array

Array = Any


def straightened(fun: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, to be called inside a loop: on a CPU its convolutions, and those of all programs in it, read
    and write rows of channels, and what lies otherwise is turned round before and after. The numbers are the same.
    """

    def straight(*args: Any) -> Any:
        arrays = [leaf for leaf in jax.tree.leaves(args) if is_array(leaf)]
        closed, returned = jax.make_jaxpr(lambda *arrays: fun(*fill(args, arrays)), return_shape=True)(*arrays)
        outs = _run(closed.jaxpr, closed.consts, *arrays)
        return jax.tree.unflatten(jax.tree.structure(returned), outs)

    return straight if compat.on_cpu() else fun


def _run(jaxpr: jex.Jaxpr, consts: Sequence[Array], *args: Array) -> list[Array]:
    if not _any_crooked(jaxpr):
        return list(jax.core.eval_jaxpr(jaxpr, consts, *args))
    env = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args), strict=True))

    def read(var: Any) -> Array:
        return var.val if isinstance(var, jex.Literal) else env[var]

    for eqn in jaxpr.eqns:
        operands = list(map(read, eqn.invars))
        if _crooked(eqn):
            outs = [_convolve(eqn.params, *operands)]
        else:
            params = {name: _straight(param) for name, param in eqn.params.items()}
            outvars = [jex.Var(var.aval) for var in eqn.outvars]  # of those that nobody reads too
            outs = compat.evaluate(eqn.replace(params=params, outvars=outvars), jaxpr, operands)
        env.update(zip(eqn.outvars, outs, strict=True))
    return list(map(read, jaxpr.outvars))


def _straight(param: Any) -> Any:
    """What an equation has of programs, straightened; everything else as it is."""
    if not _holds_crooked(param):
        return param
    if isinstance(param, tuple):
        return tuple(map(_straight, param))
    closed = jex.ClosedJaxpr(param, ()) if isinstance(param, jex.Jaxpr) else param
    made = jax.make_jaxpr(partial(_run, closed.jaxpr, closed.consts))(*closed.in_avals)
    return made if isinstance(param, jex.ClosedJaxpr) else made.jaxpr


def _any_crooked(jaxpr: jex.Jaxpr) -> bool:
    return any(_crooked(eqn) or any(map(_holds_crooked, eqn.params.values())) for eqn in jaxpr.eqns)


def _holds_crooked(param: Any) -> bool:
    if isinstance(param, tuple):
        return any(map(_holds_crooked, param))
    jaxpr = getattr(param, "jaxpr", param)
    return isinstance(jaxpr, jex.Jaxpr) and _any_crooked(jaxpr)


def _crooked(eqn: jex.JaxprEqn) -> bool:
    """Whether it is a convolution that the fast routines don't read as it lies, and might."""
    if eqn.primitive.name != "conv_general_dilated" or eqn.params["batch_group_count"] != 1:
        return False
    numbers = eqn.params["dimension_numbers"]
    return any(list(order) != sorted(order) for order in _orders(numbers))


def _orders(numbers: lax.ConvDimensionNumbers) -> list[tuple[int, ...]]:
    """Axes of operand, kernel and result: batch, places, channels; places, channels in and out; as the first."""
    (batch, channels, *places), (out, into, *kernel), (rows, found, *where) = numbers
    return [(batch, *places, channels), (*kernel, into, out), (rows, *where, found)]


def _convolve(params: dict[str, Any], left: Array, right: Array) -> Array:
    spatial = len(params["window_strides"])
    own, kernel, result = _orders(params["dimension_numbers"])
    last, places = spatial + 1, range(1, spatial + 1)
    rows = (0, last, *places)
    numbers = lax.ConvDimensionNumbers(rows, (last, spatial, *range(spatial)), rows)
    asked = {name: param for name, param in params.items() if name != "dimension_numbers"}
    operands = jnp.transpose(left, own), jnp.transpose(right, kernel)
    made = lax.conv_general_dilated_p.bind(*operands, dimension_numbers=numbers, **asked)
    return jnp.transpose(made, np.argsort(result).tolist())

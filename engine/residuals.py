"""What a forward pass keeps for its backward pass, and how many bytes live at a time: read off JAX's own programs.

``jax.vjp`` returns, beside the value, a function that is a pytree: its leaves are what it needs of the forward pass,
the residuals. Traced, each of them leads back to the equation that made it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import jax.extend.core as jex

from engine import compat
from engine.operations import size
from engine.tape import signature

_VIEWS = frozenset({"reshape", "squeeze", "expand_dims", "copy", "copy_p", "name", "optimization_barrier"})
"""Operations whose result can lie where their operand lies."""


@dataclasses.dataclass(frozen=True)
class Residual:
    """One array that is kept from the forward pass until the backward pass needs it."""

    node: str
    """Id of the node whose operation made it; empty if unknown."""
    primitive: str
    """What made it."""
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    kind: str
    """``computed``; or ``argument``, ``constant`` (there anyway) or ``filled`` (with one number: not stored)."""


@dataclasses.dataclass(frozen=True)
class _Origin:
    """What a variable is: an input of a program by its position, or what an equation made."""

    kind: str
    key: Any
    primitive: str = ""
    node: str = ""


def residuals(jaxpr: jex.Jaxpr, results: int) -> tuple[Residual, ...]:
    """The residuals of a function, each once.

    Args:
        jaxpr: a program whose last outputs are the leaves of the function's ``jax.vjp``.
        results: how many outputs come before them.
    """
    found: dict[Any, Residual] = {}
    program = _Program(jaxpr)
    for var in jaxpr.outvars[results:]:
        origin = program.origin(var)
        if origin.kind != "number" and compat.is_array(var.aval):
            found.setdefault(origin.key, _residual(var, origin))
    return tuple(found.values())


def _residual(var: Any, origin: _Origin) -> Residual:
    return Residual(origin.node, origin.primitive, var.aval.shape, str(var.aval.dtype), bytes_of(var), origin.kind)


class _Program:
    """A program in which one can ask where a variable comes from."""

    def __init__(self, jaxpr: jex.Jaxpr, node: str = "") -> None:
        self.node = node
        self.made = {var: (eqn, index) for eqn in jaxpr.eqns for index, var in enumerate(eqn.outvars)}
        self.inputs = {var: index for index, var in enumerate(jaxpr.invars)}

    def origin(self, var: Any) -> _Origin:
        """The equation that made a variable, innermost, past what only gives it another shape."""
        if isinstance(var, jex.Literal):
            return _Origin("number", None)
        if var in self.inputs:
            return _Origin("argument", self.inputs[var])
        if var not in self.made:
            return _Origin("constant", var)
        eqn, index = self.made[var]
        if eqn.primitive.name in _VIEWS:
            return self.origin(eqn.invars[index])
        return self._inside(eqn, index, var)

    def _inside(self, eqn: jex.JaxprEqn, index: int, var: Any) -> _Origin:
        node, form = signature(compat.name_stack(eqn)) or self.node, compat.form(eqn)
        if form in ("jit", "remat", "scan"):
            body = compat.bodies(eqn)[0].jaxpr
            inner = _Program(body, node).origin(body.outvars[index])
            if form == "scan":
                return _Origin("computed", var, inner.primitive or form, inner.node or node)
            if inner.kind == "argument":
                return self.origin(eqn.invars[inner.key])
            return dataclasses.replace(inner, key=(eqn.outvars[0], inner.key))  # two calls may share one program
        filled = all(isinstance(operand, jex.Literal) for operand in eqn.invars)
        return _Origin("filled" if filled else "computed", var, eqn.primitive.name, node)


def bytes_of(var: Any) -> int:
    """Bytes of a variable's array; a PRNG key counts as 8."""
    if not compat.is_array(var.aval):
        return 0
    return size(var) * (8 if compat.is_key(var.aval) else var.aval.dtype.itemsize)


# ---- how much lives at a time --------------------------------------------------------------------------------------


def peak(jaxpr: jex.Jaxpr, results: int | None = None) -> int:
    """Most bytes alive at a time if the equations run in their order, each array from its making to its last use.

    Arguments and results count as well. XLA fuses and reorders, so that a compiled program may need less.

    Args:
        jaxpr: the program.
        results: how many of its outputs are wanted; all unless given.
    """
    last = _last_uses(jaxpr, jaxpr.outvars[:results])
    alive = sum(map(bytes_of, {*jaxpr.invars, *jaxpr.constvars}))
    most = alive
    for index, eqn in enumerate(jaxpr.eqns):
        ended = sum(bytes_of(var) for var in _variables(eqn.invars) if last[var] == index)
        made = sum(bytes_of(var) for var in eqn.outvars)
        view = eqn.primitive.name in _VIEWS
        most = max(most, alive + (0 if view else max(made, _within(eqn))))
        alive += made - ended - sum(bytes_of(var) for var in eqn.outvars if var not in last)
    return most


def _last_uses(jaxpr: jex.Jaxpr, results: Sequence[Any]) -> dict[Any, int]:
    """For each variable the equation that uses it last; results stay to the end."""
    found = {var: index for index, eqn in enumerate(jaxpr.eqns) for var in _variables(eqn.invars)}
    return found | dict.fromkeys((*_variables(results), *jaxpr.invars, *jaxpr.constvars), len(jaxpr.eqns))


def _variables(atoms: Iterable[Any]) -> set[Any]:
    return {atom for atom in atoms if not isinstance(atom, jex.Literal)}


def _within(eqn: jex.JaxprEqn) -> int:
    """What the programs inside an equation need beside their arguments."""
    bodies = [body.jaxpr for body in compat.bodies(eqn)]
    return max((peak(body) - sum(map(bytes_of, body.invars)) for body in bodies), default=0)

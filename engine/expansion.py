"""What the chain rule costs if it is written out: one product for each path from a parameter to the loss.

A path leads from an entry of a parameter to an entry of an operation that reads it, and so on to the loss; its product
has one factor, a local derivative, for each operation on it. The paths are counted without being walked: from the loss
backwards, an operation whose entries each read ``r`` entries of an operand hands ``r`` times its paths on to it. What
only moves numbers has no factor. Where entries differ in how many they read (a border, a concatenation), paths are
shared out by size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax.extend.core as jex

from engine import compat, ops
from engine.operations import contracted, meetings, size, window


class Paths(NamedTuple):
    """Paths from the entries of an array to the loss, and the factors on all of them together."""

    number: int = 0
    factors: int = 0

    def __add__(self, other: tuple[object, ...]) -> Paths:
        assert isinstance(other, Paths)
        return Paths(self.number + other.number, self.factors + other.factors)


@dataclasses.dataclass(frozen=True)
class Expansion:
    """The chain rule, written out."""

    paths: int
    """From all parameters' entries to the loss."""
    factors: int
    """On all paths together."""
    entries: int
    """Of the parameters that a path leads from."""

    @property
    def operations(self) -> int:
        """Multiplications along the paths, and additions of their products; the factors themselves are given."""
        return max(self.factors - self.paths, 0) + max(self.paths - self.entries, 0)


def expand(jaxpr: jex.Jaxpr, chosen: Sequence[int]) -> Expansion:
    """Count the paths of a loss.

    Args:
        jaxpr: its program; the first output is the loss.
        chosen: which inputs are the parameters.
    """
    outputs = [Paths(1, 0), *[Paths()] * (len(jaxpr.outvars) - 1)]
    arrived = _back(jaxpr, outputs)
    total = sum((arrived[index] for index in chosen), start=Paths())
    reached = sum(size(jaxpr.invars[index]) for index in chosen if arrived[index].number)
    return Expansion(*total, reached)


def _back(jaxpr: jex.Jaxpr, outputs: Sequence[Paths]) -> list[Paths]:
    """Paths from the inputs of a program, given those from its outputs."""
    found: dict[Any, Paths] = {}

    def arrive(var: Any, paths: Paths) -> None:
        if paths.number and not isinstance(var, jex.Literal) and compat.has_gradient(var.aval):
            found[var] = found.get(var, Paths()) + paths

    for var, paths in zip(jaxpr.outvars, outputs, strict=True):
        arrive(var, paths)
    for eqn in reversed(jaxpr.eqns):
        outs = [found.pop(var, Paths()) for var in eqn.outvars]
        if any(paths.number for paths in outs):
            for var, paths in zip(eqn.invars, _through(eqn, outs), strict=True):
                arrive(var, paths)
    return [found.get(var, Paths()) for var in jaxpr.invars]


def _through(eqn: jex.JaxprEqn, outs: Sequence[Paths]) -> Sequence[Paths]:
    form, bodies = compat.form(eqn), compat.bodies(eqn)
    nothing = [Paths()] * len(eqn.invars)
    if form == "scan":
        return _loop(eqn, bodies[0].jaxpr, outs)
    if form == "cond":
        branches = [_back(body.jaxpr, outs) for body in bodies]
        return [Paths(), *max(branches, key=lambda paths: sum(path.number for path in paths))]
    if form == "while" or ops.cuts(eqn.primitive.name):
        return nothing
    devices = compat.on_devices(eqn)
    body = devices[0] if devices else bodies[0] if bodies else None
    if body is not None:
        return _back(body.jaxpr, outs)
    total = sum(outs, start=Paths())
    factor = not ops.is_plumbing(eqn.primitive.name)
    return [_handed(total, share, factor) for share in READS.get(eqn.primitive.name, _alike)(eqn)]


def _handed(paths: Paths, share: Share, factor: bool) -> Paths:
    number, of = share
    return Paths(paths.number * number // of, (paths.factors + factor * paths.number) * number // of)


def _loop(eqn: jex.JaxprEqn, body: jex.Jaxpr, outs: Sequence[Paths]) -> list[Paths]:
    """Through every iteration, last to first; each has its share of what is stacked."""
    parts = compat.scan_parts(eqn)
    carry, stacked = (
        list(outs[: parts.carry]),
        [_handed(out, (1, parts.length or 1), False) for out in outs[parts.carry :]],
    )
    ends = parts.consts, parts.consts + parts.carry
    around = [Paths()] * len(eqn.invars)
    for _ in range(parts.length):
        arrived = _back(body, [*carry, *stacked])
        carry = arrived[ends[0] : ends[1]]
        around = [total + one for total, one in zip(around, arrived, strict=True)]
    return [*around[: ends[0]], *carry, *around[ends[1] :]]


# ---- how many entries of each operand an entry of the result reads ---------------------------------------------------

Share = tuple[int, int]
"""A number and what it is divided by."""


def _alike(eqn: jex.JaxprEqn) -> list[Share]:
    return [(1, 1)] * len(eqn.invars)


def _product(eqn: jex.JaxprEqn) -> list[Share]:
    return [(contracted(eqn), 1)] * 2


def _convolution(eqn: jex.JaxprEqn) -> list[Share]:
    return [(meetings(eqn), size(eqn.outvars[0]))] * 2


def _reduction(eqn: jex.JaxprEqn) -> list[Share]:
    return [(size(eqn.invars[0]), size(eqn.outvars[0]))] * len(eqn.invars)


def _before(eqn: jex.JaxprEqn) -> list[Share]:
    shape: Any = eqn.invars[0].aval
    return [(shape.shape[eqn.params["axis"]] + 1, 2)]


def _window(eqn: jex.JaxprEqn) -> list[Share]:
    return [(window(eqn), 1)]


def _parts(eqn: jex.JaxprEqn) -> list[Share]:
    return [(size(var), size(eqn.outvars[0])) for var in eqn.invars]


def _padded(eqn: jex.JaxprEqn) -> list[Share]:
    kept, all_ = size(eqn.invars[0]), size(eqn.outvars[0])
    return [(kept, all_), (all_ - kept, all_)]


def _overwritten(written: int) -> Callable[[jex.JaxprEqn], list[Share]]:
    def rule(eqn: jex.JaxprEqn) -> list[Share]:
        all_, new = size(eqn.outvars[0]), size(eqn.invars[written])
        found = [(0, 1)] * len(eqn.invars)
        found[0], found[written] = (all_ - new, all_), (new, all_)
        return found

    return rule


def _added(eqn: jex.JaxprEqn) -> list[Share]:
    return [(1, 1), (0, 1), (size(eqn.invars[2]), size(eqn.outvars[0]))]


def _rows(
    rule: Callable[[jex.JaxprEqn], list[Share]], names: str
) -> Iterable[tuple[str, Callable[[jex.JaxprEqn], list[Share]]]]:
    return ((name, rule) for name in names.split())


READS = dict(
    [
        ("dot_general", _product),
        ("conv_general_dilated", _convolution),
        *_rows(_reduction, "reduce_sum reduce_max reduce_min reduce_prod"),
        *_rows(_before, "cumsum cumprod cummax cummin cumlogsumexp"),
        *_rows(_window, "reduce_window_sum reduce_window_max reduce_window_min"),
        *_rows(_parts, "concatenate stack"),
        ("pad", _padded),
        ("dynamic_update_slice", _overwritten(1)),
        ("scatter", _overwritten(2)),
        *_rows(_added, "scatter-add scatter_add"),
    ]
)
"""Primitives whose entries read more or less than one entry of each operand."""

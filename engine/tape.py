"""One walk over a placed program that keeps values, and puts a tap on each value and on each use of it.

A tap is the identity with a second argument, the sink, whose "gradient" is defined as the cotangent that arrives. So
the gradient of the program with respect to its sinks, which JAX's own reverse mode computes, *is* what flows back
through every node and every edge. Custom rules, residuals and rematerialisation stay JAX's.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.extend.core as jex
import jax.numpy as jnp
from jax import lax

from engine import compat, rows, stats, sums
from engine.graph import Graph, Source
from engine.kernel import Sum
from engine.packing import copied
from engine.probe import Plan, use
from engine.program import Block, Step
from engine.sums import Terms

Array = Any
Tap = Callable[[Array, Array], Array]
Sinks = dict[str, Any]
"""For each tap, by the node's id or the key of the use, the argument whose gradient is what arrives there. An
:class:`Override` travels with them, by :func:`override`, into the same inner programs."""


class Override(NamedTuple):
    """What stands in for some entries of a node's value; each in the shape that a reading of the node has."""

    mask: Array
    given: Array


def override(id: Source) -> str:
    """Key of a node's override among the sinks."""
    return f"={id}"


class Record(NamedTuple):
    """What one run kept, besides its results."""

    values: dict[str, Array]
    branches: dict[str, Array]
    """For each cond the index of the branch it took."""
    counts: dict[str, Array]
    """For each while_loop how many times its body ran."""
    waiting: dict[str, Array]
    """Values whose statistics are made at the end of the iteration or branch, all by one call."""


def _blank() -> Record:
    return Record({}, {}, {}, {})


def _tap(keep: Callable[..., Array]) -> Tap:
    @jax.custom_vjp
    def tap(value: Array, sink: Array) -> Array:
        return value

    def forward(value: Array, sink: Array) -> tuple[Array, None]:
        return value, None

    def backward(_: None, cotangent: Array) -> tuple[Array, Array]:
        return cotangent, keep(cotangent)

    tap.defvjp(forward, backward)
    return tap


def _bare(value: Array) -> Array:
    return value


TAPS: dict[Callable[..., Array], Tap] = {keep: _tap(keep) for keep in (_bare, copied)}


def _kept(plan: Plan, id: str, bare: bool) -> Callable[[Array], Array]:
    """What is kept of an array: itself or a copy. Measured at the end of the step, it is copied then."""
    return _bare if bare or id in plan.later else copied


@dataclasses.dataclass(frozen=True, eq=False)
class Tape:
    """A placed program and what is watched of it."""

    block: Block
    graph: Graph
    plan: Plan
    tap: Tap | None = None
    """What joins a value and its sink; the plan's own tap unless given."""
    signed: bool = False
    """Whether every equation runs in a named scope that says which step it is, so that what JAX makes of it can be
    told from what it makes of others (:func:`signature`)."""

    @cached_property
    def avals(self) -> dict[str, Any]:
        """For each node its abstract value."""
        return dict(self.block.made())

    def sinks(self) -> Sinks:
        """A zero for every tap: of the array's shape, or of its statistics', with the iterations of loops in front."""
        zeros = cache(compat.zeros)  # the same for all of a shape: each is an operation, to be traced and compiled
        alone = sorted(key for key in self.plan.grads | self.plan.uses if key not in self.plan.inside)
        inner = [block for _, step in self.block.walk() if step.form in ("scan", "cond") for block in step.blocks]
        tables = [key for block in inner for key in self._own(block)]
        return {key: zeros(*self._sink(key)) for key in alone} | {key: zeros(*self._table(key)) for key in tables}

    def _sink(self, key: str) -> tuple[tuple[int, ...], Any, Any]:
        id = key.partition(">")[0]
        aval = self.avals[id]
        return (*self.graph.node(id).iterations, *aval.shape), aval.dtype, aval

    def _table(self, key: str) -> tuple[tuple[int, ...], Any, Any]:
        ids = rows.ids(key)
        aval = self.avals[ids[0]]
        shape = *self.graph.node(ids[0]).iterations, len(ids), stats.WIDTH
        return shape, stats.row_dtype(aval.dtype), aval

    def _own(self, block: Block) -> list[str]:
        """The tables of what arrives inside one program, those in it excepted."""
        inside = self.plan.grads & self.plan.inside
        return rows.tables({id: aval for id, aval in block.direct() if id in inside})

    def run(self, args: Sequence[Array], sinks: Sinks) -> tuple[list[Array], Record]:
        """Evaluate the program: its outputs, and the record of what the plan asks for."""
        return _run(self, self.block, args, sinks)

    def inside(self, sinks: Sinks, *blocks: Block) -> Sinks:
        """The sinks whose taps lie in these programs."""
        keys = {key for block in blocks for key in self._keys(block)}
        return {key: sink for key, sink in sinks.items() if key in keys}

    def opened(self, sinks: Sinks, block: Block) -> Sinks:
        """The same sinks for one iteration or branch, in which those of statistics have become of the arrays' shape."""

        def shaped(id: str) -> Array:
            aval = self.avals[id]
            return compat.zeros(aval.shape, aval.dtype, aval)

        tables = {key: sinks[key] for key in self._own(block) if key in sinks}
        return sinks | rows.opened(tables, shaped)

    def _keys(self, block: Block) -> Iterator[str]:
        for id, _ in block.made():
            yield from (id, override(id))
        for inner in block.blocks():
            yield from self._own(inner)
        yield from (use(source, consumer) for source, consumer in block.uses())

    def forward_only(self) -> Tape:
        """The same tape without taps."""
        return dataclasses.replace(self, plan=self.plan.forward_only())

    def wants(self, *blocks: Block) -> bool:
        """Whether the plan records a value inside these programs."""
        return any(id in self.plan.values for block in blocks for id, _ in block.made())


# ---- the walk ------------------------------------------------------------------------------------------------------


def _run(tape: Tape, block: Block, args: Sequence[Array], sinks: Sinks) -> tuple[list[Array], Record]:
    record = _blank()
    env: dict[Any, Array] = {}
    known: dict[Any, Terms] = {}
    # Of what leaves the differentiated function beside its result no derivative is taken.
    still = _bare if block is tape.block and tape.plan.how == "stats" else lax.stop_gradient

    def make(source: Source, value: Array, parts: Terms = ()) -> Array:
        value = _tapped(_overridden(value, source, sinks), source, sinks, tape)
        _keep(record, tape.plan, source, value, parts, still)
        return value

    def place(variables: Sequence[Any], sources: Sequence[Source], values: Iterable[Array]) -> None:
        for var, source, value in zip(variables, sources, values, strict=True):
            env[var] = value
            if source in tape.plan.held:
                known[var] = (value,)

    def read(var: Any, source: Source, consumer: Source) -> Array:
        if isinstance(var, jex.Literal):
            return make(source, jnp.asarray(var.val)) if isinstance(source, str) else var.val
        return _tapped(env[var], use(source, consumer), sinks, tape)

    entries = map(make, block.inputs, args) if block.entered else args
    place(block.jaxpr.invars, block.inputs, entries)
    place(block.jaxpr.constvars, block.constants, map(make, block.constants, block.closed.consts))
    for step in block.steps:
        operands = list(map(read, step.eqn.invars, step.reads, step.consumers))
        walk = _WALKS.get(step.form, _whole)
        with jax.named_scope(f"⟦{step.id}⟧") if tape.signed else contextlib.nullcontext():
            outs = walk(tape, block, step, operands, sinks, record)
        overridden = not sinks.keys().isdisjoint(map(override, step.outs))
        parts = () if overridden else sums.terms(step.eqn, outs, known)
        if not step.transparent:
            outs = [make(source, out, parts) for source, out in zip(step.outs, outs, strict=True)]
        known |= dict.fromkeys(step.eqn.outvars, parts) if parts else {}
        place(step.eqn.outvars, step.outs, outs)
    returns = block.returns or ("",) * len(block.outputs)
    return list(map(read, block.jaxpr.outvars, block.outputs, returns)), record


def signature(name_stack: str) -> str:
    """Id of the step that an equation was made for, innermost, from its name stack; empty where none is signed."""
    return name_stack.rpartition("⟦")[2].partition("⟧")[0] if "⟦" in name_stack else ""


def _overridden(value: Array, source: Source, sinks: Sinks) -> Array:
    """The value that the rest of the program is told; the tap behind it reads what arrives at every entry of it, and
    through the ``where`` none of that reaches what the overridden entries would have been computed from.
    """
    given = sinks.get(override(source)) if isinstance(source, str) else None
    return value if given is None else jnp.where(given.mask, given.given, value)


def _tapped(value: Array, key: Any, sinks: Sinks, tape: Tape) -> Array:
    if key not in sinks:
        return value
    return (tape.tap or TAPS[_kept(tape.plan, key, key in tape.plan.bare_gradients)])(value, sinks[key])


def _keep(
    record: Record, plan: Plan, source: Source, value: Array, parts: Terms, still: Callable[[Array], Array]
) -> None:
    if source not in plan.values or not isinstance(source, str):
        return
    if plan.how == "full" or jnp.issubdtype(value.dtype, jnp.number) or value.dtype == bool:
        keep = _kept(plan, source, source in plan.bare_values)
        into = record.waiting if source in plan.inside else record.values
        alone = source in plan.later or source in plan.inside  # not stacked with those of other iterations
        summed = len(parts) > 1 and alone and source not in plan.bare_values
        into[source] = Sum(tuple(map(still, parts))) if summed else keep(still(value))


def _merge(record: Record, inner: Record) -> None:
    for mine, theirs in zip(record, inner, strict=True):
        mine.update(theirs)


def _ended(record: Record) -> Record:
    """The record of an iteration or branch with the statistics of what waited for them."""
    return record._replace(values=record.values | rows.measured(record.waiting), waiting={})


def _whole(tape: Tape, block: Block, step: Step, args: list[Array], sinks: Sinks, record: Record) -> list[Array]:
    """An equation that JAX runs, and differentiates, as one."""
    if step.id in tape.plan.cut:
        args = list(map(lax.stop_gradient, args))
    return compat.evaluate(step.eqn, block.jaxpr, untapped(step, args, tape.plan.active))


def untapped(step: Step, args: Sequence[Array], active: frozenset[str]) -> list[Array]:
    """The operands of an equation; to those that its rule has no derivative for nothing is sent back.

    What depends on a differentiated argument stays, so that JAX refuses it here as it does in the function itself.
    """
    count = compat.without_derivatives(step.eqn)
    first = zip(step.reads[:count], args[:count], strict=True)
    return [arg if read in active else lax.stop_gradient(arg) for read, arg in first] + list(args[count:])


def _custom(tape: Tape, block: Block, step: Step, args: list[Array], sinks: Sinks, record: Record) -> list[Array]:
    """A function with a rule of its own: run whole; its body, if asked for, is run beside it, forward only."""
    (body,) = step.blocks
    if tape.wants(body) and not compat.effects(body.closed):
        _merge(record, _run(tape.forward_only(), body, list(map(lax.stop_gradient, args)), {})[1])
    return _whole(tape, block, step, args, sinks, record)


def _jit(tape: Tape, block: Block, step: Step, args: list[Array], sinks: Sinks, record: Record) -> list[Array]:
    (body,) = step.blocks
    call = compat.call_jit if step.form == "jit" else compat.call_remat
    outs, inner = call(step.eqn, partial(_run, tape, body), args, tape.inside(sinks, body))
    _merge(record, inner)
    return list(outs)


def _scan(tape: Tape, block: Block, step: Step, args: list[Array], sinks: Sinks, record: Record) -> list[Array]:
    """Sinks are scanned like inputs, so cotangents come back per iteration; values go out stacked."""
    (body,) = step.blocks
    parts = compat.scan_parts(step.eqn)
    consts, carry, xs = _cut(args, parts.consts, parts.consts + parts.carry)

    def loop(consts: list[Array], carry: list[Array], given: tuple[list[Array], Sinks]) -> Any:
        def iterate(carry: list[Array], given: tuple[list[Array], Sinks]) -> tuple[list[Array], Any]:
            xs, own = given
            outs, inner = _run(tape, body, [*consts, *carry, *xs], tape.opened(own, body))
            return outs[: parts.carry], (outs[parts.carry :], _ended(inner))

        return lax.scan(iterate, carry, given, parts.length, reverse=parts.reverse, unroll=parts.unroll)

    run = compat.apart(loop) if tape.wants(body) else loop
    carry, (ys, inner) = run(consts, carry, (xs, tape.inside(sinks, body)))
    _merge(record, inner)
    return [*carry, *ys]


def _cond(tape: Tape, block: Block, step: Step, args: list[Array], sinks: Sinks, record: Record) -> list[Array]:
    """Every branch returns the record of all of them, zeros for what it doesn't compute; the index says which ran."""
    index, *operands = args
    own = tape.inside(sinks, *step.blocks)
    branches = [partial(_branch, tape, body) for body in step.blocks]
    blanks = [jax.eval_shape(branch, operands, own)[1] for branch in branches]

    def padded(branch: Callable[..., Any], operands: list[Array], own: Sinks) -> Any:
        outs, inner = branch(operands, own)
        filled = _blank()
        for blank in blanks:
            _merge(filled, jax.tree.map(lambda leaf: compat.zeros(leaf.shape, leaf.dtype, leaf), blank))
        _merge(filled, inner)
        return outs, filled

    outs, inner = lax.switch(index, [partial(padded, branch) for branch in branches], operands, own)
    _merge(record, inner)
    record.branches[step.id] = index
    return list(outs)


def _branch(tape: Tape, body: Block, operands: list[Array], own: Sinks) -> tuple[list[Array], Record]:
    outs, inner = _run(tape, body, operands, tape.opened(own, body))
    return outs, _ended(inner)


def _while(tape: Tape, block: Block, step: Step, args: list[Array], sinks: Sinks, record: Record) -> list[Array]:
    """Forward only. Where its inside is watched, the loop also carries the record of its last iteration."""
    condition, body = step.blocks
    if step.id in tape.plan.cut:
        args = list(map(lax.stop_gradient, args))
    if not tape.wants(condition, body) or compat.effects(condition.closed) or compat.effects(body.closed):
        return compat.evaluate(step.eqn, block.jaxpr, args)
    seen, used = compat.while_parts(step.eqn)
    watched, shared, carry = _cut(args, seen, seen + used)
    forward = tape.forward_only()

    def go_on(state: Any) -> Array:
        return compat.jaxpr_outputs(condition.closed, [*watched, *state[0]])[0]

    def iterate(state: Any) -> Any:
        carry, _, count = state
        outs, inner = _run(forward, body, [*shared, *carry], {})
        _merge(inner, _run(forward, condition, [*watched, *carry], {})[1])
        return outs, _ended(inner), count + 1

    first = (carry, None, jnp.zeros((), jnp.int32))
    blank = jax.eval_shape(iterate, first)[1]
    zeros = jax.tree.map(lambda leaf: compat.zeros(leaf.shape, leaf.dtype, leaf), blank)
    outs, inner, count = lax.while_loop(go_on, iterate, (carry, zeros, first[2]))
    _merge(record, inner)
    record.counts[step.id] = count
    return list(outs)


_WALKS = {"jit": _jit, "remat": _jit, "scan": _scan, "cond": _cond, "while": _while, "custom": _custom}


def _cut(items: Sequence[Array], first: int, second: int) -> tuple[list[Array], list[Array], list[Array]]:
    return list(items[:first]), list(items[first:second]), list(items[second:])

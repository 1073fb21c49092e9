"""``value_and_grad`` with a reading: what ``jax.value_and_grad`` returns, and every node on the way."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from engine import compat, scaling
from engine.errors import NotDifferentiableError, NotScalarError
from engine.graph import Graph
from engine.packing import Found, gathered, pack
from engine.probe import FULL, Plan, Probe, as_probe, resolve
from engine.program import Block, Step
from engine.reading import Outline, Reading
from engine.rows import apart, is_table
from engine.sources import Key
from engine.tape import Override, Record, Sinks, Tape, override, untapped
from engine.trace import Arguments, Program, program


def value_and_grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    probe: str | Probe = "full",
    factor: scaling.Factor = None,
) -> Callable[..., tuple[Any, Any, Reading]]:
    """A function that returns what ``jax.value_and_grad(fun)`` returns, and a reading of every node.

    Args:
        fun: a function of pytrees of arrays that returns one real number, or ``(number, aux)``.
        argnums: which positional arguments to differentiate.
        has_aux: whether ``fun`` returns a pair whose second part isn't differentiated.
        probe: ``"full"``, ``"stats"`` or an :class:`engine.Probe`.
        factor: what the loss is multiplied by on the way (:mod:`engine.scaling`); all that is returned and read is
            divided by it again.

    Returns:
        A function of the same arguments that returns ``(value, grads, reading)``; with ``has_aux`` the value is
        ``(value, aux)``. It composes with ``jit``, ``vmap``, ``scan`` and ``shard_map``.

    Raises (when called):
        TraceError: ``fun`` raised while it was traced.
        NotScalarError: ``fun`` doesn't return one real number.
        NotDifferentiableError: an argument, or something on the way from it, has no derivative.
    """
    asked = Asked(argnums, has_aux, as_probe(probe), factor)

    @functools.wraps(fun)
    def watched(*args: Any, **kwargs: Any) -> tuple[Any, Any, Reading]:
        return run(program(fun, args, kwargs), args, asked)

    return watched


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is asked of a watched function; see :func:`value_and_grad`."""

    argnums: int | Sequence[int] = 0
    has_aux: bool = False
    probe: Probe = FULL
    factor: scaling.Factor = None


def run(
    traced: Program, args: tuple[Any, ...], asked: Asked, overrides: Mapping[str, Override] = MappingProxyType({})
) -> tuple[Any, Any, Reading]:
    """Run a traced function and differentiate it, as :func:`value_and_grad` does.

    Args:
        traced: the function, its arguments' values in it.
        args: the positional arguments, for their structure.
        asked: what to differentiate, and what to watch.
        overrides: for nodes, by id, the entries that other numbers stand in for. What arrives at these is read, and
            goes no further back.
    """
    check_returned(traced, asked.has_aux)
    wanted = leaves_of(asked.argnums, args, traced)
    starts = [traced.graph.inputs[traced.arguments.arrays.index(leaf)] for leaf in wanted]
    given = {override(id): change for id, change in overrides.items()}

    def attempt(cut: frozenset[str]) -> Any:
        plan = resolve(traced.graph, asked.probe, starts, cut, frozenset(overrides))
        return _differentiate(traced, wanted, plan, given, asked.factor)

    outs, gradients, reading = _with_detours(attempt, traced, starts)
    value = jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(traced.returned), outs)
    found = dict(zip(wanted, gradients, strict=True))
    return value, _as_arguments(asked.argnums, args, traced.arguments, found), reading


def _differentiate(
    traced: Program, wanted: list[int], plan: Plan, overrides: Sinks, factor: scaling.Factor
) -> tuple[list[Any], list[Any], Reading]:
    tape = Tape(traced.block, traced.graph, plan)
    arguments = traced.arguments
    arrays = {index: jnp.asarray(arguments.values[index]) for index in arguments.arrays}

    def run(chosen: list[Any], sinks: Sinks) -> tuple[Any, tuple[list[Any], Record]]:
        filled = arrays | dict(zip(wanted, chosen, strict=True))
        outs, record = tape.run(list(filled.values()), sinks | overrides)
        return scaling.scaled(outs[0], factor), (outs, record)

    differentiated = jax.value_and_grad(run, argnums=(0, 1), has_aux=True)
    (_, (outs, record)), (gradients, arrived) = differentiated([arrays[i] for i in wanted], tape.sinks())
    gradients = [scaling.unscaled(gradient, factor) for gradient in gradients]
    grads = {key: _undone(key, value, factor) for key, value in arrived.items() if key not in plan.uses}
    uses = {key: scaling.unscaled(value, factor) for key, value in arrived.items() if key in plan.uses}
    if plan.how == "stats":
        whole: dict[Key, Any] = {}
        packed, layout = pack(_found(traced.graph, plan, record.values, grads))
    else:
        found = {"value": record.values, "grad": grads, "use": uses}
        whole, packed, layout = gathered({(what, key): array for what in found for key, array in found[what].items()})
    parts = {"whole": whole, "branches": record.branches, "counts": record.counts, "packed": packed}
    return outs, gradients, Reading.of(Outline(traced.graph, plan, layout), factor, **parts)


def _undone(key: str, arrived: Any, factor: scaling.Factor) -> Any:
    """What arrived at a node, or a table of statistics, without the factor."""
    return (scaling.unscaled_rows if is_table(key) else scaling.unscaled)(arrived, factor)


def _found(graph: Graph, plan: Plan, values: Sinks, grads: Sinks) -> dict[Key, Found]:
    """What a run kept, as it is to be measured; in the order in which a step computes it."""
    made, sent = apart(jax.tree.map(lax.stop_gradient, values)), apart(jax.tree.map(lax.stop_gradient, grads))
    kept = [("value", node, made, plan.bare_values) for node in graph.nodes if node.id in made]
    kept += [("grad", node, sent, plan.bare_gradients) for node in reversed(graph.nodes) if node.id in sent]
    return {
        (what, node.id): Found(
            arrays[node.id][0],
            lead=len(node.iterations),
            bare=node.id in bare or node.id not in plan.later,
            row=arrays[node.id][1],
        )
        for what, node, arrays, bare in kept
    }


def _with_detours(attempt: Callable[[frozenset[str]], Any], traced: Program, starts: list[str]) -> Any:
    """Differentiate; where something without a derivative stands off the way from the arguments, go round it.

    JAX differentiates only what depends on the arguments; the engine reads a gradient for every value, and so may meet
    an operation (a callback, say) that JAX never needed a derivative of. Nothing is sent into those.
    """
    try:
        return attempt(frozenset())
    except Exception as first:
        if not compat.is_refusal(first):
            raise
        error = first
        plan = resolve(traced.graph, Probe(what=()), starts)
        cut = frozenset(step.id for block, step in traced.block.walk() if _refuses(block.jaxpr, step, plan))
        if cut:
            try:
                return attempt(cut)
            except Exception as again:
                if not compat.is_refusal(again):
                    raise
                error = again
        raise NotDifferentiableError(_refusal(traced, plan, error)) from error


def _refuses(within: Any, step: Step, plan: Plan) -> bool:
    """Whether an equation that no differentiated argument reaches has no derivative."""
    avals: list[Any] = [var.aval for var in step.eqn.invars]
    whole = step.form in ("op", "custom")
    if not whole or not any(map(compat.has_gradient, avals)) or not plan.active.isdisjoint(map(str, step.reads)):
        return False

    def send_back(args: list[Any]) -> Any:
        outs, pull = jax.vjp(lambda args: compat.evaluate(step.eqn, within, untapped(step, args, plan.active)), args)
        told = [(out, compat.has_gradient(jax.typeof(out))) for out in outs]
        return pull([jnp.ones(out.shape, out.dtype) if sends else _none(out) for out, sends in told])

    try:
        jax.eval_shape(send_back, [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals])
    except Exception as error:
        if not compat.is_refusal(error):
            raise
        return True
    return False


def _none(out: Any) -> Any:
    return jnp.zeros(out.shape, jax.dtypes.float0)


def _refusal(traced: Program, plan: Plan, error: Exception) -> str:
    name = traced.graph.name
    loops = [node for node in traced.graph.nodes if node.op == "while" and not plan.active.isdisjoint(node.inputs)]
    if "while_loop" in str(error) and loops:
        return (
            f"{name} can't be differentiated through the while_loop at {loops[0].source}: JAX doesn't keep the steps "
            "of a loop that may run any number of times. Write lax.scan, or fori_loop with Python numbers as bounds."
        )
    said = ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])
    silent = "" if isinstance(error, ValueError | NotImplementedError) else _silent_rule(traced.graph, traced.block)
    return silent or f"{name} can't be differentiated: {said}"


def _silent_rule(graph: Graph, block: Block) -> str:
    """A sentence on the first rule that uses, beside its arguments, something that the function computes."""
    for _, step in block.walk():
        first = [read for read in step.reads[: compat.without_derivatives(step.eqn)] if isinstance(read, str)]
        held = [read for read in first if graph.node(read).kind != "constant"]
        if held and step.outs:
            op, other = graph.node(str(step.outs[0])), graph.node(held[0])
            return (
                f"{graph.name} can't be differentiated through {op.name} ({op.source}): its own rule has no derivative "
                f"for {other.name}, which the function computes. Pass {other.name} to it as an argument that has one."
            )
    return ""


def check_returned(traced: Program, has_aux: bool) -> None:
    """One real number, or a pair that begins with one."""
    name, returned = traced.graph.name, traced.returned
    pair = isinstance(returned, tuple) and len(returned) == 2
    if has_aux and not pair:
        raise NotScalarError(f"{name} returned {describe(returned)}; with has_aux=True it must return (loss, aux).")
    loss = returned[0] if has_aux else returned
    if not hasattr(loss, "shape"):
        hint = "; pass has_aux=True to keep the rest beside it" if pair else ""
        raise NotScalarError(f"{name} returned {describe(returned)}; a loss is one real number{hint}.")
    if loss.shape != ():
        raise NotScalarError(
            f"{name} returned {describe(loss)}; a loss is one real number. Reduce it: return jnp.mean(...) of it, or "
            "jnp.sum(...)."
        )
    if not jnp.issubdtype(loss.dtype, jnp.floating):
        hint = "jnp.abs(...) or its real part" if jnp.issubdtype(loss.dtype, jnp.complexfloating) else "a float"
        raise NotScalarError(f"{name} returned {describe(loss)}; a loss is one real number. Return {hint}.")


def describe(returned: Any) -> str:
    """What a function returned, in a sentence: ``float32[32]``, ``a tuple of 2``."""
    if hasattr(returned, "shape") and hasattr(returned, "dtype"):
        return f"{returned.dtype}[{','.join(map(str, returned.shape))}]"
    if isinstance(returned, tuple | list | dict):
        return f"a {type(returned).__name__} of {len(returned)}"
    return "nothing" if returned is None else f"a {type(returned).__name__}"


def leaves_of(argnums: int | Sequence[int], args: tuple[Any, ...], traced: Program) -> list[int]:
    """Positions of the leaves to differentiate, each checked to have a derivative."""
    numbers = [argnums] if isinstance(argnums, int) else list(argnums)
    name, arguments = traced.graph.name, traced.arguments
    if any(not -len(args) <= number < len(args) for number in numbers):
        raise NotDifferentiableError(f"{name} was called with {len(args)} positional arguments; argnums={argnums!r}.")
    sizes = [len(jax.tree_util.tree_leaves(arg)) for arg in args]
    wanted = []
    for number in numbers:
        start = sum(sizes[: number % len(args)])
        for leaf in range(start, start + sizes[number]):
            _check_leaf(arguments, leaf, name)
            wanted.append(leaf)
    return [leaf for leaf in wanted if leaf in arguments.arrays]


def _check_leaf(arguments: Arguments, leaf: int, name: str) -> None:
    if leaf in arguments.arrays:
        dtype = jnp.result_type(arguments.values[leaf])
        if not jnp.issubdtype(dtype, jnp.inexact):
            raise NotDifferentiableError(
                f"{name} can't be differentiated in {arguments.names[leaf].name}: it is {dtype}, and only "
                "floating-point arrays have gradients. Pass it as a float, or differentiate another argument "
                "(argnums=...)."
            )


def _as_arguments(
    argnums: int | Sequence[int], args: tuple[Any, ...], arguments: Arguments, found: dict[int, Any]
) -> Any:
    """Gradients in the structure of the arguments; a leaf that is no array has none."""
    leaves = [found.get(index) for index in range(len(arguments.values))]
    parts, start = [], 0
    for arg in args:
        treedef: Any = jax.tree_util.tree_structure(arg)
        parts.append(jax.tree_util.tree_unflatten(treedef, leaves[start : start + treedef.num_leaves]))
        start += treedef.num_leaves
    return parts[argnums] if isinstance(argnums, int) else tuple(parts[number] for number in argnums)

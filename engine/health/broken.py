"""What stops backpropagation itself: numbers that aren't finite, and gradients that are cut off."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from engine import ops
from engine.errors import EngineError
from engine.flow import has_gradient, passes, upstream
from engine.graph import Graph, Literal, Node
from engine.health import remedies
from engine.health.evidence import Evidence
from engine.health.finding import Finding, Place, Remedy
from engine.numbers import Numbers, first_unfinite, short

Array = Any

_DOMAINS = frozenset({"log", "log1p", "div", "sqrt", "rsqrt", "pow", "exp"})
"""Operations that have no finite result, or slope, for some finite operands."""


# ---- not finite ----------------------------------------------------------------------------------------------------


def nonfinite(evidence: Evidence) -> Finding | None:
    """A value or gradient that isn't finite, and spoils the loss or the step: the first operation that made one."""
    for reading in evidence.readings:
        numbers = Numbers(reading)
        if _spoilt(numbers, evidence.parameters):
            return _forward(evidence, numbers) or _backward(evidence, numbers)
    if evidence.losses and not math.isfinite(evidence.losses[-1]):
        return _unseen(evidence)
    ruined = [id for id, array in evidence.after.items() if not _finite(array)]
    return _update(evidence, ruined[0]) if ruined else None


def _finite(array: Array) -> bool:
    return bool(np.isfinite(np.ma.getdata(array)).all()) if np.asarray(array).dtype.kind in "fc" else True


def _spoilt(numbers: Numbers, parameters: Iterable[str]) -> bool:
    loss = numbers.graph.outputs[0]
    if not _finite(numbers.value(loss)):
        return True
    scaled = numbers.reading.factor is not None  # a step whose gradients overflow is left out then
    return not scaled and not all(_finite(_or_zero(numbers.grad, id)) for id in parameters)


def _or_zero(read: Any, id: str) -> Array:
    """What was read, zero where there is nothing to read."""
    try:
        return np.ma.filled(read(id), 0)
    except (EngineError, TypeError):
        return np.zeros(())


def _forward(evidence: Evidence, numbers: Numbers) -> Finding | None:
    """The first operation on the way to the loss whose operands are finite and whose result isn't."""
    first = first_unfinite(numbers)
    if first is None:
        return None
    if first.op == "input" and first.kind == "input":
        return _given(evidence, first)
    operands = [np.asarray(_operand(numbers, source)) for source in first.operands]
    worst = _entry(numbers.value(first.id), operands)
    made = _result(numbers.value(first.id))
    return _made(evidence, first, "forward", f"Forward, {_title(first)}{_at(first)} made {made}{worst}", made)


def _operand(numbers: Numbers, source: str | Literal) -> Array:
    return source.value if isinstance(source, Literal) else _or_zero(numbers.value, source)


def _result(value: Array) -> str:
    return "NaN" if np.isnan(value).any() else "an infinite number"


def _entry(value: Array, operands: Sequence[Array]) -> str:
    """The operands of the first entry that isn't finite, where they are entries too."""
    bad = np.argwhere(~np.isfinite(np.asarray(value)))
    if not len(bad):
        return ""
    shape = np.shape(value)
    if any(np.shape(each) not in ((), shape) for each in operands):
        largest = max(float(np.max(np.abs(each), initial=0.0)) for each in operands if each.dtype.kind in "fc")
        return f" out of operands up to {short(largest)}"
    entries = [short(each[tuple(bad[0])].item() if each.shape else each.item()) for each in operands]
    return f" out of {' and '.join(entries)}" if entries else ""


def _backward(evidence: Evidence, numbers: Numbers) -> Finding | None:
    """The first operation of the backward pass that was given finite gradients and sent back one that isn't."""
    graph = numbers.graph
    for node in reversed(graph.nodes):
        if not has_gradient(node) or node.note or _finite(_or_zero(numbers.grad, node.id)):
            continue
        sent = numbers.contributions(node.id)
        for consumer, part in sent.items():
            if consumer in graph and not _finite(part) and _finite(_or_zero(numbers.grad, consumer)):
                culprit = graph.node(consumer)
                operands = [np.asarray(_operand(numbers, source)) for source in culprit.operands]
                what = _result(np.asarray(part))
                told = f"{_title(culprit)}{_at(culprit)} sent back {what}{_entry(part, operands)}"
                return _made(evidence, culprit, "backward", f"The loss is finite; backward, {told}", what)
    return None


def _given(evidence: Evidence, node: Node) -> Finding:
    if node.id in evidence.parameters:
        return _update(evidence, node.id)
    told = f"The argument {node.name} holds numbers that aren't finite before anything is computed."
    cause = "the data aren't finite"
    advice = Remedy("Remove or fill in what isn't a finite number", {})
    return Finding("nonfinite", cause, (Place(node.id, node.name),), told, f"not finite: {node.name}", (advice,))


def _made(evidence: Evidence, node: Node, way: str, told: str, what: str) -> Finding:
    domain = node.op in _DOMAINS and not _grown(evidence)
    cause = f"{what} from {_title(node)}, {way}" if domain else f"numbers too large for {evidence.narrowest}"
    advice = () if not domain else (Remedy(f"Keep the operand of {_title(node)} away from where it has no value", {}),)
    given = (*advice, *_slower(evidence))
    place = (Place(node.id, node.name),)
    return Finding(
        "nonfinite", cause, place, f"{told}; everything after it is spoilt.", f"{what} from {node.name}", given
    )


def _grown(evidence: Evidence) -> bool:
    """Whether the run was finite before: then what has grown since is the cause, whatever it made infinite first."""
    return not evidence.own or len(evidence.readings) > 1


def _slower(evidence: Evidence) -> tuple[Remedy, ...]:
    """A run that breaks at its first step began too large, whatever the rate; one that breaks later stepped too far."""
    slower, begun = remedies.lower_rate(evidence), remedies.fresh(evidence)
    at_once = bool(evidence.losses) and not math.isfinite(evidence.losses[0])
    if evidence.own and (at_once or not evidence.before):
        return ()
    order = (begun, remedies.norm(), slower) if at_once else (slower, remedies.clip())
    further = (remedies.bfloat16(),) if evidence.narrowest == "float16" else ()
    return remedies.effective(evidence, *further, *order)


def _update(evidence: Evidence, id: str) -> Finding:
    node = evidence.graph.node(id)
    told = (
        f"The update of {node.name} made numbers that aren't finite: the step before it was too large for "
        f"{node.dtype}; everything after it is spoilt."
    )
    cause = f"numbers too large for {evidence.narrowest}"
    return Finding("nonfinite", cause, (Place(id, node.name),), told, f"{node.name} not finite", _slower(evidence))


def _unseen(evidence: Evidence) -> Finding:
    if evidence.course.steps > len(evidence.losses):  # which of several steps it was isn't known
        told = "The loss is not finite any more; where that began wasn't read, so what made it isn't known."
        brief = "loss not finite"
    else:
        step = next(step for step, loss in enumerate(evidence.losses) if not math.isfinite(loss))
        told = f"The loss is not finite from step {step} on; that step wasn't read, so what made it isn't known."
        brief = f"loss not finite from step {step}"
    cause = f"numbers too large for {evidence.narrowest}"
    return Finding("nonfinite", cause, (), told, brief, _slower(evidence))


def _title(node: Node) -> str:
    return node.label or node.op


def _at(node: Node) -> str:
    return f" ({node.source})" if node.source else ""


# ---- cut -----------------------------------------------------------------------------------------------------------


def cut(evidence: Evidence) -> Finding | None:
    """Layers and parameters that the loss depends on but hears nothing of: every way back is cut off."""
    graph = evidence.graph
    alive, heard = upstream(graph, graph.outputs[:1]), _dependencies(graph)
    outputs = {layer.output: layer.name for layer in evidence.structure.layers}
    named = outputs | {id: graph.node(id).name for id in evidence.parameters if not outputs}
    silent = [id for id in named if id in heard and id not in alive]
    if not silent:
        return None
    node = _culprit(graph, silent)
    why = ops.cuts(node.op) or ops.cuts("gt")
    things = _count(len(silent), "layer" if outputs else "parameter")
    shown = named[silent[0]] + (" …" if len(silent) > 1 else "")
    told = f"No gradient reaches {things} ({shown}): the way back ends at {node.label}{_at(node)}. {why}"
    places = (Place(node.id, node.name), *(Place(id, named[id]) for id in silent))
    return Finding("cut", f"{node.label} has no derivative", places, told, f"cut at {node.name}", _uncut(evidence))


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("s" if number != 1 else "")


def _dependencies(graph: Graph) -> set[str]:
    """Every node that the loss depends on, differentiably or not."""
    seen: set[str] = set()
    waiting = list(graph.outputs[:1])
    while waiting:
        id = waiting.pop()
        if id not in seen:
            seen.add(id)
            waiting.extend(graph.sources(id))
    return seen


def _culprit(graph: Graph, silent: Iterable[str]) -> Node:
    """The first operation behind the last of these that sends nothing back."""
    (*_, last) = (node.id for node in graph.nodes if node.id in set(silent))
    after = {last}
    for node in graph.nodes:
        if not after.isdisjoint(graph.sources(node.id)):
            after.add(node.id)
            if not passes(node):
                return node
    return graph.node(last)


def _uncut(evidence: Evidence) -> tuple[Remedy, ...]:
    if evidence.setting("activation") == "step":
        smooth = (remedies.activation(evidence, "tanh"), remedies.activation(evidence, "relu"))
        return remedies.effective(evidence, *smooth)
    straight = "Let the gradient pass straight through: x + stop_gradient(f(x) − x)"
    return (Remedy("Use a smooth function in its place", {}), Remedy(straight, {}))

"""The chain rule as a sentence in numbers, at any entry of any node.

``∂L/∂a = 0.31·0.25 + (−0.10)·1 = −0.0225``: one term for each consumer, each factor with the place it comes from. A
term is spelled out only if its products give the number that the step computed; else it is that number alone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from engine import ops
from engine.errors import EngineError
from engine.graph import OUTPUT, Graph, Literal, Node
from engine.moves import ORIGINS
from engine.numbers import Numbers, short
from engine.rules import COMPOSITES, POINTWISE, RULES
from engine.use import Factor, Index, Product, Use, within

Array = Any

SHOWN = 4
"""A sum of more products shows its three largest."""

_SPELLED_OUT = 1 << 14
"""Sums over larger arrays than this aren't written out product by product."""

_LOOPS = {"carry": "carry", "shared": "shared", "slice": "slice of", "loop": "loop"}


@dataclasses.dataclass(frozen=True)
class Term:
    """What one consumer sends back to one entry."""

    consumer: str
    title: str
    total: float | complex
    """The number the step computed."""
    products: tuple[Product, ...] = ()
    """The products whose sum gives it, or the three largest of many; empty where it isn't spelled out."""
    hidden: int = 0
    """How many products more there are."""
    words: str = ""

    def __str__(self) -> str:
        if not self.products:
            return short(self.total)
        shown = [" · ".join(map(_factor, product)) for product in self.products]
        if self.hidden:
            shown.append(f"… {self.hidden} more")
        return " + ".join(shown)


def _factor(factor: Factor) -> str:
    text = short(factor.value)
    return f"({text})" if text.startswith("−") else text


@dataclasses.dataclass(frozen=True)
class Sentence:
    """Why one entry of a node has the gradient that it has."""

    node: str
    name: str
    index: Index
    terms: tuple[Term, ...]
    total: float | complex
    words: str

    def __str__(self) -> str:
        place = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        left = f"∂L/∂{self.name}{place}"
        middle = " + ".join(
            f"({term})" if len(self.terms) > 1 and " + " in str(term) else str(term) for term in self.terms
        )
        right = short(self.total)
        return f"{left} = {middle} = {right}" if middle not in ("", right) else f"{left} = {right}"


def explain(numbers: Numbers, key: str, index: Index | None = None, plumbing: bool = False) -> Sentence:
    """The gradient of one entry of a node, as what its consumers send.

    Args:
        numbers: a full reading on the host.
        key: id or name of the node.
        index: which entry, iterations of loops first; the one with the largest gradient if left out.
        plumbing: whether a reshape or a broadcast counts as a consumer; else what comes after it speaks.

    Returns:
        The sentence; ``str`` of it is the line to show.

    Raises:
        EngineError: the node has no gradient to read; the message says why.
    """
    node = numbers.graph.node(key)
    gradient = numbers.grad(node.id)
    if index is None:
        index = strongest(gradient)
    total = gradient[index].item() if gradient.size else 0.0
    terms = tuple(_terms(numbers, node, index, plumbing))
    return Sentence(node.id, node.name, index, terms, total, _words(numbers.graph, node, terms))


def strongest(array: Array) -> Index:
    """Index of the entry of the largest magnitude; the first one that isn't finite, if there is one."""
    if not array.size:
        return (0,) * array.ndim
    sizes = np.nan_to_num(np.abs(np.asarray(array, np.complex128)), nan=np.inf)
    return tuple(map(int, np.unravel_index(int(np.argmax(sizes)), array.shape)))


def _terms(numbers: Numbers, node: Node, index: Index, plumbing: bool) -> Iterator[Term]:
    if not numbers.grad(node.id).size:
        return
    sent = numbers.contributions(node.id)
    for group, consumers in _groups(numbers.graph, node, sent):
        total = sum(sent[consumer][index].item() for consumer in consumers)
        products = _trusted(numbers, _composite(numbers, node, group, index), total) if group else ()
        if products:
            scope = numbers.graph.scope(group)
            yield _term(consumers[0], scope.label, total, products, ops.describe(scope.name).words)
            continue
        for consumer in consumers:
            own = sent[consumer][index].item()
            beyond = None if plumbing else _beyond(numbers, node, consumer, index, own)
            if beyond is not None:
                yield from _terms(numbers, numbers.graph.node(consumer), beyond, plumbing)
            else:
                yield _from(numbers, node, consumer, index, own)


def _beyond(numbers: Numbers, node: Node, consumer: str, index: Index, total: Any) -> Index | None:
    """Where an entry is in the result of a reshape or the like, which only moves it; ``None`` for other consumers."""
    if consumer == OUTPUT or not ops.is_plumbing(numbers.graph.node(consumer).op):
        return None
    products = _trusted(numbers, _products(numbers, node, consumer, index), total)
    return products[0][0].index if len(products) == 1 and products[0][0].node == consumer else None


def _groups(graph: Graph, node: Node, consumers: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Consumers inside one softmax belong together: a reader takes it for one operation."""
    found: dict[str, list[str]] = {}
    for consumer in consumers:
        scope = graph.node(consumer).scope if consumer in graph else ""
        around = [
            s for s in graph.ancestry(scope) if graph.scope(s).name in COMPOSITES and graph.scope(s).kind == "library"
        ]
        key = around[-1] if around and around[-1] not in graph.ancestry(node.scope) else consumer
        found.setdefault(key, []).append(consumer)
    return ((key if key not in consumers else "", members) for key, members in found.items())


def _composite(numbers: Numbers, node: Node, scope: str, index: Index) -> Iterator[Product]:
    graph = numbers.graph
    (*_, out) = graph.members(scope)
    name = graph.scope(scope).name
    lead = len(node.iterations)
    here, rest = index[:lead], index[lead:]
    result, gradient = numbers.value(out.id)[here], numbers.grad(out.id)[here]
    operand = numbers.value(node.id)[here]
    return iter(COMPOSITES[name](Use(out, 0, rest, here, (operand,), result, gradient), node.id))


def _from(numbers: Numbers, node: Node, consumer: str, index: Index, total: Any) -> Term:
    if consumer == OUTPUT:
        words = "It is the loss: ∂L/∂L = 1, the seed of the backward pass."
        return Term(consumer, "seed", total, (), 0, words)
    products = _trusted(numbers, _products(numbers, node, consumer, index), total)
    target = numbers.graph.node(consumer)
    words = _copied(target, len(products)) or ops.describe(rule_name(target)).words
    return _term(consumer, target.label, total, products, words)


def _copied(target: Node, count: int) -> str:
    """What is to be said of an entry that one addition adds many times: a bias, to each row of the batch."""
    if target.op not in ("add", "add_any") or count < 2:
        return ""
    if len(target.shape) == 2 and count == target.shape[0]:
        return f"It is added to each of {count} rows, and what they send back adds up."
    return f"It is added in {count} places, and what they send back adds up."


def _term(consumer: str, title: str, total: Any, products: Sequence[Product], words: str) -> Term:
    shown = _largest(products, [abs(math.prod(factor.value for factor in product)) for product in products])
    return Term(consumer, title, total, tuple(shown), len(products) - len(shown), words)


def _largest(items: Sequence[Any], sizes: Sequence[float]) -> list[Any]:
    """The few that a line has room for: all of them, or the three largest, in their own order."""
    if len(items) <= SHOWN:
        return list(items)
    chosen = sorted(range(len(items)), key=lambda i: -sizes[i])[: SHOWN - 1]
    return [items[i] for i in sorted(chosen)]


def rule_name(node: Node) -> str:
    """The row of the table that describes a node: the primitive, or a function of JAX's own with a rule of its own."""
    if node.kind in _LOOPS:
        return _LOOPS[node.kind]
    return node.label if node.param("origin") == "library" and node.label in RULES else node.op


def _products(numbers: Numbers, node: Node, consumer: str, index: Index) -> Iterator[Product]:
    target = numbers.graph.node(consumer)
    if target.kind in ("carry", "slice", "shared"):
        yield from _into_loop(numbers, node, target, index)
        return
    if target.kind == "loop":
        yield from _out_of_loop(numbers, node, target, index)
        return
    rule = RULES.get(rule_name(target))
    if rule is None or numbers.grad(target.id).size > _SPELLED_OUT:
        return
    lead = len(node.iterations)
    here, rest = index[:lead], index[lead:]
    operands = tuple(numbers.operand(source, here) for source in target.operands)
    for position, source in enumerate(target.operands or (node.id,)):
        if source == node.id:
            use = Use(
                target, position, rest, here, operands, numbers.value(target.id)[here], numbers.grad(target.id)[here]
            )
            yield from rule(use)


def _into_loop(numbers: Numbers, node: Node, entry: Node, index: Index) -> Iterator[Product]:
    """A value that a loop receives: as the first carry, one element an iteration, or the same in every iteration."""
    lead = len(node.iterations)
    here, rest = index[:lead], index[lead:]
    gradient = numbers.grad(entry.id)[here]
    if entry.kind == "slice":
        yield (Factor(gradient[rest].item(), "gradient", entry.id, index),)
        return
    first = len(gradient) - 1 if numbers.graph.reverse(entry.id) else 0
    for time in range(len(gradient)) if entry.kind == "shared" else [first]:
        yield (Factor(gradient[(time, *rest)].item(), "gradient", entry.id, (*here, time, *rest)),)


def _out_of_loop(numbers: Numbers, node: Node, out: Node, index: Index) -> Iterator[Product]:
    """A value that an iteration hands on: to the next iteration, after the last one to what follows the loop."""
    lead = len(node.iterations) - 1
    here, time, rest = index[:lead], index[lead], index[lead + 1 :]
    carried = numbers.graph.carried(out.id)
    after = numbers.grad(out.id)[here]
    if carried is None:
        yield (Factor(after[(time, *rest)].item(), "gradient", out.id, (*here, time, *rest)),)
        return
    following = time - 1 if numbers.graph.reverse(carried) else time + 1
    if 0 <= following < node.iterations[-1]:
        sent = numbers.grad(carried)[(*here, following, *rest)].item()
        yield (Factor(sent, "gradient", carried, (*here, following, *rest)),)
    else:
        yield (Factor(after[rest].item(), "gradient", out.id, (*here, *rest)),)


def _trusted(numbers: Numbers, products: Iterable[Product], total: Any) -> tuple[Product, ...]:
    """The products, if they give the number that the step computed."""
    try:
        found = tuple(products)
        value = sum(math.prod(factor.value for factor in product) for product in found)
        size = sum(abs(math.prod(factor.value for factor in product)) for product in found)
    except (ArithmeticError, ValueError, LookupError, NotImplementedError, TypeError, EngineError):
        return ()  # no rule for this form of it, or not a finite number: the step's own number is shown alone
    close = abs(value - total) <= numbers.rounding * max(size, abs(total)) + 1e-30
    return found if close else ()


def _words(graph: Graph, node: Node, terms: Sequence[Term]) -> str:
    if not graph.consumers(node.id):
        return "Nothing uses it, so it can't change the loss: its gradient is 0."
    if len(terms) == 1:
        return terms[0].words
    return f"{len(terms)} operations use it; the gradient is the sum of what they send back."


# ---- forward -------------------------------------------------------------------------------------------------------


def compute(numbers: Numbers, key: str, index: Index | None = None) -> str:
    """How one entry of a node was computed, in numbers: ``0.604 = tanh(0.7)``; empty where it has no short form."""
    node = numbers.graph.node(key)
    value = numbers.value(node.id)
    index = strongest(value) if index is None else index
    if not value.size or not node.operands or node.kind not in ("op", "custom"):
        return ""
    lead = len(node.iterations)
    here, rest = index[:lead], index[lead:]
    try:
        entries = [np.asarray(numbers.operand(source, here)) for source in node.operands]
        text = _forward(numbers.graph, node, entries, rest)
    except (IndexError, ValueError, EngineError):
        return ""
    return f"{short(value[index].item())} = {text}" if text else ""


def _forward(graph: Graph, node: Node, entries: list[Array], index: Index) -> str:
    if node.op == "dot_general":
        return _dot(node, entries, index)
    if all(entry.size == 1 for entry in entries) and math.prod(node.shape) == 1:
        shown = [short(entry.item()) for entry in entries]
    elif node.op in ORIGINS:
        shown = [short(entries[0][ORIGINS[node.op](node, entries[0].shape, index)].item())]
    elif _pointwise(graph, node):
        shown = [short(entry[within(entry, index)].item()) for entry in entries]
    else:
        return ""
    symbol = ops.describe(rule_name(node)).symbol
    if node.op in ("add", "add_any", "sub", "mul", "div"):
        return f" {symbol} ".join(f"({text})" if text.startswith("−") and i else text for i, text in enumerate(shown))
    exponent = node.param("y")
    if node.op == "integer_pow":
        return f"({shown[0]})^{exponent}"
    name = node.label if node.kind == "custom" else node.op.replace("_", " ")
    return f"{name}({', '.join(shown)})"


def _pointwise(graph: Graph, node: Node) -> bool:
    """Whether an entry is computed from those of the operands at its place; of a custom rule its body says so."""
    if node.kind != "custom":
        return node.op in POINTWISE
    body = [each for each in graph.nodes if each.id.startswith(f"{node.id}/")]
    return all(each.op in POINTWISE and each.shape in ((), node.shape) for each in body if each.inputs)


def _dot(node: Node, entries: list[Array], index: Index) -> str:
    contract, batch = node.param("dimension_numbers")
    a, b = entries
    ranks = [[axis for axis in range(e.ndim) if axis not in contract[i] + batch[i]] for i, e in enumerate(entries)]
    shared, own = index[: len(batch[0])], index[len(batch[0]) :]
    split = len(ranks[0])
    lines = []
    for operand, axes, mine, other in ((a, ranks[0], own[:split], 0), (b, ranks[1], own[split:], 1)):
        place: list[Any] = [slice(None)] * operand.ndim
        for axis, i in (*zip(axes, mine, strict=True), *zip(batch[other], shared, strict=True)):
            place[axis] = i
        lines.append(operand[tuple(place)])
    if lines[0].ndim != 1:
        return ""
    pairs = [(x.item(), y.item()) for x, y in zip(*lines, strict=True)]
    shown = _largest(pairs, [abs(x * y) for x, y in pairs])
    text = [f"{_bracket(short(x))}·{_bracket(short(y))}" for x, y in shown]
    return " + ".join([*text, f"… {len(pairs) - len(shown)} more"] if len(shown) < len(pairs) else text)


def _bracket(text: str) -> str:
    return f"({text})" if text.startswith("−") else text


def literal_text(source: str | Literal, graph: Graph) -> str:
    """An operand in a formula: a node's name or the number itself."""
    return str(source) if isinstance(source, Literal) else graph.node(source).name

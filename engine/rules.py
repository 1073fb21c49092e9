"""The derivative rules in numbers: what one consumer sends back to one entry of one operand, as a sum of products.

Each rule is written for a single entry, the way one would do it by hand: a gradient that arrived, times a factor that
the forward pass saved. Nothing that trains uses them; a sentence shows one only if it gives the number that the step
computed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from engine.moves import MOVES
from engine.text import raised
from engine.use import MINUS_ONE, ONE, ZERO, Factor, Product, Rule, Use, spread


def _of_operand(text: str, local: Callable[[Any], Any]) -> Rule:
    """A function of one operand whose slope follows from the operand."""
    return lambda use: [(use.arrived(use.index), use.saved(use.position, use.index, local, text))]


def _of_result(text: str, local: Callable[[Any], Any]) -> Rule:
    """A function of one operand whose slope follows from its result."""
    return lambda use: [(use.arrived(use.index), use.kept(use.index, local, text))]


def _passes(use: Use) -> list[Product]:
    return [(use.arrived(use.index), ONE)]


def _sub(use: Use) -> list[Product]:
    return [(use.arrived(use.index), MINUS_ONE if use.position else ONE)]


def _neg(use: Use) -> list[Product]:
    return [(use.arrived(use.index), MINUS_ONE)]


def _mul(use: Use) -> list[Product]:
    return [(use.arrived(use.index), use.saved(1 - use.position, use.index))]


def _div(use: Use) -> list[Product]:
    over = use.saved(1, use.index, lambda b: 1 / b, "1/b")
    if use.position == 0:
        return [(use.arrived(use.index), over)]
    return [(use.arrived(use.index), use.kept(use.index, lambda y: -y, "−y"), over)]


def _choice(better: Callable[[Any, Any], bool]) -> Rule:
    """``max`` and ``min`` of two: the gradient goes to the chosen one, half to each where they are equal."""

    def rule(use: Use) -> list[Product]:
        mine, other = use.entry(use.position), use.entry(1 - use.position)
        share = 0.5 if mine == other else float(better(mine, other))
        return [(use.arrived(use.index), Factor(share, "number"))]

    return rule


def _integer_pow(use: Use) -> list[Product]:
    n = use.consumer.param("y")
    return [(use.arrived(use.index), use.saved(0, use.index, lambda a: n * a ** (n - 1), f"{n}·a{_power(n - 1)}"))]


def _power(n: int) -> str:
    return "" if n == 1 else raised(n)


def _pow(use: Use) -> list[Product]:
    b = use.saved(1, use.index)
    a = use.saved(0, use.index)
    if use.position == 0:
        slope = dataclasses.replace(a, value=a.value ** (b.value - 1), text="a^(b−1)")
        return [(use.arrived(use.index), b, slope)]
    return [(use.arrived(use.index), use.kept(use.index), use.saved(0, use.index, math.log, "ln a"))]


def _relu(use: Use) -> list[Product]:
    return [(use.arrived(use.index), Factor(float(use.here[use.index] > 0), "number"))]


def _dot_general(use: Use) -> list[Product]:
    (contract, batch) = use.consumer.param("dimension_numbers")
    mine, theirs = use.position, 1 - use.position
    shapes = [np.shape(operand) for operand in use.operands]
    free = [[axis for axis in range(len(s)) if axis not in contract[i] + batch[i]] for i, s in enumerate(shapes)]
    own = tuple(use.index[axis] for axis in free[mine])
    shared = tuple(use.index[axis] for axis in batch[mine])
    products: list[Product] = []
    for along in np.ndindex(*(shapes[theirs][axis] for axis in free[theirs])):
        partner = dict(zip(batch[theirs], shared, strict=True)) | dict(zip(free[theirs], along, strict=True))
        partner |= {b: use.index[a] for a, b in zip(contract[mine], contract[theirs], strict=True)}
        result = shared + (own + along if mine == 0 else along + own)
        there = (partner[axis] for axis in range(len(shapes[theirs])))
        products.append((use.arrived(result), use.saved(theirs, there)))
    return products


def _select(use: Use) -> list[Product]:
    chosen = int(use.entry(0)) == use.position - 1
    return [(use.arrived(use.index), ONE if chosen else ZERO)]


def _clamp(use: Use) -> list[Product]:
    inside = use.entry(0) < use.entry(1) < use.entry(2)
    return [(use.arrived(use.index), ONE if inside and use.position == 1 else ZERO)]


_ROOT_PI = 2 / math.sqrt(math.pi)

RULES: dict[str, Rule] = {
    **MOVES,
    **dict.fromkeys(("name", "convert_element_type", "copy", "copy_p", "optimization_barrier"), _passes),
    **dict.fromkeys(("sharding_constraint", "reduce_precision", "pvary", "cond"), _passes),
    **dict.fromkeys(("add", "add_any"), spread(_passes)),
    "sub": spread(_sub),
    "neg": _neg,
    "mul": spread(_mul),
    "div": spread(_div),
    "max": spread(_choice(lambda a, b: a > b)),
    "min": spread(_choice(lambda a, b: a < b)),
    "integer_pow": _integer_pow,
    "pow": spread(_pow),
    "relu": _relu,
    "square": _of_operand("2a", lambda a: 2 * a),
    "sqrt": _of_result("1/(2y)", lambda y: 0.5 / y),
    "rsqrt": lambda use: [(use.arrived(use.index), use.kept(use.index, lambda y: -0.5 * y**3, "−½y³"))],
    "cbrt": _of_result("1/(3y²)", lambda y: 1 / (3 * y * y)),
    "abs": _of_operand("sign a", lambda a: math.copysign(1.0, a) if a else 0.0),
    "exp": _of_result("", lambda y: y),
    "exp2": _of_result("y·ln 2", lambda y: y * math.log(2)),
    "expm1": _of_result("y + 1", lambda y: y + 1),
    "log": _of_operand("1/a", lambda a: 1 / a),
    "log1p": _of_operand("1/(1+a)", lambda a: 1 / (1 + a)),
    "tanh": _of_result("1 − y²", lambda y: 1 - y * y),
    "logistic": _of_result("y(1−y)", lambda y: y * (1 - y)),
    "sin": _of_operand("cos a", math.cos),
    "cos": _of_operand("−sin a", lambda a: -math.sin(a)),
    "tan": _of_result("1 + y²", lambda y: 1 + y * y),
    "sinh": _of_operand("cosh a", math.cosh),
    "cosh": _of_operand("sinh a", math.sinh),
    "asin": _of_operand("1/√(1−a²)", lambda a: 1 / math.sqrt(1 - a * a)),
    "acos": _of_operand("−1/√(1−a²)", lambda a: -1 / math.sqrt(1 - a * a)),
    "atan": _of_operand("1/(1+a²)", lambda a: 1 / (1 + a * a)),
    "asinh": _of_operand("1/√(a²+1)", lambda a: 1 / math.sqrt(a * a + 1)),
    "acosh": _of_operand("1/√(a²−1)", lambda a: 1 / math.sqrt(a * a - 1)),
    "atanh": _of_operand("1/(1−a²)", lambda a: 1 / (1 - a * a)),
    "erf": _of_operand("2/√π·e^(−a²)", lambda a: _ROOT_PI * math.exp(-a * a)),
    "erfc": _of_operand("−2/√π·e^(−a²)", lambda a: -_ROOT_PI * math.exp(-a * a)),
    "dot_general": _dot_general,
    "select_n": spread(_select),
    "clamp": spread(_clamp),
}

POINTWISE = (RULES.keys() - MOVES.keys() - {"dot_general", "cond"}).union(
    ("eq", "ne", "lt", "le", "gt", "ge", "and", "or", "xor", "not", "is_finite", "stop_gradient"),
    ("sign", "floor", "ceil", "round", "rem", "real", "imag", "conj", "complex"),
    ("atan2", "erf_inv", "lgamma", "digamma", "nextafter"),
)
"""Operations each of whose entries is computed from its operands' entries at the same place, or from single numbers."""


def _line(use: Use) -> Any:
    return (*use.index[:-1], slice(None))


def _softmax(use: Use, operand: str) -> list[Product]:
    """Its probability, times how far its gradient is from the average one."""
    p, g = use.result[_line(use)], use.gradient[_line(use)]
    mean = float(np.sum(p * g))
    return [
        (
            dataclasses.replace(use.arrived(use.index), value=g[use.index[-1]].item() - mean, text="g − Σ p·g"),
            use.kept(use.index),
        )
    ]


def _log_softmax(use: Use, operand: str) -> list[Product]:
    """Its own gradient, less its probability's share of all of them."""
    total = float(np.sum(use.gradient[_line(use)]))
    everyone = dataclasses.replace(use.arrived(use.index), value=-total, text="−Σ g")
    return [(use.arrived(use.index), ONE), (everyone, use.kept(use.index, math.exp, "eʸ"))]


def _logsumexp(use: Use, operand: str) -> list[Product]:
    """The gradient of the sum, times the entry's share of it."""
    result = use.result[use.index[:-1]].item()
    share = Factor(math.exp(use.here[use.index].item() - result), "saved", operand, use.lead + use.index, "e^(a−y)")
    return [(use.arrived(use.index[:-1]), share)]


COMPOSITES: dict[str, Callable[[Use, str], Iterable[Product]]] = {
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "logsumexp": _logsumexp,
}
"""Functions of JAX that a reader takes for one operation, along the last axis."""

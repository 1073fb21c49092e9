"""Marking a prediction: right, or which mistake it shows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from explorer.lessons.lesson import EXTREMES, Ask
from explorer.lessons.vocabulary import literal

SAME = 0.02
"""How near a wrong number must come to that of a hint, as a share of it, or to the right one if that is stricter."""

Value = float | int | str


NO_NUMBER = "Write a number, such as 0.5, −2 or 3/4."


@dataclasses.dataclass(frozen=True)
class Sheet:
    """By what the answers to a question are marked, in one run."""

    right: float | str
    hints: tuple[tuple[float | str, str], ...]
    """For each mistake the number, sign or option that gives it away, and what to say of it."""
    otherwise: str
    """What to say of any other."""
    tolerance: float = 0.0
    """How far a number may be off, as a share of the right one."""


@dataclasses.dataclass(frozen=True)
class Mark:
    """What became of an answer."""

    right: bool
    hint: str = ""
    """What to say of the mistake, its placeholders not yet filled."""


def right(ask: Ask, values: Mapping[str, Value]) -> str:
    """The right answer, as it is given: a number as text, a sign, an option.

    Args:
        ask: what was asked.
        values: the lesson's numbers in this run.
    """
    if ask.kind == "number":
        return repr(_number(values[ask.answer]))
    if ask.kind == "sign":
        return sign(_number(values[ask.answer]))
    if ask.answer not in EXTREMES:
        return ask.answer
    sizes = [_number(values[name]) for name in ask.of]
    return ask.options[sizes.index((max if ask.answer == "largest" else min)(sizes))]


def sheet(ask: Ask, values: Mapping[str, Value]) -> Sheet:
    """By what answers are marked, in this run.

    Args:
        ask: what was asked.
        values: the lesson's numbers in this run.
    """
    if ask.kind != "number":
        return Sheet(right(ask, values), tuple((hint.when, hint.says) for hint in ask.hints), ask.otherwise)
    hints = []
    for hint in ask.hints:
        shown = literal(hint.when)
        hints.append((_number(values[hint.when]) if shown is None else shown, hint.says))
    return Sheet(_number(values[ask.answer]), tuple(hints), ask.otherwise, ask.tolerance)


def mark(marked: Sheet, given: str) -> Mark:
    """What is to be said of an answer.

    Args:
        marked: by what answers are marked.
        given: as it was typed or chosen.
    """
    if not isinstance(marked.right, str):
        return _numeric(marked, given)
    if given == marked.right:
        return Mark(True)
    return Mark(False, next((says for when, says in marked.hints if when == given), marked.otherwise))


def sign(value: float) -> str:
    """``positive``, ``negative`` or ``zero``."""
    return "positive" if value > 0 else "negative" if value < 0 else "zero"


def typed(text: str) -> float | None:
    """The number that somebody typed: with a decimal point or comma, a true minus, a fraction, or a percent sign."""
    plain = text.strip().replace("−", "-").replace("–", "-").replace(",", ".").replace(" ", "")
    share = plain.endswith("%")
    above, _, below = plain.removesuffix("%").partition("/")
    top, bottom = literal(above), literal(below) if below else 1.0
    if top is None or not bottom:
        return None
    value = top / bottom / (100 if share else 1)
    return value if math.isfinite(value) else None


def _numeric(marked: Sheet, given: str) -> Mark:
    number = typed(given)
    if number is None:
        return Mark(False, NO_NUMBER)
    if _near(number, marked.right, marked.tolerance):
        return Mark(True)
    strict = min(SAME, marked.tolerance)
    return Mark(False, next((says for when, says in marked.hints if _near(number, when, strict)), marked.otherwise))


def _near(given: float, wanted: float | str, share: float) -> bool:
    return not isinstance(wanted, str) and math.isclose(given, wanted, rel_tol=share, abs_tol=1e-12 if wanted else 1e-6)


def _number(value: Value) -> float:
    return math.nan if isinstance(value, str) else float(value)

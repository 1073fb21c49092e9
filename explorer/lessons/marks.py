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


def mark(ask: Ask, given: str, values: Mapping[str, Value]) -> Mark:
    """What is to be said of an answer.

    Args:
        ask: what was asked.
        given: as it was typed or chosen.
        values: the lesson's numbers in this run.
    """
    if ask.kind == "number":
        return _numeric(ask, given, values)
    if given == right(ask, values):
        return Mark(True)
    return Mark(False, next((hint.says for hint in ask.hints if hint.when == given), ask.otherwise))


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


def _numeric(ask: Ask, given: str, values: Mapping[str, Value]) -> Mark:
    number, wanted = typed(given), _number(values[ask.answer])
    if number is None:
        return Mark(False, "Write a number, such as 0.5, −2 or 3/4.")
    if _near(number, wanted, ask.tolerance):
        return Mark(True)
    for hint in ask.hints:
        shown = literal(hint.when)
        if _near(number, _number(values[hint.when]) if shown is None else shown, min(SAME, ask.tolerance)):
            return Mark(False, hint.says)
    return Mark(False, ask.otherwise)


def _near(given: float, wanted: float, share: float) -> bool:
    return math.isclose(given, wanted, rel_tol=share, abs_tol=1e-12 if wanted else 1e-6)


def _number(value: Value) -> float:
    return math.nan if isinstance(value, str) else float(value)

"""Numbers and tables as people read them: as text, and for notebooks as HTML. What comes in is text, never markup."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

MOST = 60
"""Rows of a table that a notebook shows; of more, the first ones."""


def raised(number: int) -> str:
    """A whole number as an exponent: ``⁻²``."""
    return str(number).translate(_RAISED)


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def short(value: Any) -> str:
    """A number as people write it, with three significant digits: ``0.31``, ``−2.25e−9``, ``∞``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, complex):
        sign = "−" if value.imag < 0 else "+"
        return f"({short(value.real)} {sign} {short(abs(value.imag))}i)"
    if isinstance(value, int):
        return str(value).replace("-", "−")
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    value += 0.0  # no negative zero
    text = f"{float(f'{value:.3g}'):g}" if value == 0 or 1e-4 <= abs(value) < 1e5 else f"{value:.2e}"
    mantissa, e, exponent = text.partition("e")
    if e:
        return f"{mantissa}e{int(exponent)}".replace("-", "−")
    return text.replace("-", "−")


def amount(value: float, unit: str) -> str:
    """A quantity with its unit: ``18.3 MB``, ``1.13 GFLOP``."""
    thousands = min(int(math.log10(value)) // 3, len(_PREFIXES) - 1) if value >= 1 else 0
    return f"{short(value / 1000**thousands)} {_PREFIXES[thousands]}{unit}"


_PREFIXES = ("", "k", "M", "G", "T", "P")


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> str:
    """A table in HTML: bold title, rows, and what is to be said below.

    Args:
        title: one line.
        head: what each column holds.
        rows: texts; of more than :data:`MOST` the first ones are shown, and how many follow.
        note: a sentence.
    """
    shown = [_row("td", row) for row in rows[:MOST]]
    more = f"… and {len(rows) - MOST} more" if len(rows) > MOST else ""
    body = f"<table><thead>{_row('th', head)}</thead><tbody>{''.join(shown)}</tbody></table>" if rows else ""
    return "".join([paragraph(title, strong=True), body, *(paragraph(text) for text in (more, note) if text)])


def paragraph(text: str, strong: bool = False) -> str:
    """A line of text in HTML."""
    return f"<p><b>{escape(text)}</b></p>" if strong else f"<p>{escape(text)}</p>"


def listed(texts: Iterable[str]) -> str:
    """A list in HTML; nothing where there is nothing to list."""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""


def _row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"

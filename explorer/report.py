"""A run as text for a terminal, made of the plain data that ``--json`` prints."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from engine.health import factor_table
from engine.numbers import short
from engine.tasks import usual
from explorer import theme
from explorer.options import written

Plain = Mapping[str, Any]

WIDTH = 110
BAR = 30
"""Characters from one end of the fixed scale to the other."""


def report(shown: Plain) -> str:
    """A run in words: how far it came, its gradients by layer, what is wrong with it and what to do.

    Args:
        shown: of :func:`explorer.headless.plain`.
    """
    parts = [[_title(shown)], _course(shown), profile(shown["profile"])]
    parts += [finding(each) for each in shown["findings"]] or [["No trouble found."] if shown["step"] else []]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _title(shown: Plain) -> str:
    task = shown["settings"].get("task")
    usual_ones = vars(usual(task)) if task and task != "csv" else {}
    own = {name: value for name, value in shown["settings"].items() if value != usual_ones.get(name, value)}
    steps = f"{shown['step']:,} step{'' if shown['step'] == 1 else 's'}"
    return f"{shown['title']}, {steps}{': ' if own else ''}{written(own)}"


def _course(shown: Plain) -> list[str]:
    losses, accuracy = shown["loss"], shown["accuracy"]
    lines = [f"loss      {_short(losses[0])} → {_short(losses[-1])}"] if losses else []
    if shown["devices"] > 1 or shown["micro_batches"] > 1:
        memory = ", the optimiser's memory divided" if shown["divided_memory"] else ""
        pieces = f", at least {shown['micro_batches']} micro-batches on each" if shown["micro_batches"] > 1 else ""
        lines.append(f"devices   {shown['devices']}{pieces}{memory}")
    if accuracy["train"] is not None:
        tested = "" if accuracy["test"] is None else f", {_short(accuracy['test'])} on the test set"
        lines.append(f"accuracy  {_short(accuracy['train'])}{tested}")
    if scaling := shown["scaling"]:
        left = f", {scaling['skipped']:,} steps left out as a gradient overflowed" if scaling["skipped"] else ""
        lines.append(f"loss scale {scaling['factor']:,.0f}{left}")
    return lines


def profile(shown: Plain) -> list[str]:
    """The gradient of each layer at the last step that was recorded, with a bar on the fixed logarithmic scale."""
    if not shown["layers"] or not shown["steps"]:
        return []
    low, high = (short(10.0**power) for power in (theme.LOW, theme.HIGH))
    size, last = max(map(len, shown["layers"])), shown["gradient_rms"][-1]
    lines = [
        f"Gradient by layer at step {shown['steps'][-1]:,}: root mean square, bars on a log scale, {low} to {high}"
    ]
    pairs = zip(shown["layers"], last, strict=True)
    return lines + [f"  {name:{size}}  {_short(value):>9}  {_bar(value)}".rstrip() for name, value in pairs]


def finding(shown: Plain) -> list[str]:
    """What is wrong, why, and what to do."""
    lines = [f"{shown['kind'].replace('_', ' ').capitalize()}: {shown['cause']}", *_wrapped(shown["sentence"])]
    if shown["factors"]:
        lines += ["", *factors(shown["factors"])]
    if shown["effects"]:
        lines += ["", "  What follows from it", *(line for effect in shown["effects"] for line in _item(effect))]
    if shown["remedies"]:
        lines += ["", "  What to do", *(line for remedy in shown["remedies"] for line in _remedy(remedy))]
    return lines


def factors(shown: Sequence[Plain]) -> list[str]:
    """The factors of each ratio as a table; those that are 1 for every layer are left out."""
    rows = factor_table(shown)
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(_cells(row, sizes)).rstrip() for row in rows]


def _cells(row: Sequence[str], sizes: Sequence[int]) -> list[str]:
    """Names to the left, numbers to the right."""
    pairs = enumerate(zip(row, sizes, strict=True))
    return [text.ljust(size) if place < 2 else text.rjust(size) for place, (text, size) in pairs]


def _remedy(remedy: Plain) -> list[str]:
    change = remedy["change"]
    return _item(f"{remedy['label']}{': ' if change else ''}{written(change)}")


def _item(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


def _short(value: Any) -> str:
    return "—" if value is None else short(float(value))


def _bar(value: Any) -> str:
    """Nothing for zero and what isn't finite, a hair for what is below the scale."""
    if value is None or isinstance(value, str) or not value > 0:
        return ""
    eighths = max(round(8 * BAR * theme.level(value)), 1)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()

"""The numbers that a lesson can speak of: a closed vocabulary, written ``verb operands [entry]``.

``grad w``, ``value layer.0 [2, 1]``, ``ratio after before``, ``at 100 loss``. Nothing of it is ever evaluated as code.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Sequence


class WordingError(ValueError):
    """A reading isn't written as it must be; the message is a sentence."""


@dataclasses.dataclass(frozen=True)
class Verb:
    """One kind of reading."""

    operands: str
    """What follows it, as one writes it: ``NODE`` a node's name or ``layer.K``, ``NUMBER`` the name of a number that is
    defined before or a number itself; with ``…`` one or more of them."""
    words: str
    entry: bool = False
    """Whether ``[i, j]`` may follow: the entry of an array. A single number needs none."""


VERBS: dict[str, Verb] = {
    "value": Verb("NODE", "the forward value", entry=True),
    "grad": Verb("NODE", "the gradient of the loss with respect to it", entry=True),
    "sent": Verb("NODE CONSUMER", "what one consumer sends back: its part of the gradient", entry=True),
    "rms_value": Verb("NODE", "root mean square of all entries of the value"),
    "rms_grad": Verb("NODE", "root mean square of all entries of the gradient"),
    "zeros": Verb("NODE", "share of the value's entries that are exactly zero"),
    "zero_grads": Verb("NODE", "share of the gradient's entries that are exactly zero"),
    "dead": Verb("NODE", "share of units (places of the last axis) that are zero for every example"),
    "new": Verb("PARAMETER", "the parameter after the update", entry=True),
    "update": Verb("PARAMETER", "what the update adds to it", entry=True),
    "rms_update": Verb("PARAMETER", "root mean square of what the update adds to it"),
    "gradient_norm": Verb("", "length of the whole gradient, all parameters together"),
    "loss": Verb("", "the loss of this pass"),
    "loss_after": Verb("", "the loss on the same examples after this step's update"),
    "accuracy": Verb("SET", "share of right answers, on the set `train` or `test`"),
    "layers": Verb("", "how many layers there are"),
    "parameters": Verb("", "how many numbers are trained"),
    "setting": Verb("NAME", "a setting, such as `rate`"),
    "finding": Verb("PART", "`kind` or `cause` of what is wrong with the run, or `none`"),
    "factor": Verb("LAYER PART", "what a layer does to the gradient on its way back: `slope`, `weights` or `measured`"),
    "through": Verb("MOMENTS", "root mean square of the gradient at a loop's state, so many moments before its end"),
    "forward_difference": Verb("PARAMETER STEP", "its slope, by a loss one step further", entry=True),
    "central_difference": Verb("PARAMETER STEP", "its slope, by losses a step to either side", entry=True),
    "cost": Verb("PART", "what a step costs, counted"),
    "cost_of": Verb("SCOPE PART", "what a scope of the graph costs"),
    "milliseconds": Verb("PART", "how long it takes on this machine"),
    "number": Verb("NUMBER", "the number itself"),
    "sum": Verb("NUMBER…", "of two or more"),
    "difference": Verb("NUMBER NUMBER", "the first minus the second"),
    "product": Verb("NUMBER…", "of two or more"),
    "ratio": Verb("NUMBER NUMBER", "the first divided by the second"),
    "power": Verb("NUMBER NUMBER", "the first to the power of the second"),
    "negative": Verb("NUMBER", "with the other sign"),
    "size": Verb("NUMBER", "without its sign"),
    "percent": Verb("NUMBER", "a hundred times as much"),
    "shown": Verb("NUMBER", "as texts show it: rounded"),
}
"""Every verb, and what it reads of the pass that is shown."""

PREFIXES = {
    "at": Verb("STEP", "the same at the pass after that many steps: `at 100 loss`"),
    "other": Verb("", "the same of the second run of a comparison: `other loss`"),
    "having": Verb("NAME=VALUE", "the cost with another setting: `having depth=8 cost kept`"),
    "share": Verb("DEVICE/DEVICES", "the same on the examples of one of several devices: `share 0/4 loss`"),
    "with": Verb("NAME=VALUE", "the same with another optimiser, rate or clipping: `with optimizer=adam update w`"),
}
"""What may stand before a reading, several times too."""

_ENTRY = re.compile(r"\s*\[([-\d,\s]*)\]$")


@dataclasses.dataclass(frozen=True)
class Reading:
    """One number to be read."""

    verb: str
    operands: tuple[str, ...]
    entry: tuple[int, ...] | None = None
    prefixes: tuple[tuple[str, str], ...] = ()
    """Those before it, the outer one first, each with its operand."""


def parse(text: str) -> Reading:
    """A reading from its text.

    Raises:
        WordingError: it is none.
    """
    bracket = _ENTRY.search(text)
    words = (text[: bracket.start()] if bracket else text).split()
    prefixes: list[tuple[str, str]] = []
    while words and words[0] in PREFIXES:
        prefix = words.pop(0)
        takes = bool(PREFIXES[prefix].operands)
        if takes and not words:
            raise WordingError(f"{text!r} ends too soon: write `{prefix} {PREFIXES[prefix].operands} READING`.")
        prefixes.append((prefix, _fitting(prefix, words.pop(0)) if takes else ""))
    verb, *operands = words or [""]
    _check(text, verb, operands, bool(bracket))
    entry = tuple(int(part) for part in bracket[1].replace(",", " ").split()) if bracket else None
    return Reading(verb, tuple(operands), entry, tuple(prefixes))


def referred(reading: Reading) -> tuple[str, ...]:
    """The names of numbers that one is made of."""
    given = reading.operands if "NUMBER" in VERBS[reading.verb].operands else ()
    return tuple(name for name in given if literal(name) is None)


def literal(text: str) -> float | None:
    """The number that a text is, if it is one."""
    try:
        return float(text)
    except ValueError:
        return None


def suggestion(word: str, known: Sequence[str]) -> str:
    """`` Did you mean …?`` where something is near, else what there is."""
    near = difflib.get_close_matches(word, known, 1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}."


def _fitting(prefix: str, operand: str) -> str:
    if prefix == "at" and not operand.isdecimal():
        raise WordingError(f"`at {operand}`: write the number of a step, as in `at 100 loss`.")
    if prefix == "share" and not re.fullmatch(r"\d+/\d+", operand):
        raise WordingError(f"`share {operand}`: write a device and how many there are, as in `share 0/4 loss`.")
    if prefix in ("with", "having") and "=" not in operand:
        example = {"with": "with optimizer=adam update w", "having": "having depth=8 cost kept"}[prefix]
        raise WordingError(f"`{prefix} {operand}`: write a setting, as in `{example}`.")
    return operand


def _check(text: str, verb: str, operands: Sequence[str], entry: bool) -> None:
    if verb not in VERBS:
        raise WordingError(f"{text!r} begins with {verb!r}, which reads nothing; {suggestion(verb, tuple(VERBS))}")
    form = VERBS[verb].operands
    wanted = form.split()
    fits = len(operands) >= 2 if form.endswith("…") else len(operands) == len(wanted)
    if not fits:
        raise WordingError(f"{text!r} has {len(operands)} operands: write `{' '.join([verb, *wanted])}`.")
    if entry and not VERBS[verb].entry:
        raise WordingError(f"{text!r} names an entry, and {verb} is one number: leave the brackets out.")

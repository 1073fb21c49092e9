"""The numbers of a lesson, read from a run: what each verb of the vocabulary means."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from engine import factors, optimisers, profile
from engine.cost import approximate
from engine.divisible import divisible
from engine.errors import EngineError
from engine.graph import Node
from engine.numbers import Numbers, short
from engine.shares import Split, shares
from engine.tasks import Settings
from engine.training import Step, TrainState, trainer
from explorer.form import typed
from explorer.lessons import costs
from explorer.lessons.vocabulary import Reading, literal
from explorer.room import Room

Read = float | int | str


class ReadingError(EngineError, ValueError):
    """A lesson asks for a number that this run doesn't have."""


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
    """One pass of a run, as readings see it."""

    room: Room
    step: Step
    named: Mapping[str, Reading]
    """The numbers that readings can refer to."""
    other: Room | None = None
    changed: Settings | None = None
    """Of the problem whose costs are read, if they aren't those of the run."""

    @property
    def numbers(self) -> Numbers:
        """The numbers of the pass."""
        return Numbers(self.step.reading)

    @property
    def settings(self) -> Settings:
        """Of the problem whose costs are read.

        Raises:
            ReadingError: it is a function of one's own.
        """
        found = self.changed or self.room.settings
        if not isinstance(found, Settings):
            raise ReadingError("A lesson reads the costs of a task, and this is a function of one's own.")
        return found

    def node(self, name: str) -> Node:
        """A node by its name (:func:`node_of`).

        Raises:
            EngineError: there is no such node or layer.
        """
        return node_of(self.room, name)

    def leaf(self, name: str) -> int:
        """Which of the trained leaves has this name.

        Raises:
            ReadingError: none has.
        """
        id = self.node(name).id
        if id not in self.room.parameters:
            raise ReadingError(f"{name} is no parameter.")
        return self.room.parameters.index(id)


def node_of(room: Room, name: str) -> Node:
    """A node of a run by its name; ``layer.2`` is what the third layer computes, before its normalisation and
    activation, ``end.2`` what it hands on after them, and ``layer.-1`` the last one.

    Raises:
        EngineError: there is no such node or layer.
    """
    kind, _, place = name.partition(".")
    ends = {"layer": [layer.output for layer in room.layers], "end": list(room.ends)}.get(kind)
    if ends is None or literal(place) is None:
        return room.graph.node(name)
    if not -len(ends) <= int(place) < len(ends):
        raise ReadingError(f"There is no {name}; the network has {len(ends)} layers, counted from 0.")
    return room.graph.node(ends[int(place)])


def read(seen: Seen, reading: Reading) -> Read:
    """What a reading is in a pass: a number, or for some a word.

    Raises:
        EngineError: the run has nothing of the kind.
    """
    for prefix, operand in reading.prefixes:
        seen = _ELSEWHERE[prefix](seen, operand)
    return _READ[reading.verb](seen, reading)


WHOLE, LONG = 1000, 10_000
"""From here on numbers are told without what follows the point, and in groups of three."""


def told(value: Read) -> str:
    """A reading as prose has it."""
    if isinstance(value, str):
        return value
    if not WHOLE <= value < math.inf:
        return short(value)
    return str(round(value)) if value < LONG else approximate(round(value))


# ---- prefixes ------------------------------------------------------------------------------------------------------


def _at(seen: Seen, step: str) -> Seen:
    return dataclasses.replace(seen, step=seen.room.pass_at(int(step)))


def _other(seen: Seen, nothing: str) -> Seen:
    if seen.other is None:
        raise ReadingError("There is no second run here: the beat's position begins one with compare = { … }.")
    return dataclasses.replace(
        seen, room=seen.other, step=seen.other.pass_at(seen.other.step), other=None, changed=None
    )


def _with(seen: Seen, change: str) -> Seen:
    """The same gradient, and the update that another optimiser makes of it as its first."""
    name, _, text = change.partition("=")
    controls = seen.room.run.controls.changed(**typed(name, text))
    before, run = seen.step.before, seen.room.run
    held = before.params, run.loop.remember(controls, before.params)
    dials = controls.dials(run.loop.names)
    params, memory = optimisers.update(controls.method, dials, np.int32(before.step), held, seen.step.grads)
    return dataclasses.replace(
        seen, step=dataclasses.replace(seen.step, after=TrainState(params, memory, before.step + 1))
    )


def _having(seen: Seen, change: str) -> Seen:
    name, _, text = change.partition("=")
    return dataclasses.replace(seen, changed=dataclasses.replace(seen.settings, **typed(name, text)).checked())


def _share(seen: Seen, operand: str) -> Seen:
    """The same pass on the examples that one of several devices takes."""
    device, devices = map(int, operand.split("/"))
    given = seen.room.problem
    divisible(given)
    if given.part or not 0 <= device < devices <= len(np.asarray(given.rows(0))):
        raise ReadingError(f"share {operand}: devices are counted from 0, each has examples, and nothing is dropped.")
    own = shares(len(np.asarray(given.rows(0))), Split(devices)).of(device)
    part = dataclasses.replace(given, rows=lambda step: np.asarray(given.rows(step))[own])
    made = given.once(("share", operand), lambda: trainer(part, seen.room.run.controls))
    return dataclasses.replace(seen, step=made.advance(seen.step.before, seen.room.run.controls))


_ELSEWHERE: Mapping[str, Callable[[Seen, str], Seen]] = {
    "at": _at,
    "other": _other,
    "having": _having,
    "share": _share,
    "with": _with,
}


# ---- verbs ---------------------------------------------------------------------------------------------------------


def _entry(array: Any, reading: Reading) -> float:
    """The entry that is named, or the only one."""
    array = np.asarray(array)
    if reading.entry is None and array.size == 1:
        return float(array.reshape(-1)[0])
    if reading.entry is None or len(reading.entry) != array.ndim:
        raise ReadingError(f"{reading.operands[0]} has the shape {list(array.shape)}: name one of its entries.")
    try:
        return float(array[reading.entry])
    except IndexError:
        raise ReadingError(
            f"{reading.operands[0]} has no entry {list(reading.entry)}; its shape is {list(array.shape)}."
        ) from None


def _sent(seen: Seen, reading: Reading) -> float:
    node, consumer = (seen.node(name) for name in reading.operands)
    parts = seen.numbers.contributions(node.id)
    if consumer.id not in parts:
        raise ReadingError(f"{consumer.name} doesn't use {node.name}.")
    return _entry(parts[consumer.id], reading)


def _dead(seen: Seen, reading: Reading) -> float:
    array = np.asarray(seen.numbers.value(seen.node(reading.operands[0]).id))
    return float(np.mean(np.all(array.reshape(-1, array.shape[-1]) == 0, axis=0)))


def _of_leaf(seen: Seen, reading: Reading) -> tuple[Any, Any]:
    """A parameter before and after the update, in double precision."""
    place = seen.leaf(reading.operands[0])
    pair = (jax.tree.leaves(state.params)[place] for state in (seen.step.before, seen.step.after))
    before, after = (np.asarray(leaf, np.float64) for leaf in pair)
    return before, after


def _update(seen: Seen, reading: Reading) -> float:
    before, after = _of_leaf(seen, reading)
    return _entry(after - before, reading)


def _rms_update(seen: Seen, reading: Reading) -> float:
    before, after = _of_leaf(seen, reading)
    return factors.rms(after - before)


def _gradient_norm(seen: Seen, reading: Reading) -> float:
    return math.sqrt(sum(float(np.sum(np.asarray(leaf, np.float64) ** 2)) for leaf in jax.tree.leaves(seen.step.grads)))


def _accuracy(seen: Seen, reading: Reading) -> float:
    found = dict(zip(("train", "test"), seen.room.run.evaluate()[2:], strict=True))
    if reading.operands[0] not in found:
        raise ReadingError(f"accuracy {reading.operands[0]}: the sets are train and test.")
    return float(found[reading.operands[0]])


def _setting(seen: Seen, reading: Reading) -> Read:
    name = reading.operands[0]
    held = seen.room.run.controls if hasattr(seen.room.run.controls, name) else seen.room.settings
    if not hasattr(held, name):
        raise ReadingError(f"There is no setting {name!r}.")
    value = getattr(held, name)
    return value if isinstance(value, float | int | str) else str(value)


def _finding(seen: Seen, reading: Reading) -> str:
    found = seen.room.findings(seen.step)
    if reading.operands[0] not in ("kind", "cause"):
        raise ReadingError(f"finding {reading.operands[0]}: a lesson can read its kind and its cause.")
    return str(getattr(found[0], reading.operands[0])).replace("_", " ") if found else "none"


def _factor(seen: Seen, reading: Reading) -> float:
    layer, part = reading.operands
    name = {"slope": "activation_slope", "weights": "weight_gain", "measured": "measured"}.get(part)
    if name is None:
        raise ReadingError(f"factor {layer} {part}: the parts are slope, weights and measured.")
    output = seen.node(layer).id
    called = next((own.name for own in seen.room.layers if own.output == output), "")
    found = [each for each in factors.factors(seen.numbers, seen.room.parameters) if each.layer == called]
    if not found:
        raise ReadingError(f"No gradient comes back to {layer} from a layer above it.")
    return float(getattr(found[0], name))


def _through(seen: Seen, reading: Reading) -> float:
    found = profile.through(seen.step.reading)
    if not found:
        raise ReadingError("Nothing here goes through time: a network over time has a loop.")
    back = literal(reading.operands[0])
    gradient = found[0].gradient[::-1]
    if back is None or not 0 <= back < len(gradient):
        raise ReadingError(f"through {reading.operands[0]}: the loop has {len(gradient)} moments, counted back from 0.")
    return float(gradient[int(back)])


def _slope(sides: tuple[int, int]) -> Callable[[Seen, Reading], float]:
    """The slope along one entry by a difference of losses, computed as one would write it down."""

    def read(seen: Seen, reading: Reading) -> float:
        size = literal(reading.operands[1])
        if not size:
            raise ReadingError(f"{reading.operands[1]} is no size of a step: write one such as 1e-3.")
        losses = [float(seen.step.evaluate(_moved(seen, reading, side * size))) for side in sides]
        return (losses[0] - losses[1]) / ((sides[0] - sides[1]) * size)

    return read


def _moved(seen: Seen, reading: Reading, by: float) -> TrainState:
    """The state before the step, one entry of a parameter moved."""
    place, before = seen.leaf(reading.operands[0]), seen.step.before
    leaves, tree = jax.tree.flatten(before.params)
    array = np.array(leaves[place])
    if not 0 <= len(reading.entry or ()) == array.ndim:
        raise ReadingError(f"{reading.operands[0]} has the shape {list(array.shape)}: name one of its entries.")
    array[reading.entry or ()] += array.dtype.type(by)
    leaves[place] = array
    return dataclasses.replace(before, params=jax.tree.unflatten(tree, leaves))


def _operands(seen: Seen, reading: Reading) -> list[float]:
    """The numbers that a reading is made of."""
    found = []
    for name in reading.operands:
        given = literal(name)
        value: Read = read(seen, seen.named[name]) if given is None else given
        if isinstance(value, str):
            raise ReadingError(f"{name} is {value!r}, and no number.")
        found.append(value)
    return found


def _ratio(seen: Seen, reading: Reading) -> float:
    above, below = _operands(seen, reading)
    return above / below if below else math.nan


def _difference(seen: Seen, reading: Reading) -> float:
    first, second = _operands(seen, reading)
    return first - second


def _power(seen: Seen, reading: Reading) -> float:
    base, exponent = _operands(seen, reading)
    return float(np.power(base, exponent))


def _shown(seen: Seen, reading: Reading) -> float:
    """The number that one reads in :func:`told`, and computes with."""
    (value,) = _operands(seen, reading)
    return round(value) if WHOLE <= value < math.inf else float(f"{value:.3g}")


def _value(seen: Seen, reading: Reading) -> Any:
    return seen.numbers.value(seen.node(reading.operands[0]).id)


def _grad(seen: Seen, reading: Reading) -> Any:
    return seen.numbers.grad(seen.node(reading.operands[0]).id)


_READ: Mapping[str, Callable[[Seen, Reading], Read]] = {
    "value": lambda seen, reading: _entry(_value(seen, reading), reading),
    "grad": lambda seen, reading: _entry(_grad(seen, reading), reading),
    "sent": _sent,
    "rms_value": lambda seen, reading: factors.rms(_value(seen, reading)),
    "rms_grad": lambda seen, reading: factors.rms(_grad(seen, reading)),
    "zeros": lambda seen, reading: float(np.mean(_value(seen, reading) == 0)),
    "zero_grads": lambda seen, reading: float(np.mean(_grad(seen, reading) == 0)),
    "dead": _dead,
    "new": lambda seen, reading: _entry(_of_leaf(seen, reading)[1], reading),
    "update": _update,
    "rms_update": _rms_update,
    "gradient_norm": _gradient_norm,
    "loss": lambda seen, reading: float(seen.step.loss),
    "loss_after": lambda seen, reading: float(seen.step.evaluate(seen.step.after)),
    "accuracy": _accuracy,
    "layers": lambda seen, reading: len(seen.room.layers),
    "parameters": lambda seen, reading: sum(int(np.size(leaf)) for leaf in jax.tree.leaves(seen.step.before.params)),
    "setting": _setting,
    "finding": _finding,
    "factor": _factor,
    "through": _through,
    "forward_difference": _slope((1, 0)),
    "central_difference": _slope((1, -1)),
    "cost": lambda seen, reading: costs.part(seen.settings, reading.operands[0]),
    "cost_of": lambda seen, reading: costs.inside(seen.settings, *reading.operands),
    "milliseconds": lambda seen, reading: costs.milliseconds(seen.settings, reading.operands[0]),
    "number": lambda seen, reading: _operands(seen, reading)[0],
    "sum": lambda seen, reading: math.fsum(_operands(seen, reading)),
    "difference": _difference,
    "product": lambda seen, reading: math.prod(_operands(seen, reading)),
    "ratio": _ratio,
    "power": _power,
    "negative": lambda seen, reading: -_operands(seen, reading)[0],
    "size": lambda seen, reading: abs(_operands(seen, reading)[0]),
    "percent": lambda seen, reading: 100 * _operands(seen, reading)[0],
    "shown": _shown,
}
"""A row for each verb of :data:`explorer.lessons.vocabulary.VERBS`."""

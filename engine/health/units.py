"""What is wrong with units: all alike, silent, or flat."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.errors import EngineError
from engine.health import remedies
from engine.health.evidence import Evidence
from engine.health.finding import Finding, Place
from engine.layers import Layer
from engine.numbers import Numbers, short
from engine.profile import Row, rms

Array = Any

ALIKE = 1e-3
"""Units whose weights differ by less than this share of their size are alike: rounding, which is all that tells equal
units apart, takes longer than any training to grow from 1e-7 to more."""

MANY = 0.5
"""Half of a layer's units. By chance, a random unit is off for a whole batch of similar examples half of the time."""

THIRD = 1 / 3
"""What a layer can't lose without loss, where the loss doesn't fall any more."""

GROWTH = 0.3
"""A share that grew by more than this came with training, not with the initialisation."""

FLAT = 0.8
"""From this share of flat entries on a layer hands back, of five gradients, one. Trained nets rarely reach half."""


# ---- symmetry ------------------------------------------------------------------------------------------------------


def symmetry(evidence: Evidence) -> Finding | None:
    """Units of a layer with equal weights that get equal gradients: they stay one unit, however long one trains."""
    same = [layer for layer in evidence.structure.layers if _alike(evidence.latest, layer)]
    if not same or evidence.course.learned:
        return None
    units = math.prod(evidence.graph.node(same[0].output).shape[axis] for axis in same[0].axes)
    zero = all(not np.any(evidence.latest.value(weight)) for layer in same for weight in layer.weights)
    told = (
        f"All {units} units of {same[0].name}{_more(len(same))} have the same weights{' (zero)' if zero else ''} "
        "and get the same gradient, so every step leaves them the same: the layer is one unit wide."
    )
    cause = "all weights are zero at the start" if zero else "all weights are equal at the start"
    places = tuple(Place(layer.output, layer.name) for layer in same)
    random = remedies.effective(evidence, remedies.fresh(evidence))
    return Finding("symmetry", cause, places, told, f"{_layers(len(same))} one unit wide", random)


def _more(count: int) -> str:
    return f" and of {_layers(count - 1).replace('layer', 'other layer')}" if count > 1 else ""


def _layers(count: int) -> str:
    return f"{count} layer" + ("s" if count != 1 else "")


def _alike(numbers: Numbers, layer: Layer) -> bool:
    """Whether several units have the same weights and biases, and all of these the same gradients."""
    output = numbers.graph.node(layer.output)
    units = math.prod(output.shape[axis] for axis in layer.axes)
    if units < 2:
        return False
    try:
        arrays = [read(id) for id in (*layer.weights, *layer.biases) for read in (numbers.value, numbers.grad)]
    except EngineError:
        return False
    own = [_by_unit(np.asarray(array), units) for array in arrays]
    return all(each is not None and _same(each) for each in own)


def _by_unit(array: Array, units: int) -> Array | None:
    """One column for each unit: parameters have them along their last axes; ``None`` where they don't."""
    if array.size % units or (array.ndim and array.shape[-1] not in (units, 1) and array.size != units):
        return None
    return array.reshape(-1, units)


def _same(columns: Array) -> bool:
    spread = columns - columns.mean(axis=1, keepdims=True)
    return bool(np.abs(spread).max(initial=0.0) <= ALIKE * rms(columns))


# ---- dead ----------------------------------------------------------------------------------------------------------


def dead(evidence: Evidence) -> Finding | None:
    """Units that are zero, and flat, for every example of the batch: no gradient brings them back."""
    before = {row.layer.output: row.dead or 0.0 for row in evidence.first_rows}
    found = [row for row in evidence.rows if _is_dead(evidence, row, before.get(row.layer.output, 0.0))]
    if not found:
        return None
    worst = max(found, key=lambda row: row.dead or 0.0)
    grown = (worst.dead or 0.0) - before.get(worst.layer.output, 0.0) >= GROWTH
    told = (
        f"{short(100 * (worst.dead or 0.0))} % of the units of {worst.layer.name} are zero for the whole batch"
        f"{f' ({short(100 * before[worst.layer.output])} % at the start)' if grown else ''}, and so is their slope: "
        f"no gradient passes them, and none will bring them back. So in {_layers(len(found))}."
    )
    leaky = remedies.activation(evidence, "leaky_relu")
    given = (remedies.lower_rate(evidence), leaky) if grown else (leaky, remedies.norm())
    cause = "learning rate too large" if grown else "units are zero from the start"
    places = tuple(Place(row.layer.output, row.layer.name) for row in found)
    brief = f"dead units in {_layers(len(found))}"
    return Finding("dead", cause, places, told, brief, remedies.effective(evidence, *given))


def _is_dead(evidence: Evidence, row: Row, before: float) -> bool:
    """A whole layer; more units than chance turns off; or many that were alive at the start: half of them, or a third
    where the loss no longer falls. Nets that have learned do with fewer units than they have.
    """
    if not row.dead or (evidence.course.learned and row.dead < 1):
        return False
    shape = evidence.graph.node(row.layer.output).shape
    units = math.prod(shape[axis] for axis in row.layer.axes)
    by_chance = MANY + 2 / math.sqrt(units)  # four standard deviations of a fair coin
    lost = MANY if evidence.course.falling else THIRD
    died = units > 2 and row.dead >= lost and row.dead - before >= GROWTH
    return (row.dead == 1 and units > 1) or row.dead >= by_chance or died


# ---- saturated -----------------------------------------------------------------------------------------------------


def saturated(evidence: Evidence) -> Finding | None:
    """Activations in their flat parts, for most entries of a layer."""
    if evidence.course.learned:
        return None
    before = {row.layer.output: row.saturated or 0.0 for row in evidence.first_rows}
    found = [row for row in evidence.rows if (row.saturated or 0.0) >= FLAT]
    if not found:
        return None
    worst = max(found, key=lambda row: row.saturated or 0.0)
    start = before.get(worst.layer.output, 0.0)
    grown = (worst.saturated or 0.0) - start >= GROWTH
    told = (
        f"{short(100 * (worst.saturated or 0.0))} % of the activations of {worst.layer.name} are in their flat part"
        f"{f' ({short(100 * start)} % at the start)' if grown else ''}: their slope is below a twentieth of the "
        f"steepest, and so is what comes back through them. So in {_layers(len(found))}."
    )
    begun = remedies.init(evidence)
    slower = remedies.lower_rate(evidence)
    given = (slower, remedies.norm()) if grown else (begun, remedies.norm())
    cause = "learning rate too large" if grown else "initialisation too large"
    places = tuple(Place(row.layer.output, row.layer.name) for row in found)
    brief = f"saturated activations in {_layers(len(found))}"
    return Finding("saturated", cause, places, told, brief, remedies.effective(evidence, *given))

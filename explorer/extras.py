"""What one pass of a run shows beside its steps: the plane or the curve, how entries spread, gradients through time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine import profile
from engine.grad import value_and_grad
from engine.numbers import Numbers
from engine.probe import Probe
from engine.tasks import Problem
from engine.training import Step
from explorer.frames import encoded
from explorer.room import Room
from explorer.seen import Look, Seen

Array = Any

GRID, SMALL = 48, 24
"""Points along each side of the plane, and of the small pictures of hidden units."""

UNITS = 64
"""Hidden units that have a picture, at most."""

MARGIN = 0.1
"""How much wider than its points the plane is shown."""

Extras = dict[str, Any]


def extras(room: Seen, step: Step, plane: Callable[[Any], Extras] | None) -> Extras:
    """Everything there is to show of a pass.

    Args:
        room: with the run, and the passes that were looked at.
        step: the pass.
        plane: what :func:`planes` made for the room's problem.
    """
    found: Extras = plane(step.before.params) if plane else {}
    if room.looks:
        found["histograms"] = histograms(room.looks, [layer.name for layer in room.layers]) | {"reach": room.reach}
    through = profile.through(step.reading)
    if through:
        found["time"] = times(through)
    return found


# ---- the plane, or the curve ---------------------------------------------------------------------------------------


def planes(room: Room, units: bool = True) -> Callable[[Any], Extras] | None:
    """A function from parameters to a picture of what the network answers everywhere; ``None`` where the inputs are
    more than two numbers, or the plane has other than two classes to tell apart.

    Args:
        room: with the problem.
        units: whether there is a small picture of each hidden unit, too.
    """
    predict = room.problem.predict
    inputs, answers = (np.shape(given)[1:] for given in room.problem.examples[:2]) if predict else ((), ())
    if predict and inputs == (1,):
        return partial(_curve, room.problem, jax.jit(predict))
    if predict and inputs == answers == (2,):
        pictures = _units(room) if units else lambda params, span: []
        return partial(_plane, room.problem, jax.jit(partial(_scores, predict)), pictures)
    return None


def _scores(predict: Callable[..., Array], params: Any, x: Array) -> Array:
    """How likely the second of two classes is."""
    return jax.nn.softmax(predict(params, x), axis=-1)[:, 1]


def _grid(span: Sequence[float], count: int) -> Array:
    """Points of the plane, row by row from below: ``(count², 2)``."""
    left, right, low, high = span
    across, up = np.meshgrid(np.linspace(left, right, count), np.linspace(low, high, count))
    return np.stack([across.ravel(), up.ravel()], axis=1).astype(np.float32)


def _span(x: Array) -> list[float]:
    """The same square whichever way the points lie."""
    reach = float(np.abs(x).max()) * (1 + MARGIN)
    return [-reach, reach, -reach, reach]


def _points(given: tuple[Any, ...]) -> Array:
    x, y = given
    return np.concatenate([x, np.argmax(y, axis=-1)[:, None]], axis=1)


def _plane(problem: Problem, scores: Callable[..., Array], units: Callable[..., Any], params: Any) -> Extras:
    span = _span(problem.examples[0])
    found = {
        "size": [GRID, GRID],
        "range": span,
        "scores": encoded(scores(params, _grid(span, GRID))),
        "points": encoded(_points(problem.examples)),
        "held": encoded(_points(problem.held_out)),
        "units": units(params, span),
    }
    return {"boundary": found}


def _units(room: Room) -> Callable[[Any, Sequence[float]], list[dict[str, Any]]]:
    """What each hidden unit answers, all over the plane, as the graph computes it."""
    problem, ends, layers = room.problem, room.ends[:-1], room.layers[:-1]
    answers = np.zeros((SMALL**2, np.shape(problem.examples[1])[1]), np.float32)
    more = (np.int32(0),) if problem.noisy else ()
    watched = value_and_grad(problem.fun, probe=Probe(nodes=ends, what=("value",)))

    @jax.jit
    def values(params: Any, x: Array) -> list[Array]:
        reading = watched(*params, x, answers, *more)[2]
        return [jnp.asarray(reading.value(end)) for end in ends]

    def pictures(params: Any, span: Sequence[float]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for layer, columns in zip(layers, values(params, _grid(span, SMALL)) if ends else (), strict=True):
            for unit, scores in enumerate(np.asarray(columns).T[: UNITS - len(found)]):
                own = {"id": f"{layer.output}/{unit}", "layer": layer.name, "unit": unit, "of": len(layers)}
                found.append(own | {"size": [SMALL, SMALL], "scores": encoded(scores)})
        return found

    return pictures


def _curve(problem: Problem, predict: Callable[..., Array], params: Any) -> Extras:
    x = problem.examples[0]
    margin = MARGIN * float(np.ptp(x)) / 2
    line = np.linspace(float(x.min()) - margin, float(x.max()) + margin, 200, dtype=np.float32)
    points, held = (np.concatenate([given[0], given[1]], axis=1) for given in (problem.examples, problem.held_out))
    answers = predict(params, line[:, None])[:, 0]
    found = {"x": encoded(line), "y": encoded(answers), "points": encoded(points), "held": encoded(held)}
    return {"fit": found}


# ---- the spread of entries -----------------------------------------------------------------------------------------

EDGES = np.linspace(-12, 4, 49)
"""Powers of ten between which entries are counted."""

_PARTS = ("gradient", "value", "weight")


def spreads(room: Seen, step: Step) -> Mapping[str, Array]:
    """How many entries of each layer's gradient, activation and weight lie at which magnitude: ``(layers, bins)``."""
    numbers = Numbers(step.reading)
    arrays = {
        "gradient": [numbers.grad(layer.output) for layer in room.layers],
        "value": [numbers.value(end) for end in room.ends],
        "weight": [numbers.value(layer.weights[0]) for layer in room.layers],
    }
    return {name: np.array([_counted(array) for array in given]) for name, given in arrays.items()}


def _counted(array: Array) -> Array:
    sizes = np.abs(np.ma.compressed(array))
    return np.histogram(np.log10(sizes[np.isfinite(sizes) & (sizes > 0)]), EDGES)[0]


def histograms(looks: Sequence[Look], names: Sequence[str]) -> Extras:
    """The spreads of the passes that were looked at: ``(layers, passes, bins)``."""
    known = [look for look in looks if look.spreads]
    found = {part: encoded(np.stack([look.spreads[part] for look in known], axis=1)) for part in _PARTS if known}
    return {"rows": list(names), "edges": encoded(EDGES), "steps": [look.step for look in known], **found}


def times(through: Sequence[profile.Through]) -> Extras:
    """Gradients at the state of each loop, by steps back from the end."""
    back = max(len(each.gradient) for each in through)
    table = np.full((len(through), back), np.nan)
    for row, each in zip(table, through, strict=True):
        row[: len(each.gradient)] = each.gradient[::-1]
    return {"rows": [each.loop for each in through], "steps_back": back, "gradient": encoded(table)}

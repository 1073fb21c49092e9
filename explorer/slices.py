"""A slice of the loss surface: the plane in which a run has moved most, and the way that it walked there."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from engine import surface
from engine.evaluate import QUIET
from engine.surface import Plane, SurfaceError
from engine.tasks import Problem
from explorer.frames import encoded
from explorer.room import Room

Array = Any

GRID = 33
"""Points along each side of the slice."""

POINTS = 48
"""Steps of the way that are looked up, at most."""

EXAMPLES = 512
"""Examples that the loss is taken on at every point, at most: the same ones, so that it is one surface."""


@dataclasses.dataclass(frozen=True, eq=False)
class Way:
    """Parameters at some steps of a run; none that are not finite."""

    steps: tuple[int, ...]
    params: Any
    """With the steps as the first axis of each array."""


def way(room: Room) -> Way:
    """The way that a run has walked so far."""
    wanted = np.unique(np.linspace(0, room.step, POINTS).astype(int))
    taken = {int(step): room.run.at(int(step)).params for step in wanted}
    kept = {step: params for step, params in taken.items() if _finite(params)}
    return Way(tuple(kept), surface.stacked(kept.values()))


def _finite(params: Any) -> bool:
    return all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(params))


class Slices:
    """Slices of one problem's loss; compiled once."""

    def __init__(self, problem: Problem) -> None:
        whole = problem.rows(0) is None
        given = problem.examples if whole else jax.tree.map(lambda leaf: leaf[:EXAMPLES], problem.examples)
        self._args = (*given, np.int32(QUIET)) if problem.noisy else given
        self._survey = surface.surveyor(lambda params, *args: problem.fun(*params, *args))
        self.on = problem.note if whole else f"{len(given[0]):,} training examples"

    def around(self, walked: Way) -> dict[str, Any]:
        """The slice that a way is seen best in, as plain data; or an ``error``, why there is none.

        Takes long, and may be called in any thread.
        """
        try:
            plane = _plane(walked)
        except SurfaceError:
            return {"error": "All weights are zero, so there is no scale to look around at: train some steps first."}
        seen = surface.project(plane, walked.params)
        (left, right), (low, high) = seen.ranges() if len(walked.steps) > 1 else ((-1.0, 1.0), (-1.0, 1.0))
        found = self._survey(plane, np.linspace(left, right, GRID), np.linspace(low, high, GRID), *self._args)
        return {
            "size": [GRID, GRID],
            "range": [left, right, low, high],
            "losses": encoded(found.losses),
            "path": encoded(seen.points),
            "steps": list(walked.steps),
            "share": seen.share if np.isfinite(seen.share) else None,
            "labels": list(plane.labels),
            "on": self.on,
        }


def _plane(walked: Way) -> Plane:
    try:
        return surface.path_plane(walked.params)
    except SurfaceError:  # it has not moved
        here = jax.tree.map(lambda leaf: leaf[-1], walked.params)
    return surface.random_plane(here)

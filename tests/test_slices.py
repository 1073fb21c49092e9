"""The slice of the loss around a run's way: its heights are the loss, its path is the run's."""

from __future__ import annotations

import base64

import jax
import numpy as np
import pytest

from engine.tasks import Settings, problem
from explorer.room import Room
from explorer.slices import GRID, POINTS, Slices, way

pytestmark = pytest.mark.once

SETTINGS = Settings(task="spiral", depth=1, width=3, batch=16)


def decoded(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


@pytest.fixture(scope="module")
def room():
    found = Room(problem(SETTINGS), SETTINGS)
    found.advance(60)
    return found


@pytest.fixture(scope="module")
def drawn(room):
    return Slices(room.problem).around(way(room))


def test_the_way_goes_from_the_first_step_to_the_last(room, drawn):
    assert (drawn["steps"][0], drawn["steps"][-1]) == (0, room.step)
    assert len(drawn["steps"]) <= POINTS
    assert decoded(drawn["path"]).shape == (len(drawn["steps"]) * 2,)


def test_the_last_point_lies_on_the_loss_of_the_run(room, drawn):
    """The plane goes through the last point, so the loss around it is that of the parameters there."""
    heights = decoded(drawn["losses"]).reshape(GRID, GRID)
    left, right, low, high = drawn["range"]
    at = np.array([np.interp(0, np.linspace(*ends, GRID), np.arange(GRID)) for ends in ((low, high), (left, right))])
    row, column = at.astype(int)
    near = heights[row : row + 2, column : column + 2]
    x, y = (array[:512] for array in room.problem.examples)
    wanted = room.problem.fun(*room.run.state.params, x, y)
    assert near.min() - 0.02 <= wanted <= near.max() + 0.02


def test_the_whole_way_lies_within_the_picture(drawn):
    left, right, low, high = drawn["range"]
    across, up = decoded(drawn["path"]).reshape(-1, 2).T
    assert left < across.min() <= across.max() < right
    assert low < up.min() <= up.max() < high


def test_the_share_of_the_way_in_its_main_plane_is_most_of_it(drawn):
    assert 0.5 < drawn["share"] <= 1


def test_before_the_first_step_one_looks_along_random_directions():
    found = Room(problem(SETTINGS), SETTINGS)
    drawn = Slices(found.problem).around(way(found))
    assert drawn["labels"] == ["random direction 1", "random direction 2"]
    assert (drawn["steps"], drawn["share"]) == ([0], None)


def test_zero_weights_are_told_of():
    settings = Settings(task="spiral", depth=1, width=3, batch=16, init="zeros")
    found = Room(problem(settings), settings)
    assert "train some steps" in Slices(found.problem).around(way(found))["error"]


def test_parameters_that_are_not_finite_are_left_out():
    settings = Settings(task="spiral", depth=1, width=3, batch=16, rate=1e6, loss="mse")
    found = Room(problem(settings), settings)
    found.advance(40)
    assert found.broken is not None
    walked = way(found)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(walked.params))
    assert walked.steps[0] == 0

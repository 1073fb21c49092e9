"""Slices of the loss surface, against the loss itself and against NumPy's singular values."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine import surface
from engine.surface import Plane, SurfaceError

pytestmark = pytest.mark.once

RNG = np.random.default_rng(1)
PARAMS = {"b": RNG.normal(size=4).astype(np.float32), "w": RNG.normal(size=(3, 4)).astype(np.float32)}
X = RNG.normal(size=(6, 3)).astype(np.float32)
A, B = np.linspace(-1, 1, 5), np.linspace(-0.5, 0.5, 3)


def loss(params, x):
    return jnp.mean(jnp.tanh(x @ params["w"] + params["b"]) ** 2)


def flat(tree):
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree)])


def bowl(params):
    """A quadratic, whose slice is known."""
    return jnp.sum(params["w"] ** 2) + 3 * jnp.sum(params["b"])


# ---- the loss over a plane -------------------------------------------------------------------------------------------


def test_every_point_has_the_loss_of_its_parameters():
    plane = surface.random_plane(PARAMS)
    found = surface.surveyor(loss)(plane, A, B, X)
    assert found.losses.shape == (3, 5)
    for row, b in enumerate(B):
        for column, a in enumerate(A):
            moved = jax.tree.map(lambda o, d, e: o + a * d + b * e, PARAMS, *plane.directions)
            assert found.losses[row, column] == pytest.approx(float(loss(moved, X)), rel=1e-5)


def test_the_coordinates_come_with_it():
    found = surface.surveyor(bowl)(surface.random_plane(PARAMS), A, B)
    np.testing.assert_allclose(found.first, A, rtol=1e-6)
    np.testing.assert_allclose(found.second, B, rtol=1e-6)


def test_a_survey_is_compiled_once_for_any_plane():
    traced = []

    def counted(params, x):
        traced.append(1)
        return loss(params, x)

    survey = surface.surveyor(counted)
    survey(surface.random_plane(PARAMS), A, B, X)
    before = len(traced)
    survey(surface.random_plane(PARAMS, seed=1), 2 * A, B, X + 1)
    assert len(traced) == before


def test_numbers_that_are_no_floats_stay():
    params = PARAMS | {"n": np.int32(3)}
    plane = surface.random_plane(params)
    found = surface.surveyor(lambda p, kind: bowl(p) * p["n"] if kind == "kept" else p["b"][0])(plane, A, B, "kept")
    np.testing.assert_allclose(found.losses[1, 2], 3 * bowl(PARAMS), rtol=1e-5)


def test_infinite_losses_are_shown_as_they_are():
    plane = surface.entry_plane({"w": np.float32(0.5), "v": np.float32(1)}, (1, ()), (0, ()))
    found = surface.surveyor(lambda p: jnp.log(p["w"]) * p["v"])(plane, np.array([-0.5, 0.5]), np.array([0.0]))
    assert found.losses.tolist() == [[-np.inf, 0.0]]


# ---- planes ----------------------------------------------------------------------------------------------------------


def test_each_filter_of_a_random_direction_is_as_long_as_the_weights_it_moves():
    for direction in surface.random_plane(PARAMS).directions:
        np.testing.assert_allclose(np.linalg.norm(direction["w"], axis=0), np.linalg.norm(PARAMS["w"], axis=0), 1e-5)


def test_a_convolution_has_one_filter_for_each_output():
    kernel = RNG.normal(size=(3, 3, 2, 5)).astype(np.float32)
    (direction, _) = surface.random_plane(kernel).directions
    wanted = np.sqrt((kernel**2).sum((0, 1, 2)))
    np.testing.assert_allclose(np.sqrt((direction**2).sum((0, 1, 2))), wanted, rtol=1e-5)


def test_biases_stay_where_they_are():
    for direction in surface.random_plane(PARAMS).directions:
        np.testing.assert_array_equal(direction["b"], 0)


def test_without_a_matrix_every_array_is_a_filter():
    (first, second) = surface.random_plane((np.float32(-2), PARAMS["b"])).directions
    assert abs(first[0]) == pytest.approx(2)
    assert np.linalg.norm(second[1]) == pytest.approx(np.linalg.norm(PARAMS["b"]), rel=1e-6)


def test_a_seed_is_a_plane():
    planes = [surface.random_plane(PARAMS, seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(*(flat(plane.directions) for plane in planes[:2]))
    assert not np.array_equal(flat(planes[0].directions), flat(planes[2].directions))
    assert not np.array_equal(*map(flat, planes[0].directions))


def test_two_entries_are_moved_alone():
    plane = surface.entry_plane({"layers": [PARAMS]}, (1, (2, 1)), (0, (3,)))
    assert plane.labels == ("layers.0.w[2, 1]", "layers.0.b[3]")
    first, second = (direction["layers"][0] for direction in plane.directions)
    assert (np.flatnonzero(first["w"]).tolist(), np.flatnonzero(second["b"]).tolist()) == ([2 * 4 + 1], [3])
    assert flat(first).sum() == flat(second).sum() == 1


REFUSED = {
    "There is no entry (9,) of leaf 0: index 9 is out of bounds for axis 0 with size 4.": ((0, (9,)), (1, (0, 0))),
    "There is no entry (0,) of leaf 7: list index out of range.": ((7, (0,)), (1, (0, 0))),
    "(0,) isn't one entry of leaf 1, whose shape is (3, 4).": ((1, (0,)), (0, (0,))),
    "Both directions are entry (0,) of leaf 0; a plane needs two entries.": ((0, (0,)), (0, (0,))),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_is_no_entry_is_one_sentence(sentence):
    with pytest.raises(SurfaceError) as caught:
        surface.entry_plane(PARAMS, *REFUSED[sentence])
    assert str(caught.value) == sentence


def test_weights_of_zero_have_no_scale():
    with pytest.raises(SurfaceError, match="All weights are zero"):
        surface.random_plane({"w": np.zeros((3, 2), np.float32), "b": np.zeros(2, np.float32)})


# ---- a path ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def path():
    """A curved walk of twelve steps, most of it in two directions."""
    sides = RNG.normal(size=(3, 16))
    t = np.linspace(0, 2, 12)
    rows = np.stack([3 * t, np.sin(3 * t), 0.1 * np.cos(7 * t)], 1) @ sides + RNG.normal(size=16)
    return {"b": rows[:, :4].astype(np.float32), "w": rows[:, 4:].reshape(12, 3, 4).astype(np.float32)}


def rows_of(path):
    return np.stack([flat(jax.tree.map(lambda array: array[t], path)) for t in range(len(path["b"]))])


@pytest.fixture(scope="module")
def singular(path):
    rows = rows_of(path)
    return np.linalg.svd(rows - rows.mean(0), full_matrices=False)


def test_the_main_directions_are_the_first_singular_vectors(path, singular):
    for direction, wanted in zip(surface.path_plane(path).directions, singular[2], strict=False):
        assert abs(flat(direction) @ wanted) == pytest.approx(1, abs=1e-5)


def test_the_first_direction_points_ahead(path):
    points = surface.project(surface.path_plane(path), path).points
    assert points[-1, 0] > points[0, 0]


def test_the_share_is_what_the_singular_values_say(path, singular):
    wanted = (singular[1][:2] ** 2).sum() / (singular[1] ** 2).sum()
    assert surface.project(surface.path_plane(path), path).share == pytest.approx(wanted, rel=1e-5)
    assert 0.9 < wanted < 0.9999


def test_a_random_plane_holds_little_of_a_path(path):
    plane = surface.random_plane(jax.tree.map(lambda array: array[-1], path))
    rows, sides = rows_of(path), np.stack(list(map(flat, plane.directions)), 1)
    middle = rows - rows.mean(0)
    inside = sides @ np.linalg.lstsq(sides, middle.T)[0]
    wanted = (inside**2).sum() / (middle**2).sum()
    assert surface.project(plane, path).share == pytest.approx(wanted, rel=1e-4)


def test_points_and_distances_are_those_of_least_squares(path):
    plane = surface.random_plane(jax.tree.map(lambda array: array[3], path))
    away, sides = rows_of(path) - flat(plane.origin), np.stack(list(map(flat, plane.directions)), 1)
    wanted = np.linalg.lstsq(sides, away.T)[0].T
    found = surface.project(plane, path)
    np.testing.assert_allclose(found.points, wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.distances, np.linalg.norm(away - wanted @ sides.T, axis=1), rtol=1e-4, atol=1e-5)


def test_the_path_ends_where_its_plane_begins(path):
    found = surface.project(surface.path_plane(path), path)
    np.testing.assert_allclose(found.points[-1], 0, atol=1e-6)
    assert found.distances[-1] == pytest.approx(0, abs=1e-5)


def test_a_straight_path_gets_a_random_second_direction():
    t = np.linspace(0, 1, 5, dtype=np.float32)[:, None]
    plane = surface.path_plane(t * np.array([[3.0, 4.0, 0.0]], np.float32))
    np.testing.assert_allclose(plane.directions[0], [0.6, 0.8, 0], atol=1e-6)
    assert plane.directions[0] @ plane.directions[1] == pytest.approx(0, abs=1e-6)
    assert np.linalg.norm(plane.directions[1]) == pytest.approx(1)
    assert plane.labels[1] == "a random direction"


def test_a_path_that_stands_still_has_no_direction():
    with pytest.raises(SurfaceError, match="The path doesn't move"):
        surface.path_plane({"w": np.ones((4, 2), np.float32)})


def test_ranges_hold_the_path_with_room_around():
    found = surface.Projection(np.array([[0.0, 1.0], [4.0, 2.0]]), np.zeros(2), 1.0)
    assert found.ranges(0.25) == ((-1.0, 5.0), (0.0, 3.0))
    still = surface.Projection(np.zeros((2, 2)), np.zeros(2), float("nan"))
    assert still.ranges(0.25) == ((-0.25, 0.25), (-0.25, 0.25))


def test_snapshots_stack_to_a_path(path):
    steps = [jax.tree.map(lambda array: array[t], path) for t in range(12)]
    np.testing.assert_array_equal(surface.stacked(steps)["w"], path["w"])


def test_the_plane_of_a_path_shows_the_loss_at_its_end():
    rng = np.random.default_rng(0)
    params = {"w": rng.normal(size=(3, 4)).astype(np.float32), "v": rng.normal(size=(4, 2)).astype(np.float32)}
    path = surface.stacked([jax.tree.map(lambda array: array * scale, params) for scale in (1.0, 0.5, 0.2)])
    score = lambda params, x: jnp.sum((jnp.tanh(x @ params["w"]) @ params["v"]) ** 2)
    plane = surface.path_plane(path)
    found = surface.surveyor(score)(plane, np.zeros(1), np.zeros(1), X)
    end = jax.tree.map(lambda array: array[-1], path)
    assert found.losses[0, 0] == pytest.approx(float(score(end, X)), rel=1e-5)
    assert isinstance(plane, Plane)

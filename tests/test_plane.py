"""Points in the plane and on a curve: where they should be, as many of each class, as far off as the noise says."""

from __future__ import annotations

import numpy as np
import pytest

from engine.tasks.plane import circles, curve, gaussians, moons, points, spiral, xor

SHAPES = [spiral, circles, moons, xor, gaussians]


def classes(shape, noise):
    data = points(shape, noise)
    label = data.y.argmax(1)
    return data.x[label == 0], data.x[label == 1]


@pytest.mark.parametrize("shape", SHAPES)
def test_half_of_five_hundred_points_are_of_each_class_and_half_for_the_test(shape):
    data = points(shape)
    assert (data.x.shape, data.x.dtype, data.y.sum(axis=0).tolist()) == ((500, 2), np.float32, [250.0, 250.0])
    assert [len(data.training[0]), len(data.test[0])] == [250, 250]
    assert [part[1].sum(axis=0).tolist() for part in (data.training, data.test)] == [[125.0, 125.0]] * 2


@pytest.mark.parametrize("shape", SHAPES)
def test_points_lie_within_the_plane(shape):
    x = points(shape, noise=0.02).x
    assert np.abs(x).max() < 1.1
    assert (np.abs(x).max(axis=0) > 0.5).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_points_follow_from_the_seed(shape):
    np.testing.assert_array_equal(points(shape, seed=3).x, points(shape, seed=3).x)
    assert not np.array_equal(points(shape, seed=3).x, points(shape, seed=4).x)


@pytest.mark.parametrize("shape", [spiral, circles, moons, xor])
def test_noise_is_how_far_points_lie_off(shape):
    still, moved = points(shape, noise=0.0).x, points(shape, noise=0.2).x
    assert (moved - still).std() == pytest.approx(0.2, rel=0.05)


def test_the_arms_of_the_spiral_are_opposite():
    first, second = classes(spiral, 0.0)
    turns = [np.arctan2(*part.T) - 3.5 * np.pi * np.hypot(*part.T) for part in (first, second)]
    np.testing.assert_allclose(np.cos(turns[0]), 1, atol=1e-4)
    np.testing.assert_allclose(np.cos(turns[1]), -1, atol=1e-4)


def test_the_disc_is_inside_the_ring():
    disc, ring = (np.hypot(*part.T) for part in classes(circles, 0.0))
    assert (disc.max() <= 0.5, ring.min() >= 0.7, ring.max() <= 1.0) == (True, True, True)
    assert disc.max() > 0.48
    assert np.ptp(ring) > 0.28


def test_the_moons_are_half_circles():
    upper, lower = classes(moons, 0.0)
    upper, lower = upper * 1.5 + (0.5, 0.25), lower * 1.5 + (0.5, 0.25)
    np.testing.assert_allclose(np.hypot(*upper.T), 1, rtol=1e-5)
    np.testing.assert_allclose(np.hypot(*(lower - (1, 0.5)).T), 1, rtol=1e-5)
    assert upper[:, 1].min() >= 0
    assert lower[:, 1].max() <= 0.5 + 1e-6


def test_opposite_quarters_are_alike():
    same, different = classes(xor, 0.0)
    assert (same.prod(axis=1) > 0).all()
    assert (different.prod(axis=1) < 0).all()
    for part in (same, different):
        assert np.abs(part).min() >= 0.05 - 1e-6
        assert 80 < (part[:, 0] > 0).sum() < 170


def test_the_clouds_lie_around_opposite_points():
    for cloud, sign in zip(classes(gaussians, 0.1), (1, -1), strict=True):
        np.testing.assert_allclose(cloud.mean(axis=0), sign * 0.4, atol=0.05)
        np.testing.assert_allclose(cloud.std(axis=0), 0.22, rtol=0.15)


def test_the_curve_is_a_sine_with_noise():
    still, moved = curve(noise=0.0), curve(noise=0.2)
    np.testing.assert_allclose(still.y, np.sin(1.5 * np.pi * still.x), atol=1e-6)
    assert (moved.y - still.y).std() == pytest.approx(0.2, rel=0.1)
    assert (still.x.shape, still.y.shape, still.classes) == ((500, 1), (500, 1), ())
    assert (still.x.min() < -0.95, still.x.max() > 0.95, len(still.test[0])) == (True, True, 250)

"""Each initialiser has the distribution that it was published with."""

from __future__ import annotations

import numpy as np
import pytest

from engine.tasks.initialisers import INITIALISERS, fans

N, M = 400, 300
CONV = (3, 3, 40, 50)

VARIANCES = {
    "small": lambda n, m: 1e-4,
    "large": lambda n, m: 1.0,
    "uniform": lambda n, m: 1 / (3 * n),
    "xavier": lambda n, m: 2 / (n + m),
    "he": lambda n, m: 2 / n,
    "lecun": lambda n, m: 1 / n,
}


def drawn(name, *shape, seed=0):
    return INITIALISERS[name](np.random.default_rng(seed), shape)


def test_each_is_tested():
    assert set(INITIALISERS) == {*VARIANCES, "zeros", "constant", "orthogonal"}


@pytest.mark.parametrize("name", INITIALISERS)
def test_it_makes_single_precision_of_the_shape_asked_for(name):
    made = drawn(name, *CONV)
    assert (made.shape, made.dtype) == (CONV, np.float32)


@pytest.mark.parametrize("name", VARIANCES)
def test_its_mean_is_zero_and_its_variance_is_the_published_one(name):
    made = drawn(name, N, M)
    variance = VARIANCES[name](N, M)
    assert made.var() == pytest.approx(variance, rel=0.02)
    assert made.mean() == pytest.approx(0, abs=5 * np.sqrt(variance / made.size))


@pytest.mark.parametrize("name", VARIANCES)
def test_the_window_of_a_convolution_counts_as_inputs_and_outputs(name):
    assert drawn(name, *CONV).var() == pytest.approx(VARIANCES[name](9 * 40, 9 * 50), rel=0.04)


def test_fans_of_a_convolution():
    assert (fans((64, 16)), fans(CONV)) == ((64, 16), (360, 450))


def kurtosis(x):
    return np.mean((x - x.mean()) ** 4) / x.var() ** 2


def test_the_uniform_one_is_flat_and_bounded():
    made = drawn("uniform", N, M)
    assert kurtosis(made) == pytest.approx(9 / 5, rel=0.02)
    assert 0.999 * N**-0.5 < np.abs(made).max() <= N**-0.5


@pytest.mark.parametrize("name", ["small", "large", "xavier", "he", "lecun"])
def test_the_others_are_normal(name):
    assert kurtosis(drawn(name, N, M)) == pytest.approx(3, rel=0.03)


def test_zeros_and_a_constant():
    assert not drawn("zeros", 3, 4).any()
    np.testing.assert_array_equal(drawn("constant", 3, 4), np.full((3, 4), 0.1, np.float32))


@pytest.mark.parametrize("shape", [(20, 20), (30, 12), (12, 30), (3, 3, 2, 10), (3, 3, 2, 40)])
def test_the_fewer_of_rows_and_columns_are_orthonormal(shape):
    w = drawn("orthogonal", *shape).reshape(-1, shape[-1])
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-6)


def test_every_rotation_is_as_likely():
    """Without the sign correction the first column of a QR factor points one way only."""
    corners = [drawn("orthogonal", 3, 3, seed=seed)[0, 0] for seed in range(300)]
    assert np.mean(corners) == pytest.approx(0, abs=0.12)
    assert np.var(corners) == pytest.approx(1 / 3, rel=0.2)


@pytest.mark.parametrize("name", [*VARIANCES, "orthogonal"])
def test_it_follows_from_the_seed(name):
    np.testing.assert_array_equal(drawn(name, 5, 4, seed=3), drawn(name, 5, 4, seed=3))
    assert not np.array_equal(drawn(name, 5, 4, seed=3), drawn(name, 5, 4, seed=4))

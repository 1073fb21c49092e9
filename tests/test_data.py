"""Data sets that come along: complete, shuffled, standardised by what is learned from."""

from __future__ import annotations

import numpy as np
import pytest

from engine.tasks.data import cancer, digits, iris, one_hot, standardised


def test_the_digits_are_real_and_complete():
    data = digits()
    assert (data.x.shape, data.y.shape, data.image) == ((1797, 64), (1797, 10), (8, 8))
    assert (data.x.min(), data.x.max(), data.x.dtype) == (0.0, 1.0, np.float32)
    assert data.y.sum(axis=0).astype(int).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


@pytest.mark.once
def test_the_digits_are_those_of_scikit_learn():
    bunch = pytest.importorskip("sklearn.datasets").load_digits()
    found = {(row.tobytes(), label) for row, label in zip(digits().x, digits().y.argmax(1), strict=True)}
    pixels = (bunch.data / 16).astype(np.float32)
    assert found == {(row.tobytes(), label) for row, label in zip(pixels, bunch.target, strict=True)}


@pytest.mark.parametrize(("data", "name"), [(iris, "load_iris"), (cancer, "load_breast_cancer")])
def test_the_measured_ones_are_those_of_scikit_learn_standardised(data, name):
    bunch = getattr(pytest.importorskip("sklearn.datasets"), name)()
    order = np.random.default_rng(0).permutation(len(bunch.data))
    found, kept = data(), len(order) - len(order) // 5
    known = bunch.data[order][:kept]
    wanted = (bunch.data[order] - known.mean(0)) / known.std(0)
    np.testing.assert_allclose(found.x, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.y.argmax(1), bunch.target[order])
    assert found.classes == tuple(bunch.target_names)


@pytest.mark.parametrize(("data", "sizes"), [(digits, (1438, 359)), (iris, (120, 30)), (cancer, (456, 113))])
def test_a_fifth_is_kept_for_the_test_and_is_no_part_of_the_rest(data, sizes):
    found = data()
    (x, y), (test_x, test_y) = found.training, found.test
    assert (len(x), len(test_x)) == (len(y), len(test_y)) == sizes
    np.testing.assert_array_equal(np.concatenate([x, test_x]), found.x)
    np.testing.assert_array_equal(np.concatenate([y, test_y]), found.y)


@pytest.mark.parametrize("data", [digits, iris, cancer])
def test_all_classes_are_in_both_parts(data):
    found = data()
    for _, y in (found.training, found.test):
        assert (y.sum(0) > 0).all()


def test_standardising_goes_by_what_is_learned_from():
    x = np.array([[1.0, 7.0], [3.0, 7.0], [100.0, 8.0]])
    np.testing.assert_array_equal(standardised(x, tested=1), np.float32([[-1, 0], [1, 0], [98, 1]]))


def test_one_hot():
    assert one_hot(np.array([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]

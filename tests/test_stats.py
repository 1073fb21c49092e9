"""Seven numbers about an array, against numpy in double precision."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine import compat, stats

RNG = np.random.default_rng(0)


def by_numpy(array) -> dict[str, float]:
    values = np.abs(array) if np.iscomplexobj(array) else np.asarray(array)
    values = values.astype(np.float64)
    return {
        "rms": np.sqrt(np.mean(values**2)),
        "mean": np.mean(values),
        "std": np.std(values),
        "min": np.min(values),
        "max": np.max(values),
        "zero_fraction": np.mean(values == 0),
        "nonfinite": np.sum(~np.isfinite(values)),
        "l2": np.linalg.norm(values.ravel()),
    }


def measured(array, xp=jnp) -> dict[str, float]:
    measure = jax.jit(stats.measure) if xp is jnp else partial(stats.measure, xp=np)
    row = np.asarray(measure(xp.asarray(array)), np.float64)
    return dict(stats.named(row, np.asarray(array).size))


ARRAYS = {
    "normal": RNG.normal(size=(7, 5)).astype(np.float32),
    "scalar": np.float32(3.5),
    "half_zero": np.array([0, 1, 0, -2], np.float32),
    "tiny": RNG.normal(size=50).astype(np.float32) * np.float32(1e-25),
    "huge": RNG.normal(size=50).astype(np.float32) * np.float32(1e25),
    "nearly_constant": (1000 + RNG.normal(size=200) * 1e-2).astype(np.float32),
    "integers": np.array([[3, -4], [0, 5]], np.int32),
    "booleans": np.array([True, False, True, True]),
    "half": RNG.normal(size=9).astype(np.float16),
    "brain": RNG.normal(size=9).astype(jnp.bfloat16),
    "complex": (RNG.normal(size=6) + 1j * RNG.normal(size=6)).astype(np.complex64),
    "zeros": np.zeros(4, np.float32),
}


@pytest.mark.parametrize("xp", [jnp, np], ids=["device", "host"])
@pytest.mark.parametrize("name", ARRAYS)
def test_statistics_are_numpys(name, xp):
    found, wanted = measured(ARRAYS[name], xp), by_numpy(ARRAYS[name])
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        assert found[key] == pytest.approx(value, rel=2e-4, abs=1e-30), key


@pytest.mark.parametrize("number", [0, 1e-30, 3, 1e30])
@pytest.mark.parametrize("careful", [False, True])
def test_a_constant_that_xla_folds_has_its_own_statistics(monkeypatch, number, careful):
    monkeypatch.setattr(compat, "on_cpu", lambda: not careful)
    row = jax.jit(lambda: stats.measure(jnp.full((60, 40), number)))()
    np.testing.assert_allclose(row, [number, number, 0, number, number, number == 0, 0], rtol=1e-6, atol=1e-7 * number)


def test_double_precision_is_kept():
    with jax.enable_x64(True):
        array = np.array([1.0, 1.0 + 1e-12])
        assert measured(array)["std"] == pytest.approx(np.std(array), rel=1e-3)


def test_nan_travels_and_is_counted():
    found = measured(np.array([1.0, np.nan, np.inf, -np.inf], np.float32))
    assert found["nonfinite"] == 3
    assert all(np.isnan(found[key]) for key in ("rms", "mean", "std", "l2"))


def test_infinity_travels_and_is_counted():
    found = measured(np.array([1.0, np.inf, 0.0, 0.0], np.float32))
    assert (found["nonfinite"], found["max"], found["min"], found["zero_fraction"]) == (1, np.inf, 0.0, 0.5)
    assert found["rms"] == np.inf


def test_an_empty_array_has_a_root_mean_square_of_zero():
    found = measured(np.zeros((0, 3), np.float32))
    assert (found["rms"], found["l2"], found["nonfinite"]) == (0.0, 0.0, 0)
    assert all(np.isnan(found[key]) for key in ("mean", "std", "min", "max", "zero_fraction"))


def test_numbers_on_the_host_are_plain_python():
    found = measured(np.array([1.0, 2.0], np.float32))
    assert type(found["rms"]) is float
    assert type(found["nonfinite"]) is int


@pytest.mark.parametrize("xp", [jnp, np], ids=["device", "host"])
def test_the_statistics_of_parts_make_those_of_the_whole(xp):
    parts = RNG.normal(size=(4, 6)).astype(np.float32)
    rows = xp.stack([stats.measure(xp.asarray(part), xp) for part in parts])
    for weights in (None, xp.ones(4, bool)):
        found = stats.named(np.asarray(stats.combine(rows, weights, xp)), parts.size)
        for key, value in by_numpy(parts).items():
            assert found[key] == pytest.approx(value, rel=1e-4), key


def test_a_part_that_never_ran_does_not_count():
    parts = RNG.normal(size=(3, 6)).astype(np.float32)
    rows = np.stack([stats.measure(part, np) for part in parts])
    found = stats.named(stats.combine(rows, np.array([True, False, True])), 12)
    for key, value in by_numpy(parts[[0, 2]]).items():
        assert found[key] == pytest.approx(value, rel=1e-5), key


def test_where_no_part_ran_there_is_no_number():
    rows = np.ones((2, stats.WIDTH))
    assert np.isnan(stats.combine(rows, np.array([False, False]))).all()
    assert np.isnan(stats.combine(rows[:1], np.array([False]))).all()


def test_no_parts_at_all_are_an_empty_array():
    found = stats.combine(np.ones((0, stats.WIDTH)), np.ones(0, bool))
    np.testing.assert_array_equal(found, stats.measure(np.zeros(0, np.float32), np))


def test_leading_axes_are_kept():
    rows = np.ones((5, 4, stats.WIDTH))
    assert stats.combine(rows).shape == (5, stats.WIDTH)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(
    hnp.arrays(np.float32, hnp.array_shapes(max_dims=2, max_side=6), elements=st.floats(-(2.0**60), 2.0**60, width=32))
)
def test_any_finite_array_on_the_host(array):
    found, wanted = measured(array, np), by_numpy(array)
    scale = max(abs(wanted["max"]), abs(wanted["min"]))
    for key in ("rms", "mean", "std", "l2"):
        assert found[key] == pytest.approx(wanted[key], rel=1e-3, abs=1e-5 * scale), key
    assert (found["min"], found["max"], found["nonfinite"]) == (wanted["min"], wanted["max"], 0)

"""The one-pass library: the same numbers as by XLA and by numpy, where it is there and where it isn't."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import engine
from engine import build_kernel, compat, kernel, packing, stats
from engine.build_kernel import KernelError
from tests.test_stats import ARRAYS

RNG = np.random.default_rng(0)
ODD = {
    "nan": np.array([1, np.nan, -2, 0], np.float32),
    "infinite": np.array([1, np.inf, -2, 0], np.float32),
    "both infinite": np.array([np.inf, -np.inf], np.float32),
    "one": np.array([-3], np.float32),
    "small": np.array([2e-38, -2e-38, 0], np.float32),
    "largest": np.array([3e38, -3e38], np.float32),
    "vanished": RNG.normal(size=5000).astype(np.float32) * np.float32(1e-20),
    "vanished, and zeros": np.repeat(np.array([0, 1e-30, -3e-30], np.float32), 40),
    "enormous": RNG.normal(size=5000).astype(np.float32) * np.float32(1e30),
    "enormous, and one infinite": np.append(np.full(99, 1e30), np.inf).astype(np.float32),
    "long": RNG.normal(size=100_003).astype(np.float32),
}

pytestmark = pytest.mark.usefixtures("library")


def agree(table):
    with np.errstate(all="ignore"):
        wanted = stats.measure(np.asarray(table, np.float64), np, lead=1)
    np.testing.assert_allclose(kernel.measure([jnp.asarray(table)], [1]), wanted, rtol=2e-5, atol=1e-44)


@pytest.mark.parametrize("name", [*ARRAYS, *ODD])
def test_its_numbers_are_numpys(name):
    values = stats.real((ARRAYS | ODD)[name], np)
    agree(np.reshape(values, (1, -1)))


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float32, st.tuples(st.just(2), st.integers(1, 70)), elements=st.floats(-1e6, 1e6, width=32)))
def test_any_finite_table_has_numpys_numbers(table):
    wanted = stats.measure(table.astype(np.float64), np, lead=1)
    np.testing.assert_allclose(
        kernel.measure([jnp.asarray(table)], [1]), wanted, rtol=1e-3, atol=1e-6 * np.abs(table).max()
    )


def test_several_tables_are_measured_one_below_the_other():
    tables = [RNG.normal(size=size).astype(np.float32) for size in ((2, 40), (1, 9), (3, 1))]
    rows = np.concatenate([stats.measure(table, np, lead=1) for table in tables])
    np.testing.assert_allclose(kernel.measure(list(map(jnp.asarray, tables)), [1, 1, 1]), rows, rtol=1e-5, atol=1e-7)


def test_arrays_that_lie_one_behind_the_other_have_a_row_each():
    whole, table = (RNG.normal(size=size).astype(np.float32) for size in ((1, 50), (2, 9)))
    parts = [whole[:, :33], whole[:, 33:34], whole[:, 34:], table]
    rows = np.concatenate([stats.measure(part, np, lead=1) for part in parts])
    np.testing.assert_allclose(kernel.measure([whole, table], [0, 1], (33, 1, 16)), rows, rtol=1e-5, atol=1e-7)


def test_a_number_repeated_has_no_spread():
    row = kernel.measure([jnp.full((1000,), 0.1)], [0])[0]
    np.testing.assert_array_equal(row, np.float32([0.1, 0.1, 0, 0.1, 0.1, 0, 0]))


def test_under_vmap_each_example_has_its_own_rows():
    one, other = (RNG.normal(size=size).astype(np.float32) for size in ((4, 2, 40), (4, 3, 7)))
    found = jax.vmap(lambda *tables: kernel.measure(tables, [1] * len(tables)))(one, other)
    rows = np.concatenate([stats.measure(table, np, lead=2) for table in (one, other)], axis=1)
    np.testing.assert_allclose(found, rows, rtol=1e-5, atol=1e-7)


@pytest.mark.cpu
def test_double_precision_stays_double():
    with jax.enable_x64(True):
        table = jnp.asarray(RNG.normal(size=(2, 50)) * 1e200)
        found = kernel.measure([table], [1])
        assert found.dtype == jnp.float64
        np.testing.assert_allclose(found, stats.measure(np.asarray(table), np, lead=1), rtol=1e-12)


def loss(w, x):
    def step(h, row):
        h = jnp.tanh(h @ w + row)
        return h, h

    last, all = jax.lax.scan(step, jnp.zeros((40, 60)), x)
    return jnp.mean(last**2) + jnp.sum(all) * 1e-3


@pytest.mark.exact
def test_a_step_reads_the_same_with_it_and_without(monkeypatch):
    args = RNG.normal(size=(60, 60)).astype(np.float32) / 8, RNG.normal(size=(5, 40, 60)).astype(np.float32)

    def read():
        value, grads, reading = jax.jit(engine.value_and_grad(lambda *args: loss(*args), probe="stats"))(*args)
        return value, grads, {node.id: reading.stats(node.id) for node in reading.graph.nodes}

    monkeypatch.setattr(kernel, "available", lambda: True)
    value, grads, found = read()
    monkeypatch.setattr(kernel, "available", lambda: False)
    plain_value, plain_grads, wanted = read()
    np.testing.assert_array_equal(value, plain_value)
    np.testing.assert_array_equal(grads, plain_grads)
    for id, parts in wanted.items():
        for part, row in parts.items():
            for name, number in row.items():
                np.testing.assert_allclose(
                    found[id][part][name], number, rtol=1e-4, atol=1e-7, err_msg=f"{id} {part} {name}"
                )


def test_a_small_step_makes_one_call(monkeypatch):
    monkeypatch.setattr(kernel, "available", lambda: True)
    step = jax.jit(engine.value_and_grad(lambda w, x: jnp.mean(jnp.tanh(x @ w) ** 2), probe="stats"))
    text = step.lower(jnp.ones((4, 3)), jnp.ones((5, 4))).as_text()
    assert text.count("@backprop_explorer.") == 1


def test_an_empty_array_is_left_to_xla():
    np.testing.assert_array_equal(packing.measure(jnp.zeros((0,))), stats.measure(np.zeros((0,), np.float32), np))


@pytest.mark.parametrize("devices", [1, 4])
def test_only_a_single_device_has_it(monkeypatch, devices):
    monkeypatch.setattr(jax, "device_count", lambda: devices)
    assert kernel.available() is (devices == 1)


# ---- building ------------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.setattr(kernel, "library", lambda platform: tmp_path / "made" / "library.so")
    return tmp_path


def test_without_a_compiler_it_says_so(elsewhere, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(elsewhere))
    monkeypatch.delenv("CXX", raising=False)
    assert build_kernel.main() == 0
    assert "no C++ compiler" in capsys.readouterr().out


def test_a_platform_that_jax_cannot_use_is_told_after_what_could_be_built(monkeypatch, capsys):
    def platform():
        raise RuntimeError("Unable to initialize backend 'cuda'")

    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    monkeypatch.setattr(compat, "platform", platform)
    assert build_kernel.main() == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("Statistics of watched steps are made in one pass")
    assert second == "Nothing is built for a GPU: JAX can't compute here on what JAX_PLATFORMS asks for, 'cuda'."


def test_a_compiler_that_fails_is_quoted(elsewhere, monkeypatch):
    failing = elsewhere / "failing"
    failing.write_text("#!/bin/sh\necho 'no space left' >&2\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setenv("CXX", str(failing))
    with pytest.raises(KernelError, match="no space left"):
        build_kernel.build()
    assert list((elsewhere / "made").iterdir()) == []


def test_a_library_of_another_machine_is_passed_over(elsewhere):
    (elsewhere / "made").mkdir()
    (elsewhere / "made" / "library.so").write_bytes(b"not a library")
    kernel.loaded.cache_clear()
    assert not kernel.loaded()
    kernel.loaded.cache_clear()

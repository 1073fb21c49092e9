"""Readings as event files, read back by TensorBoard itself."""

from __future__ import annotations

import builtins

import jax.numpy as jnp
import numpy as np
import pytest

from engine.errors import UnknownNodeError
from engine.events import STATISTICS, Events, EventsError, counted
from engine.grad import value_and_grad
from tests.programs import normal

event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

X, W = normal(16, 3), normal(3, 4, seed=1)


def loss(w, x):
    return jnp.mean(jnp.tanh(x @ w) ** 2)


@pytest.fixture(scope="module")
def reading():
    return value_and_grad(loss)(W, X)[2]


def read_back(folder):
    found = event_accumulator.EventAccumulator(str(folder), size_guidance={"histograms": 0, "scalars": 0})
    found.Reload()
    return found


@pytest.fixture(scope="module")
def found(reading, tmp_path_factory):
    folder = tmp_path_factory.mktemp("events")
    with Events(folder) as events:
        for step in (0, 10):
            events.add(step, reading, 1.5 - step / 20)
    return read_back(folder)


def test_the_loss_comes_back_at_its_steps(found):
    assert [(each.step, each.value) for each in found.Scalars("loss")] == [(0, 1.5), (10, 1.0)]


def test_statistics_of_values_and_gradients_come_back(found, reading):
    wanted = reading.stats("w")
    for part in ("value", "grad"):
        (first, _) = found.Scalars(f"w/{part}/rms")
        assert first.value == pytest.approx(wanted[part]["rms"])
    assert "tanh/grad/zero_fraction" in found.Tags()["scalars"]


def test_the_histogram_of_a_gradient_comes_back(found, reading):
    told, wanted = found.Histograms("w/grad")[0].histogram_value, np.asarray(reading.grad("w"), np.float64)
    assert (told.min, told.max, told.num) == (wanted.min(), wanted.max(), wanted.size)
    assert told.sum == pytest.approx(wanted.sum())
    edges = np.array([-np.inf, *told.bucket_limit])
    np.testing.assert_array_equal(told.bucket, np.histogram(wanted, np.nextafter(edges, np.inf))[0])


def test_a_reading_of_statistics_has_scalars_alone(tmp_path):
    with Events(tmp_path) as events:
        events.add(3, value_and_grad(loss, probe="stats")(W, X)[2], nodes=["w"])
    tags = read_back(tmp_path).Tags()
    wanted = {f"w/{part}/{name}" for part in ("value", "grad") for name in STATISTICS}
    assert set(tags["scalars"]) == wanted
    assert tags["histograms"] == []


def test_numbers_that_are_not_finite_are_counted_apart(tmp_path):
    with Events(tmp_path) as events:
        events.add(0, value_and_grad(lambda w: jnp.sum(w * w))(np.array([1.0, np.nan, np.inf, 2.0], np.float32))[2])
    found = read_back(tmp_path)
    assert found.Scalars("w/value/nonfinite")[0].value == 2
    assert found.Histograms("w/value")[0].histogram_value.num == 2


def test_every_number_falls_into_a_bin():
    entries = np.array([-1e300, -1e-30, 0.0, 1e-30, 3.0, 1e300])
    told = counted(entries)
    assert sum(told["bucket"]) == len(entries)


def test_a_node_that_is_not_there_is_said(tmp_path, reading):
    with Events(tmp_path) as events, pytest.raises(UnknownNodeError, match="no node 'v'"):
        events.add(0, reading, nodes=["v"])


def test_without_tensorboard_it_is_said_what_to_install(tmp_path, monkeypatch):
    known = builtins.__import__

    def refuse(name, *rest, **more):
        if name.startswith("tensorboard"):
            raise ImportError(name)
        return known(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(EventsError, match=r"pip install 'backprop-explorer\[tensorboard\]'"):
        Events(tmp_path)

"""A batch divided over devices: everyone takes something else, and together they take all of it."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.shares import ParallelError, Split, mesh, prepare, shares

pytestmark = pytest.mark.cpu

batches = st.integers(1, 64)
splits = st.builds(Split, st.integers(1, 9), st.integers(1, 5))


@given(batches, splits)
def test_together_they_take_each_example_once(batch, split):
    found = shares(batch, split)
    taken = np.concatenate([found.of(device) for device in range(split.devices)])
    assert sorted(taken) == list(range(batch))


@given(batches, splits)
def test_the_weights_are_the_shares_of_the_batch(batch, split):
    found = shares(batch, split)
    for device in range(split.devices):
        assert found.weight[device].sum() == pytest.approx(len(found.of(device)) / batch, abs=1e-6)


@given(batches, splits)
def test_nobody_takes_much_more_than_a_fair_share(batch, split):
    found = shares(batch, split)
    assert max(len(found.of(device)) for device in range(split.devices)) <= np.ceil(1.25 * batch / split.devices)


def test_a_batch_that_can_be_divided_evenly_is():
    assert shares(32, Split(4)).first.tolist() == [[0], [8], [16], [24]]


def test_three_devices_take_a_batch_of_32_in_pieces_of_four():
    assert [len(shares(32, Split(3)).of(device)) for device in range(3)] == [12, 12, 8]


def test_asked_for_pieces_are_at_least_as_many():
    assert shares(32, Split(2, pieces=4)).first.shape == (2, 4)


def test_a_mesh_has_the_devices_that_were_asked_for():
    assert list(mesh(3).devices) == jax.devices()[:3]


def test_more_devices_than_there_are_are_refused():
    with pytest.raises(ParallelError, match=r"^9 devices were asked for, and JAX sees 4 \(CPU\)"):
        mesh(9)


def test_once_jax_has_started_there_is_nothing_to_prepare():
    many = len(jax.devices())
    prepare(many + 1)
    assert len(jax.devices()) == many


@pytest.mark.parametrize("name", ["devices", "pieces"])
def test_none_is_too_few(name):
    with pytest.raises(ParallelError, match=f"^{name} is 0, and must be 1 or more"):
        Split(**{name: 0}).checked()


def test_a_change_is_said_in_short():
    assert Split(4).difference(Split(3, sharded=True)) == "devices 4 → 3, sharded False → True"

"""The ring: after as many steps as it says every device has the sum, and none has sent more than twice the array."""

from __future__ import annotations

import numpy as np
import pytest

from engine.ring import ring
from engine.shares import mesh

pytestmark = pytest.mark.cpu


@pytest.fixture(scope="module")
def parts():
    return np.random.default_rng(0).normal(size=(4, 2, 5)).astype(np.float32)


@pytest.fixture(scope="module")
def found(parts):
    return ring(mesh(4), parts)


def test_every_device_ends_with_the_sum(found, parts):
    for total in found.total:
        np.testing.assert_allclose(total, parts.sum(0).ravel(), rtol=1e-5)


def test_it_takes_twice_one_step_less_than_there_are_devices(found):
    assert len(found.sent) == len(found.stages) - 1 == 6


def test_a_device_sends_twice_the_array_but_for_its_own_share(found):
    padded = 12  # ten entries in four chunks of three
    assert found.bytes_sent == 2 * 3 / 4 * padded * 4


def test_only_the_chunk_that_came_changes(found):
    for step, sent in enumerate(found.sent):
        for device in range(4):
            changed = np.any(found.stages[step, device] != found.stages[step + 1, device], axis=-1)
            assert set(np.flatnonzero(changed)) <= {sent[device - 1]}


def test_after_half_of_the_steps_each_has_one_chunk_of_the_sum(found, parts):
    whole = np.pad(parts.sum(0).ravel(), (0, 2)).reshape(4, 3)
    for device in range(4):
        np.testing.assert_allclose(found.stages[3, device, (device + 1) % 4], whole[(device + 1) % 4], rtol=1e-5)


def test_of_one_device_there_is_nothing_to_send(parts):
    alone = ring(mesh(1), parts[:1])
    assert alone.bytes_sent == 0
    np.testing.assert_array_equal(alone.total[0], parts[0].ravel())

"""Trees packed into one array for each type, and back."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from engine.flat import Packed

TREE = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": (np.int32(7), np.zeros((0, 2), np.float32)),
    "c": np.array([0.5], np.float32),
    "d": np.array([True, False]),
}


def test_what_is_packed_comes_back():
    packing = Packed.of(TREE)
    stacked = [np.stack([np.asarray(part), np.zeros_like(part)]) for part in packing.pack(TREE)]
    found = packing.unpack(stacked, np.array([1, 0]))
    for mine, wanted in zip(jax.tree.leaves(found), jax.tree.leaves(TREE), strict=True):
        np.testing.assert_array_equal(mine[1], wanted)
        np.testing.assert_array_equal(mine[0], np.zeros_like(wanted))
        assert mine.dtype == wanted.dtype
    assert jax.tree.structure(found) == jax.tree.structure(TREE)


def test_there_is_one_array_for_each_type():
    packing = Packed.of(jax.eval_shape(lambda: jax.tree.map(jnp.asarray, TREE)))
    assert [(part.dtype.name, part.shape) for part in packing.zeros(4)] == [
        ("bool", (4, 2)),
        ("float32", (4, 7)),
        ("int32", (4, 1)),
    ]
    assert packing.size == 10


def test_nothing_packs_to_nothing():
    assert (Packed.of(None).pack(None), Packed.of(None).zeros(3), Packed.of(None).size) == ([], [], 0)

"""A pytree of many small arrays as one array for each type of number: one transfer instead of hundreds."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Array = Any


@dataclasses.dataclass(frozen=True, eq=False)
class Packed:
    """How the leaves of a tree lie in arrays, one for each type."""

    tree: Any
    leaves: tuple[tuple[tuple[int, ...], Any], ...]
    """Shape and type of each leaf."""

    @staticmethod
    def of(example: Any) -> Packed:
        """The packing of trees like this one, of arrays or of their shapes."""
        leaves, tree = jax.tree.flatten(example)
        return Packed(tree, tuple((tuple(leaf.shape), np.dtype(leaf.dtype)) for leaf in leaves))

    @property
    def size(self) -> int:
        """How many numbers there are in all."""
        return sum(math.prod(shape) for shape, _ in self.leaves)

    @property
    def types(self) -> list[Any]:
        """The types that occur, in the order of the packed arrays."""
        return sorted({dtype for _, dtype in self.leaves}, key=str)

    def zeros(self, *lead: int) -> list[Array]:
        """Packed arrays of zeros, with these axes in front."""
        sizes = (sum(math.prod(shape) for shape, own in self.leaves if own == dtype) for dtype in self.types)
        return [jnp.zeros((*lead, size), dtype) for size, dtype in zip(sizes, self.types, strict=True)]

    def pack(self, tree: Any) -> list[Array]:
        """One vector for each type."""
        found = list(zip(jax.tree.leaves(tree), self.leaves, strict=True))
        return [jnp.concatenate([jnp.ravel(leaf) for leaf, (_, own) in found if own == dtype]) for dtype in self.types]

    def unpack(self, packed: list[Array], rows: Array) -> Any:
        """The tree of these rows of packed arrays, on the host, its leaves with the rows in front."""
        vectors = {dtype: np.asarray(array)[rows] for dtype, array in zip(self.types, packed, strict=True)}
        offsets = dict.fromkeys(self.types, 0)
        leaves = []
        for shape, dtype in self.leaves:
            start = offsets[dtype]
            offsets[dtype] = end = start + math.prod(shape)
            leaves.append(vectors[dtype][:, start:end].reshape(len(rows), *shape))
        return jax.tree.unflatten(self.tree, leaves)

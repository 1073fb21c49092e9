"""What moves, copies and sums numbers: which entries of the result an entry of the operand reached; whence one came."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.graph import Node
from engine.use import ONE, ZERO, Factor, Index, Product, Rule, Use, pick


def _reduced(use: Use) -> Index:
    axes = use.consumer.param("axes")
    return tuple(i for axis, i in enumerate(use.index) if axis not in axes)


def _reduce_sum(use: Use) -> list[Product]:
    return [(use.arrived(_reduced(use)), ONE)]


def _reduce_extreme(use: Use) -> list[Product]:
    """The gradient goes to the largest (smallest) entry, shared out where several are equal."""
    axes = use.consumer.param("axes")
    window = tuple(slice(None) if axis in axes else i for axis, i in enumerate(use.index))
    winner = use.result[_reduced(use)]
    ties = int(np.sum(use.here[window] == winner))
    share = 1 / ties if use.here[use.index] == winner else 0.0
    return [(use.arrived(_reduced(use)), Factor(share, "number"))]


def _reduce_prod(use: Use) -> list[Product]:
    result = _reduced(use)
    return [(use.arrived(result), use.kept(result), use.saved(0, use.index, lambda a: 1 / a, "1/a"))]


def _broadcast(use: Use) -> list[Product]:
    shape = use.consumer.param("shape")
    places = use.consumer.param("broadcast_dimensions")
    fixed = {p: i for p, i, n in zip(places, use.index, np.shape(use.here), strict=True) if n == shape[p]}
    spans = [[fixed[axis]] if axis in fixed else range(size) for axis, size in enumerate(shape)]
    return [(use.arrived(pick(spans, at)), ONE) for at in np.ndindex(*map(len, spans))]


def _reshape(use: Use) -> list[Product]:
    flat = np.ravel_multi_index(use.index, np.shape(use.here)) if use.index else 0
    return [(use.arrived(map(int, np.unravel_index(flat, np.shape(use.gradient)))), ONE)]


def _transpose(use: Use) -> list[Product]:
    return [(use.arrived(use.index[axis] for axis in use.consumer.param("permutation")), ONE)]


def _rev(use: Use) -> list[Product]:
    axes, shape = use.consumer.param("dimensions"), np.shape(use.here)
    return [
        (use.arrived(n - 1 - i if a in axes else i for a, (i, n) in enumerate(zip(use.index, shape, strict=True))), ONE)
    ]


def _slice(use: Use) -> list[Product]:
    starts, limits = use.consumer.param("start_indices"), use.consumer.param("limit_indices")
    strides = use.consumer.param("strides") or (1,) * len(starts)
    steps = [(i - start, stride) for i, start, stride in zip(use.index, starts, strides, strict=True)]
    inside = all(s <= i < e for i, s, e in zip(use.index, starts, limits, strict=True))
    if not inside or any(step % stride for step, stride in steps):
        return [(ZERO,)]
    return [(use.arrived(step // stride for step, stride in steps), ONE)]


def _dynamic_slice(use: Use) -> list[Product]:
    sizes = use.consumer.param("slice_sizes")
    shape = np.shape(use.here)
    asked = (int(np.asarray(start)) for start in use.operands[1:])
    starts = [min(max(s, 0), n - size) for s, n, size in zip(asked, shape, sizes, strict=True)]
    offsets = [i - s for i, s in zip(use.index, starts, strict=True)]
    if not all(0 <= offset < size for offset, size in zip(offsets, sizes, strict=True)):
        return [(ZERO,)]
    return [(use.arrived(offsets), ONE)]


def _concatenate(use: Use) -> list[Product]:
    axis = use.consumer.param("dimension")
    before = sum(np.shape(operand)[axis] for operand in use.operands[: use.position])
    return [(use.arrived(i + before * (a == axis) for a, i in enumerate(use.index)), ONE)]


def _stack(use: Use) -> list[Product]:
    axis = use.consumer.param("axis", 0)
    return [(use.arrived((*use.index[:axis], use.position, *use.index[axis:])), ONE)]


def _pad(use: Use) -> list[Product]:
    if use.position:
        raise NotImplementedError
    config = use.consumer.param("padding_config")
    places = [low + i * (1 + inner) for i, (low, _, inner) in zip(use.index, config, strict=True)]
    inside = all(0 <= i < size for i, size in zip(places, np.shape(use.gradient), strict=True))
    if not inside:
        return [(ZERO,)]
    return [(use.arrived(places), ONE)]


def _cumsum(use: Use) -> list[Product]:
    axis, reverse = use.consumer.param("axis"), use.consumer.param("reverse")
    here = use.index[axis]
    later = range(here + 1) if reverse else range(here, np.shape(use.here)[axis])
    return [(use.arrived(j if a == axis else i for a, i in enumerate(use.index)), ONE) for j in later]


def _gather(use: Use) -> list[Product]:
    """Indexing whole rows by one array of positions, and single entries: every place that read this entry."""
    numbers = dict(use.consumer.param("dimension_numbers"))
    sizes, mapped = use.consumer.param("slice_sizes"), numbers["start_index_map"]
    paired = list(zip(numbers["operand_batching_dims"], numbers["start_indices_batching_dims"], strict=True))
    starts = np.asarray(use.operands[1])
    offset_axes = numbers["offset_dims"]
    gone = numbers["collapsed_slice_dims"] + numbers["operand_batching_dims"]
    kept = [axis for axis in range(len(sizes)) if axis not in gone]
    found: list[Product] = []
    for place in np.ndindex(*starts.shape[:-1]):
        first = [0] * len(sizes)
        for axis, start in zip(mapped, starts[place], strict=True):
            first[axis] = min(max(int(start), 0), np.shape(use.here)[axis] - sizes[axis])
        for axis, of in paired:
            first[axis] = place[of]
        offset = [i - f for i, f in zip(use.index, first, strict=True)]
        if all(0 <= o < size for o, size in zip(offset, sizes, strict=True)):
            batch = iter(place)
            inner = iter([offset[axis] for axis in kept])
            rank = len(place) + len(kept)
            found.append(
                (use.arrived(next(inner) if axis in offset_axes else next(batch) for axis in range(rank)), ONE)
            )
    return found if found else [(ZERO,)]


MOVES: dict[str, Rule] = {
    "reduce_sum": _reduce_sum,
    "reduce_max": _reduce_extreme,
    "reduce_min": _reduce_extreme,
    "reduce_prod": _reduce_prod,
    "broadcast_in_dim": _broadcast,
    **dict.fromkeys(("reshape", "squeeze", "expand_dims"), _reshape),
    "transpose": _transpose,
    "rev": _rev,
    "slice": _slice,
    "dynamic_slice": _dynamic_slice,
    "concatenate": _concatenate,
    "stack": _stack,
    "pad": _pad,
    "cumsum": _cumsum,
    "gather": _gather,
}


# ---- forward -------------------------------------------------------------------------------------------------------


def _repeated(node: Node, shape: Index, index: Index) -> Index:
    axes = node.param("broadcast_dimensions")
    return tuple(0 if size == 1 else index[axis] for size, axis in zip(shape, axes, strict=True))


def _in_order(node: Node, shape: Index, index: Index) -> Index:
    return tuple(map(int, np.unravel_index(int(np.ravel_multi_index(index, node.shape)), shape)))


def _turned(node: Node, shape: Index, index: Index) -> Index:
    return tuple(index[node.param("permutation").index(axis)] for axis in range(len(shape)))


def _backwards(node: Node, shape: Index, index: Index) -> Index:
    turned = node.param("dimensions")
    return tuple(size - 1 - i if axis in turned else i for axis, (size, i) in enumerate(zip(shape, index, strict=True)))


ORIGINS: dict[str, Callable[[Node, Index, Index], Index]] = {
    "broadcast_in_dim": _repeated,
    **dict.fromkeys(("reshape", "squeeze", "expand_dims"), _in_order),
    "transpose": _turned,
    "rev": _backwards,
}
"""Operations that only move numbers: which entry of the operand, of that shape, is at an entry of the result."""

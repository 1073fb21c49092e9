"""Tables with a row of statistics for each of several nodes: inside a loop or a branch one call measures them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax

from engine import packing, stats

Array = Any

_TABLE = "*"


def tables(arrays: Mapping[str, Any]) -> list[str]:
    """Keys of tables with a row for each of some nodes, one for each precision."""
    groups: dict[Any, list[str]] = {}
    for id, array in arrays.items():
        groups.setdefault(stats.row_dtype(array.dtype), []).append(id)
    return [_TABLE + " ".join(group) for group in groups.values()]


def is_table(key: str) -> bool:
    """Whether statistics of several nodes are kept under it."""
    return key.startswith(_TABLE)


def ids(table: str) -> list[str]:
    """The nodes whose rows a table has."""
    return table.removeprefix(_TABLE).split(" ")


def measured(made: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays of several nodes as tables of their statistics."""
    return {key: packing.together([made[id] for id in ids(key)]) for key in tables(made)}


def apart(kept: Mapping[str, Array]) -> dict[str, tuple[Array, int | None]]:
    """For each node what was kept of it: an array, or a table and the row of it that is the node's."""
    found: dict[str, tuple[Array, int | None]] = {}
    for key, array in kept.items():
        rows = {id: (array, place) for place, id in enumerate(ids(key))} if is_table(key) else {key: (array, None)}
        found |= rows
    return found


def opened(tables: Mapping[str, Array], shaped: Callable[[str], Array]) -> dict[str, Array]:
    """Arrays of the nodes' own shape in place of tables: what comes back to all of them is measured by one call, at the
    end of the way back.
    """

    @jax.custom_vjp
    def opened(tables: dict[str, Array]) -> dict[str, Array]:
        return {id: shaped(id) for key in tables for id in ids(key)}

    def forward(tables: dict[str, Array]) -> tuple[dict[str, Array], None]:
        return opened(tables), None

    def backward(_: None, arrived: dict[str, Array]) -> tuple[dict[str, Array]]:
        return ({key: packing.together([arrived[id] for id in ids(key)]) for key in tables},)

    opened.defvjp(forward, backward)
    return opened(dict(tables)) if tables else {}

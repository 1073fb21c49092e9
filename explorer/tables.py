"""Numbers of a session as tables, and tables as CSV or Parquet."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engine.errors import EngineError
from engine.graph import Node
from engine.reading import Reading
from explorer import late
from explorer.errors import ExplorerError
from explorer.looking import Looking
from explorer.seen import Seen

STATISTICS = ("rms", "mean", "std", "min", "max", "zero_fraction", "nonfinite")


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of the same columns; ``None`` is what there isn't."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


def of_pass(session: Looking) -> Table:
    """The pass that is shown: a row for each node of the graph, with statistics of its value and its gradient."""
    reading = session.numbers.reading
    told = ("id", "name", "operation", "kind", "scope", "shape", "dtype", "source")
    measured = tuple(f"{what}_{name}" for what in ("value", "grad") for name in STATISTICS)
    return Table((*told, *measured), [_node(reading, node) for node in reading.graph.nodes])


def of_training(room: Seen) -> Table:
    """The training: a row for each step recorded, with its loss and the gradient (rms) at each layer's output.

    A long run is recorded in columns of several steps: a row tells the last one of them.
    """
    history = room.history
    losses, gradients = history.loss(), history.measured("grad", "rms")
    places = {id: place for place, id in enumerate(history.nodes)}
    layers = [layer for layer in room.layers if layer.output in places]
    sizes = dict(zip(gradients.final.tolist(), gradients.last, strict=True))
    none = [None] * len(history.nodes)
    rows = []
    for step, loss in zip(losses.final.tolist(), losses.last.tolist(), strict=True):
        own = sizes.get(step, none)
        rows.append([step, loss, *(_number(own[places[layer.output]]) for layer in layers)])
    return Table(("step", "loss", *(f"gradient_rms {layer.name}" for layer in layers)), rows)


def _node(reading: Reading, node: Node) -> list[Any]:
    shape = "×".join(map(str, (*node.iterations, *node.shape)))
    told = [node.id, node.name, node.op, node.kind, node.scope, shape, node.dtype, node.source]
    try:
        measured = reading.stats(node.id)
    except EngineError:  # a branch that wasn't taken
        measured = {}
    return told + [_plain(measured.get(what, {}).get(name)) for what in ("value", "grad") for name in STATISTICS]


def _plain(number: Any) -> Any:
    return None if number is None else np.asarray(number).item()


def _number(value: Any) -> float | None:
    return None if value is None or np.isnan(value) else float(value)


def as_csv(table: Table) -> bytes:
    """As CSV: UTF-8, a line of names first, nothing between commas for what there isn't."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([["" if value is None else value for value in row] for row in table.rows])
    return text.getvalue().encode("utf-8")


def as_parquet(table: Table) -> bytes:
    """As Parquet.

    Raises:
        ExplorerError: pyarrow isn't installed.
    """
    try:
        pyarrow, parquet = late.load("pyarrow"), late.load("pyarrow.parquet")
    except ImportError:
        asks = 'pip install "backprop-explorer[parquet]"'
        raise ExplorerError(f"A Parquet file needs pyarrow, which is not installed: {asks}, or write a .csv.") from None
    columns: Mapping[str, list[Any]] = {
        name: [row[place] for row in table.rows] for place, name in enumerate(table.columns)
    }
    sink = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), sink)
    return sink.getvalue()

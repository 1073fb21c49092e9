"""Numbers as tables: a row for each node, or for each step."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from pyarrow import parquet

from engine.tasks.settings import usual
from explorer import late, tables
from explorer.dot_process import engine
from explorer.errors import ExplorerError
from explorer.session import Session

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def session():
    with engine() as running:
        own = Session(usual("spiral", width=4), engine=running)
        own.advance(5)
        own.catch_up()
        yield own


def column(table, name):
    return [row[table.columns.index(name)] for row in table.rows]


def test_a_pass_has_a_row_for_each_node(session):
    assert column(tables.of_pass(session), "id") == [node.id for node in session.graph.nodes]


def test_statistics_are_those_of_the_arrays(session):
    table = tables.of_pass(session)
    id = session.parameters[1]
    row = dict(zip(table.columns, table.rows[column(table, "id").index(id)], strict=True))
    gradient = np.asarray(session.numbers.grad(id), np.float64)
    assert row["grad_rms"] == pytest.approx(np.sqrt(np.mean(gradient**2)), rel=1e-5)
    assert row["grad_max"] == gradient.max()
    assert row["value_zero_fraction"] == np.mean(session.numbers.value(id) == 0)


def test_a_training_has_a_row_for_each_step(session):
    table = tables.of_training(session.room)
    assert column(table, "step") == list(range(5))
    assert column(table, "loss") == session.room.run.history.loss().last.tolist()


def test_a_training_tells_the_gradient_of_each_layer(session):
    table = tables.of_training(session.room)
    layer = session.room.layers[0]
    step = session.room.pass_at(3)
    rms = step.reading.stats(layer.output)["grad"]["rms"]
    assert column(table, f"gradient_rms {layer.name}")[3] == pytest.approx(float(rms), rel=1e-4)


def test_csv_leaves_empty_what_there_is_not():
    text = tables.as_csv(tables.Table(("name", "x"), [["a,b", 1.5], ["c", None]])).decode("utf-8")
    assert list(csv.reader(io.StringIO(text))) == [["name", "x"], ["a,b", "1.5"], ["c", ""]]


def test_parquet_is_read_back(session):
    table = tables.of_training(session.room)
    found = parquet.read_table(io.BytesIO(tables.as_parquet(table)))
    assert found.column_names == list(table.columns)
    assert found["loss"].to_pylist() == column(table, "loss")


def test_without_pyarrow_one_is_told_what_to_install(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(late, "load", missing)
    with pytest.raises(ExplorerError, match=r'pip install "backprop-explorer\[parquet\]", or write a \.csv'):
        tables.as_parquet(tables.Table(("x",), [[1]]))

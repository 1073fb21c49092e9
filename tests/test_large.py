"""The large models as published: their sizes, and that a first picture lays out nothing that is folded."""

from __future__ import annotations

import importlib
import math

import jax
import pytest

from benchmarks import large
from explorer.dot_process import engine
from explorer.layout import Layouts

PUBLISHED = {"gpt2": 124_439_808, "resnet50": 25_557_032}


@pytest.fixture(scope="module")
def running():
    with engine() as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_model_as_published_is_drawn_folded_and_block_by_block(name, running):
    program = large.named(name)
    assert sum(math.prod(leaf.shape) for leaf in program.parameters) == PUBLISHED[name]
    graph = large.engine.trace(program.loss, *program.given)
    drawing = large.Drawing(graph, len(program.parameters), Layouts(running))
    folded, drawn = drawing.draw(large.layers(drawing.graph, drawing.hidden))
    assert len(drawn["boxes"]) == len(folded.boxes) <= 40
    levels = list(drawing.levels())
    assert len(drawing.draw(levels[1][1])[0].boxes) <= 60


@pytest.mark.once
def test_shapes_are_all_that_a_trace_needs():
    module = importlib.import_module("docs.large.gpt2")
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(module.traced_args()))


@pytest.mark.once
def test_many_equations_without_a_scope_are_drawn_in_parts(running):
    def loss(x):
        for _ in range(600):
            x = jax.numpy.sin(x)
        return x

    drawing = large.Drawing(large.engine.trace(loss, 1.0), 1, Layouts(running))
    folded, _ = drawing.draw(large.layers(drawing.graph, drawing.hidden))
    assert [box.label for box in folded.boxes[-2:]] == ["part 6 of 7", "part 7 of 7"]


@pytest.mark.once
def test_the_flat_graph_is_given_up_at_its_deadline(running, monkeypatch):
    monkeypatch.setattr(large, "DEADLINE", 0.01)

    def loss(x):
        for _ in range(5000):
            x = jax.numpy.sin(x)
        return x

    assert large.by_dot(large.flat(large.engine.trace(loss, 1.0)), running) is None

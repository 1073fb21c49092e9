"""A large graph is read by statistics of what is seen, and more of it when somebody looks; what a scope costs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine import more
from explorer.errors import ExplorerError
from explorer.session import Session
from explorer.target import Target

pytestmark = pytest.mark.once


def block(layer, x):
    return x + 0.5 * (jnp.tanh(x @ layer["w"]) @ layer["v"])


def loss(params, x):
    for layer in params["layers"]:
        x = block(layer, x)
    return jnp.mean(x**2)


def target() -> Target:
    keys = jax.random.split(jax.random.key(0), 6)
    draw = lambda key, shape: 0.3 * jax.random.normal(key, shape)
    layers = [{"w": draw(keys[2 * i], (8, 16)), "v": draw(keys[2 * i + 1], (16, 8))} for i in range(3)]
    return Target("loss", loss, ({"layers": layers}, np.ones((4, 8), np.float32)))


def begun() -> Session:
    session = Session(target=target())
    session.take(session.begin())
    return session


@pytest.fixture(scope="module")
def small() -> Session:
    return begun()


@pytest.fixture
def large(monkeypatch) -> Session:
    monkeypatch.setattr(more, "NODES", 10)
    return begun()


def box_of(session: Session, scope: str):
    return next(box for box in session.folded.boxes if box.scope == scope)


def test_of_a_large_graph_what_is_seen_is_measured(large, small):
    box = box_of(large, "block_1")
    own, whole = (each.figures.boxes[box.id] for each in (large, small))
    assert not own.grad.known
    assert (own.grad.rms, own.value.rms, own.grad.shape) == (whole.grad.rms, whole.value.rms, whole.grad.shape)
    assert large.unread() == ()


def test_what_is_unfolded_is_read_once_it_is_asked_for(large):
    large.toggle("block_1")
    nodes = large.unread()
    assert large.graph.node("block_1/mul").id in nodes
    assert large.unread() == ()  # asked for once
    assert large.take_besides(large.step, large.statistics(nodes)())
    assert large.figures.boxes[large.graph.node("block_1/mul").id].grad.rms


def test_the_selected_node_is_read_whole_with_its_sentence(large, small):
    node = large.graph.node("block_1/tanh").id
    for session in (large, small):
        session.toggle("block_1")
    large.take_besides(large.step, large.arrays(node)())
    own, whole = (each.figures.boxes[node] for each in (large, small))
    assert own.grad.known
    assert own.sentence["text"] == whole.sentence["text"]
    small.toggle("block_1")
    assert large.proof(node)()[node]["ok"]


def test_of_whole_arrays_only_the_last_are_kept(large):
    for name in ("block/add", "block_1/add"):
        large.take_besides(large.step, large.arrays(large.graph.node(name).id)())
    assert len(large._besides) == 1


def test_what_was_read_of_another_step_is_dropped(large):
    step = large.step
    for _ in range(2):  # the first one shows what the pass that is seen makes of the parameters
        large.train()
    taken = large.take_besides(step, step.reading)
    large.rewind(0)
    assert not taken


def test_a_large_graph_is_trained_and_says_that_it_is_not_judged(large):
    large.advance(2)
    large.catch_up()
    assert large.findings() == []
    assert "Only what is seen is read" in large.status()["large"]


def test_the_summary_counts_what_the_engine_counts(small):
    told = small.summary(box_of(small, "block_2").id)()
    counted = engine.cost(loss, *target().args).scope("block_2")
    assert told["parameters"][0] == f"{counted.parameters:,}"
    assert told["forward"][0] == f"{counted.forward / 1000:.3g} kFLOP"


def test_the_share_of_the_gradient_is_that_of_its_squared_norm(small):
    squares = [float(np.sum(np.square(leaf))) for leaf in jax.tree.leaves(small.step.grads[0]["layers"][2])]
    whole = [float(np.sum(np.square(leaf))) for leaf in jax.tree.leaves(small.step.grads)]
    told = small.summary(box_of(small, "block_2").id)()["gradient"][1]
    assert told == f"{100 * sum(squares) / sum(whole):.3g} %"


def test_a_box_that_is_not_there_has_no_summary(small):
    with pytest.raises(ExplorerError, match="No box"):
        small.summary("scope:nothing")


def test_ways_light_up_boxes_and_wires(small):
    small.show_ways("params.layers.2.w")
    told = small.ways()
    small.show_ways("")
    assert box_of(small, "block").id not in told["boxes"]
    assert all(small.folded.wires[place].target in told["boxes"] for place in told["wires"])
    assert small.ways() == {}


def test_the_same_ways_twice_are_shown_no_more(small):
    small.show_ways("params.layers.2.w")
    small.show_ways("params.layers.2.w")
    assert small.way_of == ""

"""Numbers changed by hand: the pass that follows, what it is compared with, and how it is told."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine import trace
from engine.errors import EngineError
from engine.tasks import Problem
from engine.training import trainer
from explorer.edits import Editors, Edits
from explorer.errors import ExplorerError

RNG = np.random.default_rng(0)
W = RNG.normal(size=(3, 4)).astype(np.float32)
X = RNG.normal(size=(5, 3)).astype(np.float32)


def loss(params, x):
    return jnp.mean(jnp.tanh(x @ params["w"]) ** 2)


PROBLEM = Problem("mine", loss, ({"w": jnp.asarray(W)},), (X,), rate=0.1)


@pytest.fixture(scope="module")
def setting():
    found = trainer(PROBLEM)
    return Editors(found), trace(loss, *PROBLEM.params, *PROBLEM.batch(0)), found.advance(found.start)


@pytest.fixture
def edits(setting):
    return Edits(*setting)


def node(edits, op):
    return next(node.id for node in edits._graph.nodes if node.op == op)


def ran(edits):
    if not edits.ready:
        edits.compile([node(edits, "tanh"), node(edits, "dot_general")])
    edits.run()
    return edits.ran


def test_a_changed_weight_gives_the_loss_and_gradient_of_jax(edits):
    weight = edits._graph.inputs[0]
    edits.put(weight, (1, 2), 3.0)
    found = ran(edits)
    changed = W.copy()
    changed[1, 2] = 3
    wanted, gradient = jax.value_and_grad(loss)({"w": changed}, X)
    np.testing.assert_allclose(found.losses, (loss({"w": W}, X), wanted), rtol=1e-6)
    np.testing.assert_allclose(found.after.grad(weight), gradient["w"], rtol=1e-5)


def test_a_changed_activation_reaches_what_follows_and_nothing_before(edits):
    tanh, product = node(edits, "tanh"), node(edits, "dot_general")
    edits.put(tanh, (2, 1), 0.0)
    found = ran(edits)
    h = np.tanh(X @ W)
    wanted = np.mean(np.square(h)) - h[2, 1] ** 2 / h.size
    np.testing.assert_allclose(found.losses[1], wanted, rtol=1e-5)
    assert (tanh, "value") in found.moved
    assert (product, "value") not in found.moved
    assert (product, "grad") in found.moved


def test_an_ablated_unit_is_zero_on_the_whole_batch(edits):
    tanh = node(edits, "tanh")
    edits.ablate(tanh, 3)
    assert not np.asarray(ran(edits).after.value(tanh))[:, 3].any()


def test_the_same_entry_again_replaces_the_change(edits):
    weight = edits._graph.inputs[0]
    edits.put(weight, (0, 0), 1.0)
    edits.put(weight, (0, 0), 2.0)
    edits.put(weight, (0, 1), 5.0)
    assert [(edit.index, edit.value) for edit in edits.all] == [((0, 0), 2.0), ((0, 1), 5.0)]


def test_undone_changes_leave_the_real_step(edits):
    weight = edits._graph.inputs[0]
    edits.put(weight, (0, 0), 1.0)
    edits.put(weight, (0, 1), 1.0)
    edits.undo(0)
    assert [edit.index for edit in edits.all] == [(0, 1)]
    ran(edits)
    edits.undo()
    assert (edits.all, edits.ran, edits.as_dict({})) == ((), None, {})


def test_a_change_back_to_the_same_number_moves_nothing(edits):
    weight = edits._graph.inputs[0]
    edits.put(weight, (1, 1), float(W[1, 1]))
    found = ran(edits)
    assert found.moved == frozenset()
    assert found.losses[0] == found.losses[1]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e39])
def test_a_number_that_float32_cannot_hold_is_refused(edits, value):
    with pytest.raises(ExplorerError, match="finite number that float32 can hold"):
        edits.put(edits._graph.inputs[0], (0, 0), value)
    assert edits.all == ()


def test_an_entry_that_is_not_there_is_refused(edits):
    with pytest.raises(EngineError, match="out of bounds"):
        edits.put(edits._graph.inputs[0], (7, 0), 1.0)
    assert edits.all == ()


def test_it_is_told_with_its_box(edits):
    weight = edits._graph.inputs[0]
    edits.put(weight, (1, 2), 3.0)
    ran(edits)
    told = edits.as_dict({weight: "box"})
    [change] = told["changes"]
    assert change["box"] == "box"
    assert (change["index"], change["after"], change["unit"]) == ([1, 2], "3", False)
    assert told["boxes"] == {"box": {"value": True, "grad": True}}


def test_what_a_change_cuts_off_is_said(edits):
    tanh = node(edits, "tanh")
    edits.put(tanh, (2, 1), 0.5)
    ran(edits)
    here = edits.said({"node": tanh, "index": [2, 1], "words": "It arrives.", "terms": []})
    elsewhere = edits.said({"node": tanh, "index": [0, 0], "words": "It arrives.", "terms": []})
    assert "sends nothing back" in here["words"]
    assert elsewhere["words"] == "It arrives."

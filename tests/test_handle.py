"""A view from Python: what is set there moves the widget, and what the widget hears is seen there."""

from __future__ import annotations

from xml.etree import ElementTree

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.errors import EngineError
from explorer.errors import ExplorerError
from explorer.handle import View
from explorer.session import Session
from explorer.target import Target
from explorer.views.widget import GraphWidget

W = {"w": np.array([[0.5, -1.0], [2.0, 0.25]], np.float32), "b": np.array([0.1, -0.2], np.float32)}
X = np.array([[0.3, 0.7], [-1.0, 0.2]], np.float32)


def dense(layer, x):
    return x @ layer["w"] + layer["b"]


def loss(layer, x):
    return jnp.mean(jnp.tanh(dense(layer, x)) ** 2)


@pytest.fixture(scope="module")
def one():
    view = View(Session(target=Target("loss", loss, (W, X))), GraphWidget)
    yield view
    view.close()


@pytest.fixture
def view(one):
    """At its start, folded, with nothing selected."""
    one.fold()
    one.playhead, one.selected = 0, None
    return one


@pytest.fixture
def sent(view, monkeypatch):
    """Messages to the browser."""
    found = []
    monkeypatch.setattr(view.widget, "send", found.append)
    return found


def done(view):
    """Wait until the worker has done what was asked."""
    view._crew.wait(lambda: None)


def test_the_widget_has_the_pass_at_once(view):
    assert view.widget.figures["version"] == view.widget.scene["version"]
    assert {box["name"] for box in view.widget.scene["boxes"]} == {"x", "dense", "tanh", "integer_pow", "mean"}


def test_a_click_is_seen_as_a_node(view):
    view.widget.set_state({"node": view.graph.node("tanh").id, "position": 2})
    assert view.selected == view.graph.node("tanh")
    assert (view.playhead, view.at) == (2, "Loss · tanh")


def test_the_playhead_goes_where_it_is_set(view):
    view.playhead = "backward"
    assert (view.stop.phase, view.widget.position) == ("Backward", view.playhead)
    assert view.selected.id == view.widget.node != ""
    view.playhead = -1
    assert (view.playhead, view.stop.phase) == (len(view.stops), "Update")


@pytest.mark.parametrize(("place", "said"), [(99, "from 0 to"), (-2, "from 0 to"), ("sideways", "is no phase")])
def test_it_goes_nowhere_else(view, place, said):
    with pytest.raises(ExplorerError, match=said):
        view.playhead = place
    assert view.playhead == 0


def test_selecting_opens_what_hides_a_node(view):
    view.selected = "layer.w"
    assert view.selected.name == "layer.w"
    assert "layer.w" in {box["name"] for box in view.widget.scene["boxes"]}
    view.selected = view.graph.node("tanh")
    assert view.selected.name == "tanh"


def test_a_name_that_there_is_not_is_refused(view):
    with pytest.raises(EngineError, match="no node 'tangens'"):
        view.selected = "tangens"
    assert view.selected is None


def test_scopes_open_and_fold(view):
    view.unfold("dense")
    opened = len(view.widget.scene["boxes"])
    view.unfold("dense")
    assert len(view.widget.scene["boxes"]) == opened > 5
    view.fold("dense")
    assert len(view.widget.scene["boxes"]) == 5
    view.unfold()
    assert len(view.widget.scene["boxes"]) == opened
    with pytest.raises(EngineError, match="no scope"):
        view.fold("thick")


def test_the_numbers_are_those_of_the_step(view):
    value, grads = jax.value_and_grad(loss)(W, X)
    np.testing.assert_allclose(view.loss, value, rtol=1e-6)
    np.testing.assert_allclose(view.grads["w"], grads["w"], rtol=1e-6)
    np.testing.assert_array_equal(view.reading.grad("layer.w"), view.grads["w"])


def test_the_chain_rule_is_said_in_numbers(view):
    assert view.sentence("layer.b", (0,)).startswith("∂L/∂layer.b[0] = ")
    with pytest.raises(ExplorerError, match="no entry"):
        view.sentence("layer.b", (7,))


def test_a_number_is_supposed_and_the_real_step_comes_back(view):
    real = view.reading.value("layer.w")[0, 1]
    view.suppose("layer.w", (0, 1), 3.0)
    assert view.reading.value("layer.w")[0, 1] == 3.0
    assert view.widget.whatif["changes"][0]["after"] == "3"
    view.undo()
    assert view.reading.value("layer.w")[0, 1] == real
    assert view.widget.whatif == {}


@pytest.mark.slow
def test_training_goes_on_and_back(view):
    before = view.loss
    view.train(3, rate=0.25)
    assert (view.widget.status["step"], view.widget.status["rate"]) == (2, "0.25")
    assert view.widget.status["trained"]
    assert view.loss < before
    assert all(finding.kind for finding in view.findings())
    view.rewind(0)
    assert view.loss == before
    with pytest.raises(ExplorerError, match="not 'depth'"):
        view.train(depth=3)


def test_a_message_is_done_as_on_the_page(view, sent):
    box = next(box for box in view.widget.scene["boxes"] if box["name"] == "tanh")
    view.received({"type": "explain", "node": box["node"], "box": box["id"], "index": [0, 1]})
    view.received({"type": "toggle", "scope": "dense"})
    view.received({"type": "export", "position": 3})
    view.received({"type": "nonsense"})
    done(view)
    explained, saved = sent
    assert explained["sentence"]["text"] == view.sentence("tanh", (0, 1))
    assert ElementTree.fromstring(saved["text"]).tag.endswith("svg")
    assert len(view.widget.scene["boxes"]) > 5


def test_a_node_that_the_browser_was_not_told_of_is_found(view, sent):
    view.received({"type": "find", "text": "TANH"})
    view.received({"type": "find", "text": "cosh"})
    done(view)
    assert sent == [{"type": "select", "node": view.graph.node("tanh").id, "itself": True}]


def test_what_fails_is_told_in_the_view(view, sent):
    view.received({"type": "toggle", "scope": "thick"})
    done(view)
    assert sent[0]["type"] == "failed"
    assert "no scope 'thick'" in sent[0]["text"]


def test_a_view_that_is_looked_at_proves_its_gradients(view):
    view.widget._handle_custom_msg({"type": "prove"}, [])
    done(view)
    view._crew._aside.submit(lambda: None).result()
    done(view)
    assert all(badge["ok"] for badge in view.widget.proof.values())
    assert {box["id"] for box in view.widget.scene["boxes"]} <= set(view.widget.proof)


def test_a_saved_notebook_has_the_picture(view):
    data, _ = view._repr_mimebundle_()
    assert {"application/vnd.jupyter.widget-view+json", "image/svg+xml", "text/plain"} == set(data)
    assert data["text/plain"] == "View(loss: 10 nodes, Start · the inputs)"
    drawn = ElementTree.fromstring(data["image/svg+xml"])
    assert len(drawn.findall(".//{*}image")) >= 7  # all of the pass, as the playhead is at its start
    view.playhead = 1
    assert len(ElementTree.fromstring(view.svg()).findall(".//{*}image")) < 7

"""Cells over time against the published equations, written again in NumPy with a loop."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from engine.tasks import recurrent
from engine.tasks.models import MODELS
from engine.tasks.parts import Design, step_key
from engine.tasks.recurrent import GATES, init_recurrent, rnn_cell

pytestmark = pytest.mark.once

APPLY = {kind: jax.jit(MODELS[kind].apply, static_argnums=2) for kind in ("rnn", "gru", "lstm")}
layer_over_time = jax.jit(recurrent.layer_over_time, static_argnames=("cell", "design"))
KINDS = ("rnn", "gru", "lstm")
DESIGN = Design(given=(6, 3), answers=2, depth=1, width=4)
X = np.random.default_rng(1).normal(size=(5, 6, 3)).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def summed(p, x, h):
    return x @ p["w"] + h @ p["u"] + p["b"]


def rnn(p, x, h, c):
    return np.tanh(summed(p, x, h)), c


def gru(p, x, h, c):
    """Cho and others (2014), equations 5 to 8."""
    r, z = sigmoid(summed(p["reset"], x, h)), sigmoid(summed(p["update"], x, h))
    return z * h + (1 - z) * np.tanh(summed(p["new"], x, r * h)), c


def lstm(p, x, h, c):
    """Gers and others (2000), without peepholes."""
    i, f, o = (sigmoid(summed(p[gate], x, h)) for gate in ("input", "forget", "output"))
    c = f * c + i * np.tanh(summed(p["new"], x, h))
    return o * np.tanh(c), c


def states(kind, p, x):
    h = c = np.zeros((len(x), 4))
    found = []
    for t in range(x.shape[1]):
        h, c = {"rnn": rnn, "gru": gru, "lstm": lstm}[kind](p, x[:, t], h, c)
        found.append(h)
    return np.stack(found, axis=1)


def made(kind, **changes):
    """A network whose biases aren't zero, so that each of them matters."""
    design = dataclasses.replace(DESIGN, **changes)
    rng = np.random.default_rng(2)
    params = init_recurrent(kind, np.random.default_rng(0), design)
    return design, jax.tree.map(lambda leaf: leaf + rng.normal(size=leaf.shape).astype(np.float32) / 2, params)


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_is_a_dense_layer_of_the_last_state(kind):
    design, params = made(kind)
    wanted = states(kind, params["layers"][0], X.astype(float))[:, -1] @ params["last"]["w"] + params["last"]["b"]
    np.testing.assert_allclose(APPLY[kind](params, X, design), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_at_each_moment(kind):
    design, params = made(kind, every=True)
    wanted = states(kind, params["layers"][0], X.astype(float)) @ params["last"]["w"] + params["last"]["b"]
    np.testing.assert_allclose(APPLY[kind](params, X, design), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_stand_one_above_another(kind):
    design, params = made(kind, depth=2)
    first, second = params["layers"]
    wanted = states(kind, second, states(kind, first, X.astype(float)))[:, -1]
    found = APPLY[kind](params, X, design)
    np.testing.assert_allclose(found, wanted @ params["last"]["w"] + params["last"]["b"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_letters_become_rows_of_a_table(kind):
    design, params = made(kind, given=(6,), letters=7, every=True)
    codes = np.random.default_rng(3).integers(0, 7, (5, 6)).astype(np.int32)
    wanted = states(kind, params["layers"][0], params["letters"][codes].astype(float))
    found = APPLY[kind](params, codes, design)
    np.testing.assert_allclose(found, wanted @ params["last"]["w"] + params["last"]["b"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_gate_has_weights_for_what_comes_in_and_for_the_memory(kind):
    cell = init_recurrent(kind, np.random.default_rng(0), DESIGN)["layers"][0]
    gates = [cell[name] for name in GATES[kind]] or [cell]
    assert [jax.tree.map(np.shape, gate) for gate in gates] == [{"w": (3, 4), "u": (4, 4), "b": (4,)}] * len(gates)


def test_an_lstm_begins_by_keeping():
    cell = init_recurrent("lstm", np.random.default_rng(0), DESIGN)["layers"][0]
    assert {name: cell[name]["b"].tolist() for name in GATES["lstm"]} == {
        "forget": [1, 1, 1, 1],
        "input": [0, 0, 0, 0],
        "output": [0, 0, 0, 0],
        "new": [0, 0, 0, 0],
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_future_is_not_seen(kind):
    design, params = made(kind, depth=2, every=True, norm="batch", residual=True)
    later = X.copy()
    later[:, 4:] += 1
    before, after = (APPLY[kind](params, x, design) for x in (X, later))
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert not np.allclose(before[:, 4], after[:, 4])


def test_what_stands_between_layers_acts_on_the_states_and_not_on_the_memory():
    plain, params = made("rnn")
    own = params["layers"][0]
    wanted = np.asarray(layer_over_time(own, X, rnn_cell, plain, (None, 0)))
    normed = {**own, "norm": {"scale": np.full(4, 3.0, np.float32)}}
    found = layer_over_time(normed, X, rnn_cell, dataclasses.replace(plain, norm="rms"), (None, 0))
    size = np.sqrt((wanted**2).mean(-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(found, 3 * wanted / size, rtol=1e-4)
    wide = np.zeros((5, 6, 4), np.float32) + 0.5
    same = {**own, "w": own["u"]}
    shifted = layer_over_time(same, wide, rnn_cell, dataclasses.replace(plain, residual=True), (None, 0))
    np.testing.assert_allclose(shifted, wide + layer_over_time(same, wide, rnn_cell, plain, (None, 0)), rtol=1e-6)


def test_dropout_drops_what_goes_out():
    design = dataclasses.replace(DESIGN, dropout=0.5, activation=lambda x: x * 0 + 1)
    cell = init_recurrent("rnn", np.random.default_rng(0), design)["layers"][0]
    y = np.asarray(layer_over_time(cell, X, rnn_cell, design, (step_key(0, np.int32(0)), 0)))
    assert set(np.unique(y)) == {0.0, 2.0}


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_the_first_moment(kind):
    design, params = made(kind)
    gradient = jax.jit(jax.grad(lambda x: (APPLY[kind](params, x, design) ** 2).sum()))(X)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient[:, 0]).max() > 0

"""A gradient looked at closer: what the page is told of its valley, and of several optimisers."""

from __future__ import annotations

import json

import jax
import numpy as np
import optax
import pytest

from engine.tasks import Settings, problem
from engine.training import trainer
from explorer import checking

pytestmark = pytest.mark.once

SETTINGS = Settings(task="spiral", depth=1, width=3, batch=16, rate=0.2)


@pytest.fixture(scope="module")
def taken():
    found = trainer(problem(SETTINGS))
    return found, found.advance(found.start)


def test_the_valley_agrees_with_backpropagation(taken):
    told = checking.differences(*taken, "params.layers.0.w", (0, 1))
    assert told["verdict"] == "agrees"
    assert "[0, 1]" in told["name"]
    best = {(curve["dtype"], curve["kind"]): curve["best_error"] for curve in told["curves"]}
    assert best["float64", "central"] < best["float32", "central"] < 0.1
    assert all(len(curve["errors"]) == len(told["steps"]) for curve in told["curves"])
    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize(("name", "made"), [("SGD", optax.sgd(0.2)), ("Adam", optax.adam(0.2))])
def test_each_optimiser_moves_as_optax_does(taken, name, made):
    _, step = taken
    told = checking.moves(0.2, step, 1)
    gradient, value = (jax.tree.leaves(tree)[1] for tree in (step.grads, step.before.params))
    update, _ = made.update(gradient, made.init(value), value)
    row = next(row for row in told["rows"] if row["name"] == name)
    np.testing.assert_allclose(row["size"], np.linalg.norm(update), rtol=1e-3)
    cosine = -np.vdot(update, gradient) / np.linalg.norm(update) / np.linalg.norm(gradient)
    np.testing.assert_allclose(row["cosine"], cosine, atol=1e-3)

"""Every choice there is: each task with each of its models and losses is traced and evaluated, and each task learns."""

from __future__ import annotations

import jax
import numpy as np
import optax
import pytest

import engine
from engine.fold import fold, layers
from engine.tasks import TASKS, Settings, problem, usual
from engine.tasks.activations import ACTIVATIONS
from engine.tasks.catalogue import DATA
from engine.tasks.initialisers import INITIALISERS
from engine.tasks.norms import NORMS
from engine.tasks.small import SMALL as GRAPHS

pytestmark = pytest.mark.once

SMALL = {"depth": 1, "width": 4, "batch": 4}
MODELS = TASKS["digits"].models


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 3)).round(3)
    path.write_text("a,b,c,label\n" + "".join(f"{a},{b},{c},{'up' if a > b else 'down'}\n" for a, b, c in rows))
    return str(path)


def settings(task, csv="", **changes):
    own = {"csv": csv} if task == "csv" else {"length": 6} if "length" in TASKS[task].uses else {}
    return usual(task, **{**SMALL, **own, **changes})


def losses(problems):
    """The loss of each, compiled together."""
    each = lambda params: [made.fun(*own, *made.batch(0)) for made, own in zip(problems, params, strict=True)]
    return np.array(jax.jit(each)([made.params for made in problems]))


def gradient(made):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(jax.jit(jax.grad(made.fun))(*made.params, *made.batch(0)))]


def traced(made):
    return engine.trace(made.fun, *made.params, *made.batch(0))


# ---- what can be chosen --------------------------------------------------------------------------------------------


def test_each_task_has_data_but_the_smallest():
    assert {*DATA, *GRAPHS} == set(TASKS)


PAIRS = [(task, model) for task in TASKS for model in TASKS[task].models]


@pytest.mark.parametrize(("task", "model"), PAIRS)
def test_a_model_is_traced_with_each_loss_that_fits_its_task(task, model, csv):
    for loss in TASKS[task].losses:
        graph = traced(problem(settings(task, csv, model=model, loss=loss)))
        assert (graph.name, graph.node(graph.outputs[0]).shape) == ("loss", ())
        assert loss in {scope.id for scope in graph.scopes}


@pytest.mark.parametrize(("task", "model"), PAIRS)
def test_the_gradient_reaches_every_parameter_of_a_model(task, model, csv):
    leaves = gradient(problem(settings(task, csv, model=model)))
    assert all(np.isfinite(leaf).all() and leaf.any() for leaf in leaves)


@pytest.mark.parametrize("task", DATA)
def test_each_loss_of_a_task_has_a_value_of_its_own(task, csv):
    found = losses([problem(settings(task, csv, loss=loss)) for loss in TASKS[task].losses])
    assert np.isfinite(found).all()
    assert (found > 0).all()
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("model", MODELS)
def test_each_normalisation_with_residual_connections(model):
    problems = [problem(settings("digits", model=model, residual=True, norm=norm)) for norm in NORMS]
    found = losses(problems)
    assert np.isfinite(found).all()
    assert len(set(found)) == len(NORMS)


@pytest.mark.parametrize("model", MODELS)
def test_dropout_is_seen_in_the_graph(model):
    graph = traced(problem(settings("digits", model=model, dropout=0.5, depth=2)))
    found = [scope.label for scope in graph.scopes if scope.id.rpartition("/")[2].startswith("dropout")]
    assert len(found) == (4 if model == "transformer" else 2)


@pytest.mark.parametrize("model", ["mlp", "rnn"])
def test_each_activation(model):
    problems = [problem(settings("digits", model=model, activation=activation)) for activation in ACTIVATIONS]
    found = losses(problems)
    assert np.isfinite(found).all()
    assert len(set(found)) == len(ACTIVATIONS)


@pytest.mark.parametrize("init", INITIALISERS)
def test_each_initialiser_makes_the_weights(init):
    made = problem(settings("digits", init=init))
    rng = np.random.default_rng(0)
    for own, shape in zip(made.params[0]["layers"], [(64, 4), (4, 10)], strict=True):
        np.testing.assert_array_equal(own["w"], INITIALISERS[init](rng, shape))


def test_zeros_leave_hidden_layers_without_a_gradient():
    made = problem(settings("digits", depth=2, init="zeros"))
    b1, w1, b2, w2, b3, w3 = gradient(made)
    assert not any(leaf.any() for leaf in (b1, w1, b2, w2, w3))
    assert b3.any()


@pytest.mark.parametrize("depth", [20, 64])
def test_deep_networks(depth):
    made = problem(usual("spiral", depth=depth, width=32, activation="sigmoid", batch=8))
    assert len(made.params[0]["layers"]) == depth + 1
    assert all(np.isfinite(leaf).all() for leaf in gradient(made))


def test_the_smallest_task_is_the_product():
    made = problem(usual("product"))
    assert (made.title, made.note) == ("f = (x + y) · z", "x = −2, y = 5, z = −4 at the start")
    assert (float(made.fun(*made.params)), made.batch(3), made.rate) == (-12.0, (), 0.05)


def test_the_data_are_those_of_the_settings():
    still, moved = (problem(usual("spiral", noise=noise)).examples[0] for noise in (0.0, 0.5))
    assert np.std(moved - still) == pytest.approx(0.5, rel=0.1)
    assert problem(settings("adding", length=11)).examples[0].shape[1] == 11
    assert problem(settings("text", length=11)).examples[0].shape[1] == 11


# ---- how the graph reads -------------------------------------------------------------------------------------------

READS = {
    "mlp": ["layer · layers.0", "dense · layers.1"],
    "conv": ["conv_layer · layers.0", "max_pool", "dense · layers.1"],
    "lstm": ["scan × 8", "dense · last"],
    "transformer": [
        "dense · features",
        "layer_norm · blocks.0.before",
        "attention",
        "layer_norm · blocks.0.between",
        "feed_forward",
        "layer_norm · norm",
        "dense · last",
    ],
}


@pytest.mark.parametrize("model", READS)
def test_a_model_folds_into_what_a_reader_looks_for(model):
    graph = traced(problem(usual("digits", model=model, depth=1)))
    hidden = tuple(id for id in graph.inputs if "." in graph.node(id).name)
    folded = fold(graph, layers(graph, hidden), hidden)
    labels = [box.label for box in folded.boxes if box.scope]
    assert labels == [*READS[model], "cross_entropy"]


# ---- learning ------------------------------------------------------------------------------------------------------


def trained(made, rate, steps):
    """Adam's parameters after so many steps."""
    optimiser = optax.adam(rate)

    @jax.jit
    def step(params, memory, batch):
        grads = jax.grad(lambda params: made.fun(*params, *batch))(params)
        updates, memory = optimiser.update(grads, memory)
        return optax.apply_updates(params, updates), memory

    params, memory = made.params, optimiser.init(made.params)
    for number in range(steps):
        params, memory = step(params, memory, made.batch(number))
    return params


LEARNED = {
    "digits": ({}, 200, 0.9),
    "circles": ({}, 500, 0.95),
    "moons": ({}, 500, 0.95),
    "xor": ({}, 500, 0.9),
    "gaussians": ({}, 200, 0.95),
    "iris": ({}, 200, 0.9),
    "cancer": ({}, 200, 0.9),
    "csv": ({}, 500, 0.9),
    "spiral": ({"width": 32, "activation": "relu", "init": "he"}, 2000, 0.9),
    "text": ({"length": 16}, 200, 0.28),
}
"""Settings, steps, and the share of answers on examples never seen that must be right after them."""


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize("task", LEARNED)
def test_steps_learn_what_the_test_asks(task, csv):
    changes, steps, wanted = LEARNED[task]
    made = problem(usual(task, **changes, **({"csv": csv} if task == "csv" else {})))
    share = jax.jit(made.accuracy)(trained(made, 0.01, steps), *made.held_out)
    assert wanted <= share <= 1


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize(("task", "wanted"), [("regression", 0.1), ("adding", 0.05)])
def test_a_few_steps_learn_values(task, wanted):
    made = problem(usual(task, **({"length": 8} if task == "adding" else {})))
    x, y = made.held_out
    predict = jax.jit(made.predict)
    both = made.params, trained(made, 0.01, 300)
    before, after = (float(np.mean((predict(params, x) - y) ** 2)) for params in both)
    assert after < wanted < before


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize("model", ["conv", "rnn", "lstm"])
def test_a_model_that_no_other_task_tries_learns_the_digits(model):
    made = problem(usual("digits", model=model, depth=1, batch=64))
    share = jax.jit(made.accuracy)(trained(made, 0.02, 100), *made.held_out)
    assert share > 0.75


@pytest.mark.slow
@pytest.mark.once
def test_a_network_with_everything_on_learns():
    changes = {"norm": "batch", "residual": True, "dropout": 0.1, "l1": 1e-4, "l2": 1e-4, "depth": 4}
    made = problem(usual("moons", **changes))
    assert jax.jit(made.accuracy)(trained(made, 0.01, 200), *made.held_out) > 0.95


def test_settings_are_what_decides_a_problem():
    first, again = (problem(Settings(task="moons", seed=5)) for _ in range(2))
    for mine, other in zip(jax.tree.leaves(first.params), jax.tree.leaves(again.params), strict=True):
        np.testing.assert_array_equal(mine, other)
    np.testing.assert_array_equal(first.batch(9)[0], again.batch(9)[0])

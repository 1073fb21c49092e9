"""Mixed precision: sixteen bits inside, float32 around, and nothing of it where it isn't asked for."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.tasks import problem, usual
from engine.tasks.precision import cast
from engine.trace import trace

SMALL = {"depth": 1, "width": 4, "batch": 4}
MODELS = [
    ("digits", "mlp"),
    ("digits", "conv"),
    ("text", "gru"),
    ("text", "lstm"),
    ("text", "transformer"),
    ("digits", "rnn"),
]


def made(task, model, precision):
    return problem(usual(task, model=model, precision=precision, **SMALL))


def program(found):
    return jax.make_jaxpr(found.fun)(*found.params, *found.batch(0))


@pytest.mark.parametrize(("task", "model"), MODELS)
def test_every_model_is_computed_in_it_from_end_to_end(task, model):
    found = made(task, model, "bfloat16")
    graph = trace(found.fun, *found.params, *found.batch(0))
    products = [node for node in graph.nodes if node.op in ("dot_general", "conv_general_dilated", "tanh", "logistic")]
    assert {node.dtype for node in products} == {"bfloat16"}
    assert graph.node(graph.outputs[0]).dtype == "float32"


@pytest.mark.slow
@pytest.mark.parametrize(("task", "model"), MODELS)
@pytest.mark.once
def test_gradients_are_those_of_float32_to_its_precision(task, model):
    narrow, wide = made(task, model, "bfloat16"), made(task, model, "float32")
    pair = (jax.jit(jax.grad(each.fun))(*each.params, *each.batch(0)) for each in (narrow, wide))
    flat = [np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(grads)]) for grads in pair]
    assert {leaf.dtype for leaf in flat} == {np.dtype(np.float32)}
    assert np.linalg.norm(flat[0] - flat[1]) < 0.05 * np.linalg.norm(flat[1])


def test_in_float32_nothing_is_cast():
    assert "convert_element_type" not in str(program(made("spiral", "mlp", "float32")))


def test_letters_stay_letters():
    letters, row = cast((np.arange(3), np.ones(2, np.float32)), jnp.float16)
    assert (letters.dtype, row.dtype) == (np.dtype(int), np.dtype(np.float16))


def test_a_problem_knows_what_it_is_in_float32():
    wide = made("spiral", "mlp", "float16").wide()
    assert str(program(wide)) == str(program(made("spiral", "mlp", "float32")))
    assert made("spiral", "mlp", "float32").wide is None

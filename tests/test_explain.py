"""The chain rule as a sentence in numbers: the exact words for each operation, and true for every node."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import engine
from engine.explain import compute, explain, literal_text, strongest
from engine.fusing import compiled
from engine.numbers import Numbers
from tests.programs import CASES

X = np.array([0.5, -1.0, 2.0], np.float32)
H, Q = np.float32(0.5), np.float32(0.25)
M = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
V = np.array([0.5, -1.0], np.float32)
WEIGHTS = np.array([1.0, 2.0, 4.0], np.float32)
LITTLE = {"float16": 0.01, "bfloat16": 0.05}


def numbers(fun, *args) -> Numbers:
    return Numbers(engine.value_and_grad(fun)(*args)[2])


# name: function, arguments, entry, the sentences for each argument, the words of the first
SENTENCES = {
    "add": (lambda a, b: (a + b) * 3.0, (H, Q), (), ["∂L/∂a = 3 · 1 = 3", "∂L/∂b = 3 · 1 = 3"]),
    "sub": (lambda a, b: (a - b) * 3.0, (H, Q), (), ["∂L/∂a = 3 · 1 = 3", "∂L/∂b = 3 · (−1) = −3"]),
    "mul": (lambda a, b: a * b * 3.0, (H, Q), (), ["∂L/∂a = 3 · 0.25 = 0.75", "∂L/∂b = 3 · 0.5 = 1.5"]),
    "div": (lambda a, b: a / b, (H, Q), (), ["∂L/∂a = 1 · 4 = 4", "∂L/∂b = 1 · (−2) · 4 = −8"]),
    "dot": (
        lambda w, x: jnp.sum((w @ x) * np.array([1.0, 10.0], np.float32)),
        (M, V),
        None,
        ["∂L/∂w[1, 1] = 10 · (−1) = −10", "∂L/∂x[1] = 1 · 2 + 10 · 4 = 42"],
    ),
    "tanh": (lambda x: jnp.tanh(x) * 2.0, (H,), (), ["∂L/∂x = 2 · 0.786 = 1.57"]),
    "logistic": (lambda x: jax.nn.sigmoid(x) * 2.0, (H,), (), ["∂L/∂x = 2 · 0.235 = 0.47"]),
    "relu on": (lambda x: jax.nn.relu(x) * 2.0, (H,), (), ["∂L/∂x = 2 · 1 = 2"]),
    "relu off": (lambda x: jax.nn.relu(x) * 2.0, (-H,), (), ["∂L/∂x = 2 · 0 = 0"]),
    "max": (lambda a, b: jnp.maximum(a, b) * 2.0, (H, Q), (), ["∂L/∂a = 2 · 1 = 2", "∂L/∂b = 2 · 0 = 0"]),
    "exp": (lambda x: jnp.exp(x) * 2.0, (H,), (), ["∂L/∂x = 2 · 1.65 = 3.3"]),
    "log": (lambda x: jnp.log(x) * 3.0, (H,), (), ["∂L/∂x = 3 · 2 = 6"]),
    "sum": (lambda x: jnp.sum(x) * 2.0, (X,), (1,), ["∂L/∂x[1] = 2 · 1 = 2"]),
    "max of": (lambda x: jnp.max(x) * 2.0, (X,), (2,), ["∂L/∂x[2] = 2 · 1 = 2"]),
    "not the max": (lambda x: jnp.max(x) * 2.0, (X,), (0,), ["∂L/∂x[0] = 2 · 0 = 0"]),
    "mean": (lambda x: jnp.mean(x) * 6.0, (X,), (0,), ["∂L/∂x[0] = 2 · 1 = 2"]),
    "integer power": (lambda x: x**3, (H,), (), ["∂L/∂x = 1 · 0.75 = 0.75"]),
    "power": (
        lambda a, b: a**b,
        (H, np.float32(3)),
        (),
        ["∂L/∂a = 1 · 3 · 0.25 = 0.75", "∂L/∂b = 1 · 0.125 · (−0.693) = −0.0866"],
    ),
    "sqrt": (lambda x: jnp.sqrt(x), (Q,), (), ["∂L/∂x = 1 · 1 = 1"]),
    "softmax": (
        lambda x: jnp.sum(jax.nn.softmax(x) * jnp.arange(3.0)),
        (X,),
        (2,),
        ["∂L/∂x[2] = 0.39 · 0.786 = 0.306"],
    ),
    "index": (lambda x: x[1] * 3.0, (X,), (1,), ["∂L/∂x[1] = 3 · 1 = 3"]),
    "not indexed": (lambda x: x[1] * 3.0, (X,), (0,), ["∂L/∂x[0] = 0"]),
    "gather": (lambda x: jnp.sum(x[np.array([0, 0, 2])] * WEIGHTS), (X,), (0,), ["∂L/∂x[0] = 1 · 1 + 2 · 1 = 3"]),
    "slice": (lambda x: jnp.sum(x[1:] * 2.0), (X,), (2,), ["∂L/∂x[2] = 2 · 1 = 2"]),
    "broadcast": (
        lambda b: jnp.sum((X + b) * WEIGHTS),
        (H,),
        (),
        ["∂L/∂b = 1 · 1 + 2 · 1 + 4 · 1 = 7"],
    ),
    "broadcast rows": (
        lambda b: jnp.sum((jnp.ones((2, 3), np.float32) + b) * 2.0),
        (X,),
        (0,),
        ["∂L/∂b[0] = 2 · 1 + 2 · 1 = 4"],
    ),
    "where": (lambda x: jnp.sum(jnp.where(X > 0, x, 0.0)), (X,), (0,), ["∂L/∂x[0] = 1 · 1 = 1"]),
    "two consumers": (
        lambda x: x * 2.0 + jnp.exp(x),
        (np.float32(0),),
        (),
        ["∂L/∂x = 1 · 2 + 1 · 1 = 3"],
    ),
    "the same twice": (lambda x: x * x * 3.0, (H,), (), ["∂L/∂x = 3 · 0.5 + 3 · 0.5 = 3"]),
    "any other": (lambda x: lax.digamma(x) * 2.0, (H,), (), ["∂L/∂x = 9.87"]),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_the_sentence(name):
    fun, args, index, sentences = SENTENCES[name]
    everything = tuple(range(len(args)))
    found = Numbers(engine.value_and_grad(fun, argnums=everything)(*args)[2])
    assert [str(explain(found, f"%{i}", index)) for i in everything] == sentences
    exact = jax.grad(fun, argnums=everything)(*args)
    for i in everything:
        np.testing.assert_allclose(found.grad(f"%{i}"), exact[i], rtol=1e-5, atol=1e-7)


def test_a_bias_is_said_to_sum_the_rows_that_it_was_added_to():
    read = numbers(lambda b: jnp.sum((np.ones((5, 2), np.float32) + b) ** 2), np.ones(2, np.float32))
    assert explain(read, "b").words == "It is added to each of 5 rows, and what they send back adds up."


@pytest.mark.parametrize(
    ("fun", "words"),
    [
        (lambda x: x + 1.0, "Addition hands the same gradient to both operands."),
        (lambda x: x * 2.0, "Each factor's gradient is scaled by the other factor."),
        (jnp.tanh, "The slope is 1 at 0 and dies where tanh saturates."),
        (jax.nn.relu, "A ReLU hands the gradient on where it is on."),
        (lambda x: x, "It is the loss: ∂L/∂L = 1, the seed of the backward pass."),
        (lambda x: jnp.float32(1), "Nothing uses it, so it can't change the loss: its gradient is 0."),
        (lambda x: x * jnp.exp(x), "2 operations use it; the gradient is the sum of what they send back."),
        (
            lambda x: lax.stop_gradient(x) * 2.0,
            "stop_gradient tells JAX to send nothing back.",
        ),
        (
            lax.digamma,
            "JAX's own derivative rule for digamma computed what is sent back; the number is the one it sent.",
        ),
    ],
)
def test_the_words(fun, words):
    assert explain(numbers(fun, H), "%0").words == words


def test_a_factor_knows_where_it_comes_from():
    found = numbers(lambda a, b: a * b * 3.0, H, Q)
    ((gradient, saved),) = explain(found, "a").terms[0].products
    assert (gradient.role, found.graph.node(gradient.node).name, gradient.index) == ("gradient", "mul", ())
    assert (saved.role, saved.node, saved.value) == ("saved", "%1", 0.25)


def test_a_saved_result_says_how_the_slope_follows():
    ((_, slope),) = explain(numbers(jnp.tanh, H), "%0").terms[0].products
    assert (slope.role, slope.text, slope.value) == ("saved", "1 − y²", pytest.approx(1 - np.tanh(0.5) ** 2))


def test_a_long_sum_shows_its_largest_three():
    found = numbers(lambda x, w: jnp.sum((w @ x) * np.arange(1, 7, dtype=np.float32)), H[None], np.ones((6, 1), "f4"))
    (term,) = explain(found, "%0", (0,)).terms
    assert str(term) == "4 · 1 + 5 · 1 + 6 · 1 + … 3 more"
    assert (term.total, term.hidden) == (21.0, 3)


def test_without_an_index_the_largest_entry_speaks():
    assert str(explain(numbers(lambda x: jnp.sum(x * x), X), "x")).startswith("∂L/∂x[2] = ")


def test_what_lies_behind_plumbing_speaks_unless_plumbing_is_shown():
    found = numbers(lambda x: jnp.sum(jnp.tanh(x.reshape(3, 1)) * 2.0), X)
    assert explain(found, "x", (0,)).terms[0].title == "tanh"
    assert explain(found, "x", (0,), plumbing=True).terms[0].title == "reshape"


def test_a_node_without_a_gradient_says_why():
    found = numbers(lambda x: x * lax.while_loop(lambda v: v < 9, lambda v: v * 2, jnp.float32(1)), H)
    with pytest.raises(engine.NoGradientError):
        explain(found, "while/mul")


def test_through_time_the_next_iteration_speaks():
    found = numbers(lambda w: lax.scan(lambda c, x: (c * w + x, None), jnp.float32(0), X)[0], H)
    carry = found.graph.node("scan/c")
    assert str(explain(found, carry.id, (1,))) == "∂L/∂scan/c[1] = 0.5 · 0.5 = 0.25"
    assert (
        str(explain(found, "w")) == "∂L/∂w = 0 + 0.25 + (−0.75) = −0.5"
        or "shared" in explain(found, "w").terms[0].title
    )


def test_the_strongest_entry():
    assert strongest(np.array([[1.0, -5.0], [2.0, 3.0]])) == (0, 1)
    assert strongest(np.array([1.0, np.nan, 9.0])) == (1,)
    assert strongest(np.zeros((0, 2))) == (0, 0)
    assert strongest(np.float32(3)) == ()


# ---- forward ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fun", "args", "text"),
    [
        (lambda a, b: a + b, (H, Q), "0.75 = 0.5 + 0.25"),
        (lambda a, b: a - b, (H, -Q), "0.75 = 0.5 − (−0.25)"),
        (lambda a, b: a * b, (H, Q), "0.125 = 0.5 × 0.25"),
        (lambda a, b: a / b, (H, Q), "2 = 0.5 ÷ 0.25"),
        (jnp.tanh, (H,), "0.462 = tanh(0.5)"),
        (lambda x: x**3, (H,), "0.125 = (0.5)^3"),
        (jax.nn.relu, (H,), "0.5 = relu(0.5)"),
        (lambda w, x: (w @ x)[1], (M, V), "−2.5 = squeeze(−2.5)"),
        (jnp.sum, (X,), ""),
    ],
)
def test_how_a_value_was_computed(fun, args, text):
    found = numbers(fun, *args)
    assert compute(found, found.graph.outputs[0]) == text


A = np.arange(9, dtype=np.float32).reshape(3, 3)


@pytest.mark.parametrize(
    ("fun", "name", "index", "text"),
    [
        (lambda a: jnp.broadcast_to(a[0], (2, 3)), "broadcast_in_dim", (1, 2), "2 = broadcast in dim(2)"),
        (lambda a: jnp.broadcast_to(a[:, :1], (3, 2)), "broadcast_in_dim", (2, 1), "6 = broadcast in dim(6)"),
        (lambda a: a.T, "transpose", (0, 2), "6 = transpose(6)"),
        (lambda a: lax.rev(a, (0,)), "rev", (0, 1), "7 = rev(7)"),
        (lambda a: a.reshape(1, 9), "reshape", (0, 5), "5 = reshape(5)"),
        (lambda a: lax.cumsum(a), "cumsum", (1, 1), ""),
        (lambda a: lax.sort(-a), "sort", (1, 1), ""),
        (lambda a: bent(a), "bent", (1, 1), "4 = bent(4)"),
        (lambda a: turned(a), "turned", (1, 0), ""),
    ],
)
def test_where_a_number_came_from_is_told_only_where_it_did(fun, name, index, text):
    assert compute(numbers(lambda a: jnp.sum(fun(a)), A), name, index) == text


@jax.custom_jvp
def bent(x):
    return jnp.maximum(x, 0.0)


@jax.custom_jvp
def turned(x):
    return jnp.maximum(x, 0.0).T


for rule in (bent, turned):
    rule.defjvp(lambda primals, tangents: (primals[0], tangents[0]))


def test_how_a_matrix_product_was_computed():
    found = numbers(lambda w, x: jnp.sum(w @ x), M, V)
    assert compute(found, "dot_general", (1,)) == "−2.5 = 3·0.5 + 4·(−1)"


def test_an_argument_was_not_computed():
    assert compute(numbers(jnp.tanh, H), "%0") == ""


def test_an_operand_in_a_formula_is_a_name_or_a_number():
    graph = engine.trace(lambda x: x * 2.0, H)
    assert [literal_text(source, graph) for source in graph.node("mul").operands] == ["x", "2"]


# ---- true everywhere -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.once
def test_the_terms_of_every_sentence_sum_to_the_gradient(case):
    with jax.enable_x64(case.x64):
        found = Numbers(compiled(engine.value_and_grad(case.fun), engine.trace(case.fun, *case.args), *case.args)[2])
        coarse = max(LITTLE.get(node.dtype, 1e-4) for node in found.graph.nodes)
        for node in found.graph.nodes:
            try:
                sentence = explain(found, node.id)
            except (engine.NotExecutedError, engine.NoGradientError):
                continue
            total = sum(term.total for term in sentence.terms)
            assert total == pytest.approx(sentence.total, rel=coarse, abs=1e-5, nan_ok=True), str(sentence)

"""Derivative rules in numbers, entry by entry, against JAX; and that a wrong rule is never shown."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import engine
from engine import explain as explaining
from engine.explain import explain
from engine.moves import MOVES
from engine.numbers import Numbers
from engine.rules import RULES
from engine.use import Factor

A = np.array([0.3, -0.6, 0.8], np.float32)
B = np.array([0.7, 0.4, -0.9], np.float32)
POSITIVE = np.array([0.4, 1.5, 2.5], np.float32)
G = np.array([1.0, -2.0, 0.5], np.float32)

UNARY = {
    name: (getattr(lax, name, None), A)
    for name in ("neg", "abs", "exp", "exp2", "expm1", "tanh", "logistic", "sin", "cos", "tan", "sinh", "cosh")
} | {
    "asin": (lax.asin, A),
    "acos": (lax.acos, A),
    "atan": (lax.atan, A),
    "asinh": (lax.asinh, A),
    "acosh": (lax.acosh, POSITIVE + 1),
    "atanh": (lax.atanh, A),
    "erf": (lax.erf, A),
    "erfc": (lax.erfc, A),
    "sqrt": (lax.sqrt, POSITIVE),
    "rsqrt": (lax.rsqrt, POSITIVE),
    "cbrt": (lax.cbrt, POSITIVE),
    "log": (lax.log, POSITIVE),
    "log1p": (lax.log1p, POSITIVE),
    "square": (lax.square, A),
    "integer_pow": (lambda x: lax.integer_pow(x, 3), A),
    "reduce_precision": (lambda x: lax.reduce_precision(x, 8, 23), A),
    "convert_element_type": (lambda x: x.astype(jnp.float16).astype(jnp.float32), A),
    "copy": (jnp.copy, A),
    "relu": (jax.nn.relu, A),
}
BINARY = {
    "add": lax.add,
    "sub": lax.sub,
    "mul": lax.mul,
    "div": lax.div,
    "max": lax.max,
    "min": lax.min,
    "pow": lax.pow,
    "dot_general": lambda a, b: jnp.outer(a, b) @ b,
    "select_n": lambda a, b: lax.select_n(A > 0, a, b),
    "clamp": lambda a, b: lax.clamp(jnp.float32(-0.5), a, jnp.float32(0.5)) + b,
}


def numbers(fun, *args) -> Numbers:
    return Numbers(engine.value_and_grad(lambda *a: jnp.sum(fun(*a) * G))(*args)[2])


def spelled_out(found: Numbers, key: str) -> None:
    """Every entry of a node is explained by products that give the number."""
    gradient = found.grad(found.graph.node(key).id)
    for index in np.ndindex(gradient.shape):
        sentence = explain(found, key, index)
        assert all(term.products for term in sentence.terms), f"{sentence}"
        total = sum(np.prod([f.value for f in product]) for term in sentence.terms for product in term.products)
        shown = not any(term.hidden for term in sentence.terms)
        if shown:
            assert total == pytest.approx(gradient[index], rel=2e-3, abs=1e-6), f"{sentence}"


@pytest.fixture(scope="module")
def table():
    """Every function in one program, each with arguments of its own, and JAX's gradients."""

    def loss(one, two):
        terms = [UNARY[name][0](x) for name, x in one.items()]
        terms += [BINARY[name](a, b) for name, (a, b) in two.items()]
        return sum(jnp.sum(term * G) for term in terms)

    args = {name: at for name, (_, at) in UNARY.items()}, {name: (np.abs(A), B) for name in BINARY}
    mine = jax.jit(engine.value_and_grad(loss, argnums=(0, 1)))(*args)
    return Numbers(mine[2]), jax.jit(jax.grad(loss, argnums=(0, 1)))(*args)


@pytest.mark.parametrize("name", UNARY)
def test_a_function_of_one_operand(table, name):
    found, exact = table
    np.testing.assert_allclose(found.grad(found.graph.node(f"one.{name}").id), exact[0][name], rtol=1e-5)
    spelled_out(found, f"one.{name}")


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("position", [0, 1])
def test_a_function_of_two_operands(table, name, position):
    found, exact = table
    key = f"two.{name}.{position}"
    np.testing.assert_allclose(found.grad(found.graph.node(key).id), exact[1][name][position], rtol=1e-5, atol=1e-6)
    spelled_out(found, key)


@pytest.mark.parametrize("name", ["max", "min"])
def test_equal_operands_get_half_each(name):
    found = numbers(BINARY[name], A, A.copy())
    assert str(explain(found, "%0", (0,))) == "∂L/∂a.0[0] = 1 · 0.5 = 0.5"


def test_every_rule_that_computes_is_tested():
    passes = {"name", "copy_p", "optimization_barrier", "sharding_constraint", "pvary", "cond", "add_any"}
    assert set(RULES) - set(MOVES) - passes == set(UNARY) | set(BINARY)


def test_every_function_is_the_primitive_it_is_listed_as(table):
    graph = table[0].graph
    assert {*UNARY, *BINARY} - {node.op for node in graph.nodes} - {node.label for node in graph.nodes} == set()


@pytest.mark.parametrize("spec", ["ij,jk->ik", "bij,bjk->bik", "ij,ij->i", "i,j->ij", "abc,cd->abd", "ij,kj->ki"])
def test_every_kind_of_product(spec):
    left, right = spec.split("->")[0].split(",")
    sizes = {letter: 2 + index % 2 for index, letter in enumerate("abcdijk")}
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=[sizes[letter] for letter in part]).astype(np.float32) for part in (left, right))
    found = Numbers(engine.value_and_grad(lambda a, b: jnp.sum(jnp.einsum(spec, a, b) ** 2))(a, b)[2])
    for key in ("a", "b"):
        assert all(term.products for term in explain(found, key).terms)


@pytest.mark.parametrize(("name", "function"), [("softmax", jax.nn.softmax), ("log_softmax", jax.nn.log_softmax)])
def test_a_softmax_is_explained_as_one(name, function):
    found = numbers(function, np.stack([A, B]))
    sentence = explain(found, "%0", (1, 2))
    assert [term.title for term in sentence.terms] == [name]
    spelled_out(found, "%0")


def test_a_logsumexp_is_explained_as_one():
    found = Numbers(engine.value_and_grad(lambda x: jnp.sum(jax.nn.logsumexp(x, axis=-1) ** 2))(np.stack([A, B]))[2])
    assert [term.title for term in explain(found, "x").terms] == ["logsumexp"]
    spelled_out(found, "x")


def test_a_repeated_operand_gets_a_term_from_every_place():
    found = Numbers(engine.value_and_grad(lambda b, x: jnp.sum((x + b) * G))(np.float32(2), A)[2])
    (term,) = explain(found, "b").terms
    assert [product[0].value for product in term.products] == G.tolist()


# ---- tests of the tests ----------------------------------------------------------------------------------------------


def scaled(rule, factor):
    def off(use):
        for first, *rest in rule(use):
            yield (dataclasses.replace(first, value=first.value * factor), *rest)

    return off


@pytest.mark.parametrize("name", ["tanh", "mul", "dot_general", "reduce_sum"])
@pytest.mark.parametrize("factor", [1.001, 0.0, -1.0])
def test_a_rule_that_is_off_is_not_shown(monkeypatch, name, factor):
    monkeypatch.setitem(RULES, name, scaled(RULES[name], factor))
    reading = engine.value_and_grad(lambda w, x: jnp.sum(jnp.tanh(w @ x) * 3.0))(np.outer(A, B), A)[2]
    sentence = next(
        found
        for found in (explain(Numbers(reading), node.id) for node in reading.graph.nodes)
        if any(reading.graph.node(term.consumer).op == name for term in found.terms if term.consumer != engine.OUTPUT)
    )
    assert sentence.terms[0].products == ()
    assert sentence.terms[0].total == pytest.approx(sentence.total)


def test_a_healthy_rule_passed_through_the_same_way_is_shown(monkeypatch):
    monkeypatch.setitem(RULES, "tanh", scaled(RULES["tanh"], 1.0))
    found = Numbers(engine.value_and_grad(lambda x: jnp.tanh(x) * 3.0)(np.float32(0.5))[2])
    assert explain(found, "x").terms[0].products


def test_a_rule_that_fails_is_not_shown(monkeypatch):
    def broken(use):
        raise ZeroDivisionError

    monkeypatch.setitem(RULES, "tanh", broken)
    found = Numbers(engine.value_and_grad(lambda x: jnp.tanh(x) * 3.0)(np.float32(0.5))[2])
    assert str(explain(found, "x")) == "∂L/∂x = 2.36"


def test_trust_is_relative_to_the_terms_not_to_their_sum():
    found = numbers(lax.tanh, A)
    large, small = (Factor(1e6, "number"),), (Factor(-1e6 + 1, "number"),)
    assert explaining._trusted(found, [large, small], 1.0) == (large, small)
    assert explaining._trusted(found, [(Factor(1.0, "number"),)], 1.001) == ()


@pytest.mark.parametrize(
    ("dtype", "rounding"), [(np.float32, 2e-4), (np.float16, 4 * 2**-10), (jnp.bfloat16, 4 * 2**-7)]
)
def test_sixteen_bit_numbers_round_more(dtype, rounding):
    reading = engine.value_and_grad(lambda x: jnp.sum(x * x).astype(jnp.float32))(A.astype(dtype))[2]
    assert Numbers(reading).rounding == rounding
    assert explain(Numbers(reading), "x").terms[0].products

"""The table of primitives."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

import engine
from engine import ops
from engine.rules import COMPOSITES, RULES
from tests.programs import CASES


@pytest.fixture(scope="module")
def met() -> set[str]:
    """Every primitive of the corpus."""
    found: set[str] = set()
    for case in CASES:
        with jax.enable_x64(case.x64):
            found |= {node.op for node in engine.trace(case.fun, *case.args).nodes}
    return found


def test_every_row_is_written_out():
    for name, op in ops.OPS.items():
        assert all((op.symbol, op.forward, op.backward, op.words)), name
        assert op.words.endswith("."), name


def test_a_sentence_is_short():
    assert [name for name, op in ops.OPS.items() if len(op.words) > 120] == []


def test_an_unknown_primitive_gets_a_plain_row():
    row = ops.describe("bessel_i1e")
    assert (row.symbol, row.forward, row.backward) == ("bessel i1e", "y = bessel i1e(…)", "∂L/∂a = (∂y/∂a)ᵀ g")
    assert row.words == (
        "JAX's own derivative rule for bessel i1e computed what is sent back; the number is the one it sent."
    )
    assert not row.cut
    assert not row.plumbing


def test_what_has_a_rule_in_numbers_has_a_row(met):
    assert [name for name in (*RULES, *COMPOSITES) if name not in ops.OPS] == []


@pytest.mark.parametrize("name", ["reshape", "squeeze", "broadcast_in_dim", "convert_element_type", "transpose"])
def test_what_only_moves_numbers_is_plumbing(name):
    assert ops.is_plumbing(name)


@pytest.mark.parametrize("name", ["add", "mul", "dot_general", "reduce_sum", "tanh", "input", "gather", "name"])
def test_what_computes_or_names_is_no_plumbing(name):
    assert not ops.is_plumbing(name)


def test_a_cut_says_why():
    assert ops.cuts("stop_gradient") == "stop_gradient tells JAX to send nothing back."
    assert ops.cuts("argmax") == "Its result is an integer: it has no derivative, so nothing is sent back."
    assert (
        ops.cuts("lt")
        == "A comparison answers yes or no: nudging its operand changes nothing, so nothing is sent back."
    )
    assert ops.cuts("tanh") == ""


@pytest.mark.parametrize(
    "function", [jax.lax.floor, jax.lax.ceil, jax.lax.round, jax.lax.sign, jax.lax.stop_gradient, lambda x: x > 0]
)
def test_where_the_table_says_cut_jax_sends_nothing(function):
    def loss(x):
        return jnp.sum(function(x) * x)

    reading = engine.value_and_grad(loss)(jnp.array([0.3, -1.7]))[2]
    graph = reading.graph
    cut = next(node for node in graph.nodes if ops.cuts(node.op))
    assert not jnp.any(reading.contributions("x")[cut.id])


def test_most_of_what_the_corpus_meets_is_in_the_table(met):
    unknown = met - set(ops.OPS)
    assert len(unknown) < len(met) / 4, sorted(unknown)
